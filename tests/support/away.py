"""Settings of which none is a default, so that a knob which is ignored cannot hide."""

import dataclasses
from typing import Any

# of attacks that take gradients: tests/trainables/attacks/optim/test_alignment.py has their reference
ALIGNED = ("align", "align_copies", "align_noise", "align_area", "align_degrees")


def away(method: type[Any], *, but: tuple[str, ...] = (), **knobs: Any) -> Any:
    """Return `method` with `knobs`: all must be set, to other than their defaults, save those in `but`."""
    made = method(**knobs)
    for field in dataclasses.fields(method):
        if field.name not in but:
            assert getattr(made, field.name) != field.default, f"{field.name} is at its default"
    return made
