"""Assessment of a study by its controls: power and verdict with the noise of training seeds, where known."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any


def assessed(controls: Mapping[str, Any] | None, deviation: float | None) -> Mapping[str, Any] | None:
    """Return the controls of a study with power and verdict that hold the noise of training seeds.

    controls: ``trainables.controls.results.ControlResults`` as JSON; None stays None. deviation: of an attack
    rate over training seeds, on the probit scale; None leaves the controls as they are, and so does one that
    they hold already.
    """
    if controls is None or not deviation or not controls.get("null") or not controls.get("undefended"):
        return controls
    known = controls.get("seed_deviation")
    if known is not None and math.isclose(known, deviation, rel_tol=1e-9):
        return controls  # without torch, which takes seconds
    from trainables.controls.results import ControlResults

    results = replace(ControlResults.from_json(dict(controls)), seed_deviation=deviation).to_json()
    return {**controls, **{name: results[name] for name in ("seed_deviation", "power", "verdict")}}
