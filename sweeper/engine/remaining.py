"""Time that a sweep still needs, as a range: an estimate, corrected by what its stages took as they ended."""

import math
import statistics
from collections.abc import Mapping, Sequence

from trainables.runtime.duration import Duration

SHARED = ("pretrained", "prior", "judge")
OF_A_TRIAL = ("target", "attack", "evaluation")
OVERHEAD = Duration(low=0.5, high=6.0)  # of a trial: Ray, the database, a worker's first import of torch
START = Duration(low=8.0, high=30.0)  # until Ray runs
DOUBT = 0.25  # of what was measured once and never estimated


def side_by_side(work: Sequence[Duration], places: int) -> Duration:
    """Return how long pieces of `work` take on so many `places` at once.

    At best they fill all places and only the longest is waited for; at worst the longest begins last
    (Graham's bound for lists: sum / places + (1 - 1 / places) * longest).
    """
    if not work:
        return Duration.exactly(0.0)
    total, longest = sum(work, Duration.exactly(0.0)), max(part.high for part in work)
    return Duration(
        low=max(total.low / places, *(part.low for part in work)),
        high=total.high / places + (1 - 1 / places) * longest,
    )


def trial_seconds(estimate: Mapping[str, Duration], replicates: int = 1) -> Duration:
    """Return how long one trial takes by an estimate of its stages, overhead included."""
    stages = sum((estimate[stage] for stage in OF_A_TRIAL), Duration.exactly(0.0))
    return stages * replicates + OVERHEAD


def sweep_seconds(
    estimate: Mapping[str, Duration],
    trials: int,
    *,
    replicates: int = 1,
    concurrent: int = 1,
    shared: Sequence[str] = SHARED,
) -> Duration:
    """Return how long a sweep takes from its start: Ray, the `shared` stages, and its trials."""
    first = [estimate[stage] for stage in shared]
    each = trial_seconds(estimate, replicates)
    return (
        START
        + side_by_side(first, min(concurrent, len(first) or 1))
        + side_by_side([each] * trials, max(1, min(concurrent, trials)))
    )


class Remaining:
    """Corrects an estimate by what ended: what was measured counts as measured, the rest by the same ratio.

    estimate: seconds of `cost.STAGES`, of one trial; empty where nothing was estimated, or is not yet. Then
    nothing is known until the first trial has ended. replicates: seeds of each trial.
    """

    def __init__(self, estimate: Mapping[str, Duration], *, replicates: int = 1) -> None:
        self._estimate, self._replicates = dict(estimate), replicates
        self._took: dict[str, list[float]] = {}

    def estimated(self, estimate: Mapping[str, Duration]) -> None:
        """Take note of an estimate that came later."""
        self._estimate = dict(estimate)

    def ended(self, stage: str, seconds: float) -> None:
        """Take note that a stage, or a whole ``trial``, has ended after `seconds`."""
        self._took.setdefault(stage, []).append(max(0.0, seconds))

    def shared(self, stages: Sequence[str], concurrent: int, spent: float = 0.0) -> Duration | None:
        """Return how long shared stages take, so many at once and `spent` seconds after their start, or None
        if nothing is known of one."""
        if not all(stage in self._estimate for stage in stages):
            return None
        total = side_by_side([self._corrected(stage) for stage in stages], max(1, concurrent))
        return _after(total, spent)

    def trials(self, count: int, concurrent: int, spent: Sequence[float] = ()) -> Duration | None:
        """Return how long `count` trials take, so many at once, or None if nothing is known.

        spent: seconds that those of them which run have taken so far.
        """
        if not count:
            return Duration.exactly(0.0)
        each = self._each(count)
        if each is None:
            return None
        places = max(1, min(concurrent, count))
        done = sum(min(seconds, each.low) for seconds in spent)
        return _after(side_by_side([each] * count, places), done / places)

    def _each(self, count: int) -> Duration | None:
        """Return how long a trial takes on average over the next `count`, or None if nothing is known."""
        estimate = None
        if all(stage in self._estimate for stage in OF_A_TRIAL):
            corrected = {stage: self._corrected(stage) for stage in OF_A_TRIAL}
            estimate = trial_seconds(corrected, self._replicates)
        seconds = self._took.get("trial")
        if not seconds:
            return estimate
        # Until several have ended, the doubt of the estimate stands for the spread among trials.
        mean = statistics.fmean(seconds)
        doubt = DOUBT if estimate is None else (estimate.high - estimate.low) / (estimate.high + estimate.low)
        spread = max((max(seconds) - min(seconds)) / 2, doubt * mean / len(seconds))
        half = min(mean, spread * math.sqrt(1 / count + 1 / len(seconds)))
        return Duration(low=mean - half, high=mean + half)

    def _corrected(self, stage: str) -> Duration:
        """Return the estimate of a stage as the stages that ended correct it.

        What the shared stages took tells how far the estimates of this machine, today, are off. A target is
        no measure of that: a frozen one takes next to nothing. It corrects the price of targets alone, which
        counts as one more of them.
        """
        price = self._by_ratio(self._estimate[stage])
        seconds = self._took.get(stage)
        if not seconds:
            return price
        mean = (sum(seconds) + price.middle) / (len(seconds) + 1)
        spread = max((price.high - price.low) / 2, abs(mean - price.middle))
        half = min(mean, spread / math.sqrt(len(seconds) + 1))
        return Duration(low=mean - half, high=mean + half)

    def _by_ratio(self, price: Duration) -> Duration:
        """Return a price times measured over estimated seconds of the shared stages that ended, in sum.

        A stage that was estimated at nothing, as weights from a file, tells nothing of the others.
        """
        ended = [stage for stage in SHARED if stage in self._took and _priced(self._estimate.get(stage))]
        estimate = sum((self._estimate[stage] for stage in ended), Duration.exactly(0.0))
        measured = sum(statistics.fmean(self._took[stage]) for stage in ended)
        if not measured or not estimate.low:
            return price
        middle = price.middle
        return Duration(low=middle * measured / estimate.high, high=middle * measured / estimate.low)


def _priced(estimate: Duration | None) -> bool:
    return estimate is not None and estimate.high > 0


def _after(total: Duration, spent: float) -> Duration:
    """Return what is left of `total` once `spent` seconds of it are over."""
    return Duration(low=max(0.0, total.low - spent), high=max(0.0, total.high - spent))
