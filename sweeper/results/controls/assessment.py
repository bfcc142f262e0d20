"""Assessment of a study by its controls: power and verdict with the noise of training seeds, where known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sweeper.statistics.seed_noise import PooledNoise

TARGETS = ("undefended", "ceiling", "positive", "sampler")


def assessed(controls: Mapping[str, Any] | None, noise: PooledNoise | None) -> Mapping[str, Any] | None:
    """Return the controls of a study with intervals, power and verdict that hold the noise of training seeds.

    controls: ``trainables.controls.results.ControlResults`` as JSON; None stays None. noise: of training
    seeds; None, or none of attack rates, leaves the controls as they are. Intervals are in ``with_seeds``, as
    wide as those of trials.
    """
    if controls is None or noise is None or not noise.probit:
        return controls
    deviation, ends = noise.for_draws.probit, with_seeds(controls, noise)
    if not controls.get("null") or not controls.get("undefended"):
        return {**controls, "with_seeds": ends}
    known = controls.get("seed_deviation")
    if known == deviation and controls.get("with_seeds") == ends:
        return controls  # without torch, which takes seconds
    from trainables.controls.results import ControlResults
    from trainables.results import Interval

    results = replace(
        ControlResults.from_json(dict(controls)),
        seed_deviation=deviation,
        with_seeds={name: Interval.from_json(pair) for name, pair in ends.items()},
    ).to_json()
    return {**controls, **{n: results[n] for n in ("seed_deviation", "with_seeds", "power", "verdict")}}


def with_seeds(controls: Mapping[str, Any], noise: PooledNoise) -> dict[str, list[float]]:
    """Return the interval of each control's attack rate, widened by the noise of one training seed."""
    return {
        name: list(
            noise.around_rate(
                control["attack_accuracy"], control["interval"], people=len(control["per_identity"])
            )
        )
        for name in TARGETS
        if (control := controls.get(name)) is not None
    }
