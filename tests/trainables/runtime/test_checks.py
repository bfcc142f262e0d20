from dataclasses import dataclass

import pytest

from trainables.runtime.checks import above, at_least, fraction


@dataclass
class Knobs:
    epochs: int | None = 1
    rate: float = 0.5


def test_values_in_range_pass() -> None:
    at_least(Knobs(), 1, "epochs")
    at_least(Knobs(epochs=None), 1, "epochs")
    above(Knobs(), 0, "rate")
    fraction(Knobs(), "rate")


@pytest.mark.parametrize("value", [0, -3, float("nan")])
def test_values_out_of_range_are_named_with_what_came(value: float) -> None:
    with pytest.raises(ValueError, match=f"epochs must be at least 1; got {value}"):
        at_least(Knobs(epochs=value), 1, "epochs")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rate must be greater than 0"):
        above(Knobs(rate=value), 0, "rate")
    with pytest.raises(ValueError, match="rate must lie between 0 and 1"):
        fraction(Knobs(rate=value), "rate")
