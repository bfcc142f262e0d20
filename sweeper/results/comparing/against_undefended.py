"""A defended trial in one figure against the undefended one: the papers' ratio, and training time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sweeper.results import formatting
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord

NO_COST = "n/a (no accuracy cost)"
SMALLEST_COST = 1e-9  # accuracies are shares of images: anything smaller is rounding


@dataclass(frozen=True, kw_only=True)
class AgainstUndefended:
    """What a defense bought, and for what.

    Attributes:
        attack_drop: attack accuracy of the undefended trial less that of this one, in [-1, 1].
        accuracy_cost: test accuracy of the undefended trial less that of this one, in [-1, 1].
        training_time_ratio: seconds that this target trained, over those of the undefended one; None if one
            of them is not known. Both as measured beside whatever else ran.
    """

    attack_drop: float
    accuracy_cost: float
    training_time_ratio: float | None

    @property
    def delta_ratio(self) -> float | None:
        """Return the ratio of drop and cost (Ho et al., CVPR 2024); None where accuracy costs nothing.

        It grows without bound as the cost falls, so a defense that does nothing can have any value: the front
        is what compares trials.
        """
        if self.accuracy_cost <= SMALLEST_COST:
            return None
        return self.attack_drop / self.accuracy_cost

    @property
    def delta_text(self) -> str:
        """Return the ratio as papers print it, or why there is none."""
        ratio = self.delta_ratio
        return NO_COST if ratio is None else f"{ratio:.2f}"


def against(plain: TrialRecord | None, trial: TrialRecord) -> AgainstUndefended | None:
    """Return a finished, defended `trial` against the undefended one; None where either has no figures."""
    if plain is None or not trial.complete or formatting.undefended(trial):
        return None
    pairs = [
        (_figures(plain).get(name), _figures(trial).get(name))
        for name in ("attack_accuracy", "test_accuracy")
    ]
    if any(figure is None for pair in pairs for figure in pair):
        return None
    (attack, attack_left), (accuracy, accuracy_left) = pairs
    assert attack is not None and attack_left is not None
    assert accuracy is not None and accuracy_left is not None
    before, now = plain.seconds.get("target"), trial.seconds.get("target")
    return AgainstUndefended(
        attack_drop=attack - attack_left,
        accuracy_cost=accuracy - accuracy_left,
        training_time_ratio=now / before if now and before else None,
    )


def with_ratios(records: StudyRecords) -> StudyRecords:
    """Return the records with ``delta_ratio`` and ``training_time_ratio`` among defended trials' metrics.

    A ratio that is not defined is left out.
    """
    trials = (_with_ratios(undefended_trial(records, trial), trial) for trial in records.trials)
    return replace(records, trials=tuple(trials))


def _with_ratios(plain: TrialRecord | None, trial: TrialRecord) -> TrialRecord:
    compared = against(plain, trial)
    if compared is None:
        return trial
    figures = {
        "delta_ratio": compared.delta_ratio,
        "training_time_ratio": compared.training_time_ratio,
    }
    known = {name: figure for name, figure in figures.items() if figure is not None}
    return replace(trial, metrics={**trial.metrics, **known})


def _figures(trial: TrialRecord) -> Mapping[str, float | None]:
    return {**trial.metrics, **trial.values}
