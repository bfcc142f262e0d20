"""Importance of parameters: which of them decided how well trials did. Imports optuna."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection

from sweeper.results.record_types import TrialRecord

optuna.logging.set_verbosity(optuna.logging.ERROR)

ENOUGH = 20  # trials; with fewer, the best of them are too few to have anything in common
BEST = 5  # trials at least that count as the best
LOGARITHMIC = 30.0  # a positive range as wide as this is taken for one on a log scale
FRONT = "the front"


def importances(trials: Sequence[TrialRecord], objectives: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return, for `FRONT` and each of `objectives`, parameter -> its share of what decides; shares sum to 1.

    trials: finished ones, with ``params`` and ``values``. A parameter matters as far as the best trials (a
    tenth, at least `BEST`; for the front: those of the first non-dominated ranks) have other values of it
    than all trials. PED-ANOVA (Watanabe et al., IJCAI 2023), with parameters that only some trials have as in
    its conditional form. Empty with fewer than `ENOUGH` trials; a goal is left out if nothing tells.
    """
    if len(trials) < ENOUGH:
        return {}
    space = distributions(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            directions=[StudyDirection[direction.upper()] for direction in objectives.values()]
        )
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={name: value for name, value in trial.params.items() if name in space},
                    distributions={
                        name: distribution for name, distribution in space.items() if name in trial.params
                    },
                    values=[trial.values[name] for name in objectives],
                )
                for trial in trials
            ]
        )
        evaluator = PedAnovaImportanceEvaluator(target_quantile=max(0.1, BEST / len(trials)))
        importance = {FRONT: evaluator.evaluate(study)} if len(objectives) > 1 else {}
        for column, (name, direction) in enumerate(objectives.items()):
            sign = -1.0 if direction == "maximize" else 1.0  # lower is better to the evaluator

            def cost(trial: optuna.trial.FrozenTrial, column: int = column, sign: float = sign) -> float:
                return sign * float(trial.values[column])

            importance[name] = evaluator.evaluate(study, target=cost)
    return {goal: _shares(weights) for goal, weights in importance.items() if sum(weights.values()) > 0}


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: value / total for name, value in sorted(weights.items(), key=lambda item: -item[1])}


def distributions(trials: Sequence[TrialRecord]) -> dict[str, BaseDistribution]:
    """Return what each parameter of `trials` may have been drawn from, going by its values.

    Numbers come from the range that they span, all else from the values that there are. A parameter that has
    one value only is left out: it decides nothing.
    """
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    space: dict[str, BaseDistribution] = {}
    for name, seen in values.items():
        if all(type(v) is int for v in seen) and len(set(seen)) > 1:
            space[name] = IntDistribution(min(seen), max(seen))
        elif all(type(v) in (int, float) for v in seen) and len(set(seen)) > 1:
            low, high = float(min(seen)), float(max(seen))
            space[name] = FloatDistribution(low, high, log=low > 0 and high / low > LOGARITHMIC)
        elif all(isinstance(v, str | bool | int | float | None) for v in seen):
            choices = list(dict.fromkeys(seen))
            if len(choices) > 1 or len(seen) < len(trials):
                space[name] = CategoricalDistribution(choices)
    return {name: distribution for name, distribution in space.items() if not distribution.single()}
