"""Importance of parameters: which of them decided how well trials did. Imports optuna."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection

from sweeper.results.trial_record import TrialRecord

optuna.logging.set_verbosity(optuna.logging.ERROR)

ENOUGH = 20  # trials; with fewer, the best of them are too few to have anything in common
BEST = 5  # trials at least that count as the best
LOGARITHMIC = 30.0  # a positive range as wide as this is taken for one on a log scale
FRONT = "the front"
SHUFFLES = 250  # of results over trials
LEVEL = 0.05  # share of studies of pure noise in which anything may stand above it


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Shares of the parameters in what decides one goal, as far as they stand above noise.

    Attributes:
        shares: parameter -> its share of what decides, the largest first; they sum to 1.
        noise: parameter -> the share that it reaches where nothing decides, in all but one of twenty studies.
    """

    shares: Mapping[str, float]
    noise: Mapping[str, float]

    @property
    def above(self) -> dict[str, float]:
        """Return the shares above noise: of the others nothing can be said."""
        return {name: share for name, share in self.shares.items() if share > self.noise[name]}


def importances(trials: Sequence[TrialRecord], objectives: Mapping[str, str]) -> dict[str, Importance]:
    """Return, for `FRONT` and each of `objectives`, what decides it and what pure noise would show.

    trials: finished ones, with ``params`` and ``values``. A parameter matters as far as the best trials (a
    tenth, at least `BEST`; for the front: those of the first non-dominated ranks) have other values of it
    than all trials. PED-ANOVA (Watanabe et al., IJCAI 2023), with parameters that only some trials have as in
    its conditional form. Noise: the same with as many trials, drawn at random, in the place of the best
    (`SHUFFLES` times), and from them the level of all parameters together (maxT; Westfall and Young,
    Resampling-Based Multiple Testing, 1993). It takes trials for exchangeable, which those of an adaptive
    sampler are not quite. Empty with fewer than `ENOUGH` trials; a goal is left out if nothing tells.
    """
    if len(trials) < ENOUGH:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = _study(trials, objectives)
        quantile = max(0.1, BEST / len(trials))
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        # goal -> weights of the parameters, and how many trials counted as the best.
        least = math.ceil(quantile * len(trials))
        weights = {FRONT: (evaluator.evaluate(study), least)} if len(objectives) > 1 else {}
        for name, direction in objectives.items():
            sign = -1.0 if direction == "maximize" else 1.0  # lower is better to the evaluator
            costs = [sign * float(trial.values[name]) for trial in trials]
            cut = sorted(costs)[least - 1]
            weights[name] = _weights(evaluator, study, costs), sum(cost <= cut for cost in costs)
        told = {goal: found for goal, found in weights.items() if sum(found[0].values()) > 0}
        # Goals with as many best trials share their noise, which is what takes the time.
        counts = {best for _, best in told.values()}
        levels = {best: _noise(evaluator, study, best, len(weights)) for best in counts}
    return {goal: _importance(found, levels[best]) for goal, (found, best) in told.items()}


def _study(trials: Sequence[TrialRecord], objectives: Mapping[str, str]) -> optuna.Study:
    """Return an Optuna study of `trials`, numbered in their order."""
    space = distributions(trials)
    study = optuna.create_study(
        directions=[StudyDirection[direction.upper()] for direction in objectives.values()]
    )
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: _single(value) for name, value in trial.params.items() if name in space},
                distributions={
                    name: distribution for name, distribution in space.items() if name in trial.params
                },
                values=[trial.values[name] for name in objectives],
            )
            for trial in trials
        ]
    )
    return study


def _weights(
    evaluator: PedAnovaImportanceEvaluator, study: optuna.Study, costs: Sequence[float]
) -> dict[str, float]:
    """Return parameter -> weight in what makes `costs`, one a trial, low."""
    return evaluator.evaluate(study, target=lambda trial: costs[trial.number])


def _noise(
    evaluator: PedAnovaImportanceEvaluator, study: optuna.Study, best: int, goals: int
) -> dict[str, float]:
    """Return parameter -> the weight that noise reaches, with any parameter and goal, in one study of twenty.

    best: how many trials count as the best. goals: of the study.
    """
    dice = np.random.default_rng(0)
    costs = np.arange(len(study.trials)) >= best
    rows = [
        _weights(evaluator, study, dice.permutation(costs).astype(float).tolist()) for _ in range(SHUFFLES)
    ]
    names = list(rows[0])
    table = np.array([[row[name] for name in names] for row in rows])
    usual = table.mean(axis=0)
    highest = np.sort((table / np.where(usual > 0, usual, 1.0)).max(axis=1))
    rank = math.ceil((1 - LEVEL / goals) * (SHUFFLES + 1))
    level = highest[min(rank, SHUFFLES) - 1]
    return dict(zip(names, (float(level * mean) for mean in usual), strict=True))


def _importance(weights: Mapping[str, float], noise: Mapping[str, float]) -> Importance:
    total = sum(weights.values())
    order = sorted(weights, key=lambda name: -weights[name])
    return Importance(
        shares={name: weights[name] / total for name in order},
        noise={name: noise[name] / total for name in order},
    )


def _single(value: Any) -> Any:
    """Return a value that a distribution takes: of a list its text."""
    return str(value) if isinstance(value, list) else value


def distributions(trials: Sequence[TrialRecord]) -> dict[str, BaseDistribution]:
    """Return what each parameter of `trials` may have been drawn from, going by its values.

    Numbers come from the range that they span, all else from the values that there are. A parameter that has
    one value only is left out: it decides nothing.
    """
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(_single(value))
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
