"""Screening: a short attack first, and no long one where that already shows a trial to be beaten.

Where an attack's steps do not depend on how many there are (GMI, KEDMI, LOMMA, PLG-MI, LOKT), the short
attack is the beginning of the long one, which goes on from it: screening then costs a look by the judge. For
others it is an attack of its own, with one restart.

The lower end of the short attack's interval is taken as the least that the long one reaches. That is
likely, not certain: a long attack can stay below it by chance, mostly on a target that no attack tells from
noise. So a screened trial may have been on the front; tests/benchmarks/screening.py measures how often.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack
from trainables.attacks.plan import AttackPlan
from trainables.attacks.sharding import Spread
from trainables.config import TrialConfig, load_trial
from trainables.errors import ConfigError
from trainables.method import LENGTH, knobs_marked, length_share
from trainables.results import AttackResult, TrialResult
from trainables.runtime.progress import Report, silent
from trainables.stages.data import load_data
from trainables.stages.judge import make_judges
from trainables.stages.pretrained import DIGESTS, pretraining_key
from trainables.stages.pretraining_distance import distance_figures, make_distance
from trainables.stages.target import make_target
from trainables.stages.warnings import trial_warnings
from trainables.storage.store import Stage, Store
from trainables.trial import run_attack, run_trial
from trainables.trial_result import data_keys, lost_in_training, target_figures

KNOWN = (
    "test_accuracy",
    "validation_accuracy",
    "attack_accuracy",
    "train_seconds",
)  # objectives that can be bounded after a short one

Rival = Mapping[str, Any]
Limit = tuple[str, str, float]


def shortened(config: TrialConfig, share: float) -> tuple[AttackPlan, AttackPlan]:
    """Return the first attack that can be shortened, for `share` of its steps, and as it is.

    One whose prior is trained with the target is taken only if there is no other. Raises `ConfigError` if no
    attack can be shortened, or if one alone bounds nothing (``suite: mean``).
    """
    if config.suite == "mean" and len(config.attack) > 1:
        raise ConfigError(
            "screening expects suite 'worst', which one attack bounds from below; got 'mean' of "
            f"{len(config.attack)} attacks (suite); screen with one attack, or set search.screening: off"
        )
    possible = [(plan, _short(plan.attack, share)) for plan in config.attack]
    pairs = [(dataclasses.replace(plan, attack=short), plan) for plan, short in possible if short is not None]
    if not pairs:
        raise ConfigError(
            f"screening expects an attack with one of the knobs {', '.join(lengths())} to shorten; got "
            f"{', '.join(plan.attack.kind for plan in config.attack)} (attack); set search.screening: off"
        )
    return next((pair for pair in pairs if not pair[0].prior.needs_target), pairs[0])


def lengths() -> tuple[str, ...]:
    """Return the names of the knobs that say how long some attack runs, each once."""
    names = (name for attack in ATTACKS.values() for name in knobs_marked(attack, LENGTH))
    return tuple(dict.fromkeys(names))


def _short(attack: Attack, share: float) -> Attack | None:
    """Return the attack with a share of its steps; None if it has nothing to shorten.

    All restarts are kept where the long attack goes on from where the short one ends, for then nothing is
    lost; else there is one restart.
    """
    knobs = {field.name for field in dataclasses.fields(attack)}
    changes = length_share(attack, share)
    if not changes:
        return None
    if "restarts" in knobs and not attack.is_prefix_of_longer:
        changes["restarts"] = 1
    short: Attack = dataclasses.replace(attack, **changes)
    return short


def beaten(
    best: Mapping[str, float],
    rivals: Sequence[Rival],
    objectives: Mapping[str, str],
    limits: Sequence[Limit] = (),
) -> str:
    """Return why a trial that can reach `best` at best is never on the front; "" if it may be.

    best: the objectives' best possible values, and other figures that `limits` name. rivals: finished trials,
    ``{"number", "values"}``. limits: (name, ">=" or "<=", number), constraints of the study. A rival beats it
    if it is at least as good in every objective and better in one.
    """
    for name, sign, number in limits:
        missed = best[name] < number if sign == ">=" else best[name] > number
        if missed:
            return f"misses {name} {sign} {number:g}"
    signs = {name: -1.0 if direction == "maximize" else 1.0 for name, direction in objectives.items()}
    for rival in rivals:
        gains = [signs[name] * (best[name] - rival["values"][name]) for name in objectives]
        if all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains):
            return f"trial {rival['number']} dominates it even so"
    return ""


def run_screened(
    config: TrialConfig,
    *,
    rivals: Sequence[Rival],
    objectives: Mapping[str, str],
    limits: Sequence[Limit] = (),
    share: float,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    spread: Spread | None = None,
) -> TrialResult:
    """Return what `run_trial` returns, or, if a short attack shows the trial to be beaten, what it showed.

    Both have ``screening``. A beaten trial's ``values`` are its test accuracy and the short attack's
    accuracy, which the long one can only raise; `TrialResult` says what it lacks.
    """
    trained = make_target(config, store=store, device=device, report=report)
    plan, complete = shortened(config, share)
    # The parts of a spread attack keep their states apart, so there the long one begins anew.
    longer = complete if complete.attack.is_prefix_of_longer and spread is None else None

    def told(stage: str, done: int, total: int, **metrics: float) -> None:
        report(f"short {stage}" if stage == "attack" else stage, done, total, **metrics)

    short = run_attack(
        config,
        plan,
        trained,
        store=store,
        device=device,
        report=told,
        spread=spread,
        longer=longer,
    )
    best = {
        **{name: trained.result[name] for name in ("test_accuracy", "validation_accuracy")},
        "attack_accuracy": short.interval.low,
        "train_seconds": trained.seconds,
    }
    screening = {
        "attack": plan.attack.kind,
        "share": share,
        "test_accuracy": best["test_accuracy"],
        "attack_accuracy": short.metrics["attack_accuracy_top1"],
        "interval": short.interval.to_json(),
        "seconds": math.fsum(seconds for stage, seconds in short.seconds.items() if stage != "prior"),
        "reason": beaten(best, rivals, objectives, [limit for limit in limits if _decided(limit)]),
    }
    if not screening["reason"]:
        result = run_trial(config, store=store, device=device, report=report, spread=spread)
        seconds = {**result.seconds, "screening": screening["seconds"]}
        return dataclasses.replace(result, seconds=seconds, screening=screening)
    judges = make_judges(config, store=store, device=device, report=report)
    distance = make_distance(config, store=store, device=device)
    read = pretraining_key(config, store.root / DIGESTS)
    return _beaten(config, trained, judges, short, screening, distance, read)


def _decided(limit: Limit) -> bool:
    """Return whether a short attack can show that a limit is missed: it bounds an attack from below only."""
    name, sign, _ = limit
    return name in KNOWN and (name != "attack_accuracy" or sign == "<=")


def _beaten(
    config: TrialConfig,
    trained: Stage,
    judges: Sequence[Stage],
    short: AttackResult,
    screening: Mapping[str, Any],
    distance: Stage | None,
    read: str | None,
) -> TrialResult:
    """Return the result of a trial whose attack was not run in full: it has nothing of a long attack."""
    parameters, data = trained.result["parameters"], load_data(config)
    return TrialResult(
        values={
            "test_accuracy": trained.result["test_accuracy"],
            "attack_accuracy": screening["attack_accuracy"],
        },
        interval={},  # and no metrics of the short attack: they would be read as those of the long one
        metrics={
            "validation_accuracy": trained.result["validation_accuracy"],
            "train_accuracy": trained.result["train_accuracy"],
            **target_figures(trained),
            **distance_figures(distance),
            "judge_test_accuracy": judges[0].result["test_accuracy"],
        },
        data=data_keys(data, read),
        screening=screening,
        trained_params=parameters["trained"],
        total_params=parameters["total"],
        parameters=parameters,
        freeze_point=config.target.frozen,
        defense=config.defense.kind,
        seconds={"target": trained.seconds, "screening": screening["seconds"]},
        history={"target": trained.result["history"], "short attack": short.history},
        artifacts={"target": str(trained.path), "attack": short.path, "judge": str(judges[0].path)},
        warnings=[
            *trial_warnings(config, data, trained, judges, [short]),
            *lost_in_training(config, data, trained, distance),
        ],
    )


def run_screened_document(
    trial: dict[str, Any],
    *,
    objectives: Mapping[str, str],
    limits: Sequence[Limit],
    share: float,
    store_root: str,
    device: str,
    report: Report,
    rivals: Sequence[Rival] = (),
    spread: Spread | None = None,
) -> dict[str, Any]:
    """Return, as JSON, what `run_screened` returns of the trial that a document describes."""
    result = run_screened(
        load_trial(trial),
        rivals=rivals,
        objectives=objectives,
        limits=limits,
        share=share,
        store=Store(Path(store_root)),
        device=device,
        report=report,
        spread=spread,
    )
    return result.to_json()
