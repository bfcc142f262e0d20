"""Targets of the controls, attacked alike: undefended, made to leak, or in BiDO's batches."""

from dataclasses import replace

import torch

from trainables.architectures import get_architecture
from trainables.config import TrialConfig
from trainables.controls.budget import make_budget
from trainables.controls.results import Name, TargetControl
from trainables.controls.smoothing import PositiveSmoothing
from trainables.defenses.bido import BiDO
from trainables.defenses.none import NoDefense
from trainables.runtime.progress import Report, silent
from trainables.stages.target import make_target
from trainables.storage.store import Stage, Store
from trainables.trial import run_attack


def undefended(config: TrialConfig) -> TrialConfig:
    """Return the trial without a defense; it freezes what the template freezes."""
    return replace(config, defense=NoDefense())


def leaking(config: TrialConfig, smoothing: float) -> TrialConfig:
    """Return the trial whose target must leak: nothing frozen, labels smoothed; its last epoch is kept."""
    target = config.target.unfrozen()
    return replace(config, target=target, defense=PositiveSmoothing(alpha=smoothing))


def balanced(config: TrialConfig) -> TrialConfig | None:
    """Return the trial in BiDO's identity-balanced batches, without BiDO's terms.

    None for an architecture without hooks, on which BiDO cannot be. The batches are those of the template's
    own BiDO, where it has one, else of the published setting.
    """
    defense = config.defense if isinstance(config.defense, BiDO) else BiDO()
    with torch.device("meta"):  # names only: no weights are made
        classifier = get_architecture(config.target.architecture).build(2, config.image_size)
    if not classifier.hooks:
        return None
    return replace(config, defense=replace(defense, lambda_x=0.0, lambda_y=0.0))


def attack_target(
    name: Name,
    config: TrialConfig,
    attack: str,
    trained: Stage,
    *,
    budget: bool = False,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> TargetControl:
    """Return what the attack named `attack` reaches on a trained target of `config`.

    budget: also with parts of its steps, see `make_budget`.
    """
    plan = config.attack_plans[attack]
    # The short ones come first: an attack that goes on from them does none of its steps twice.
    points = make_budget(config, plan, trained, store=store, device=device, report=report) if budget else None
    result = run_attack(config, plan, trained, store=store, device=device, report=report)
    return TargetControl(
        name=name,
        attack=attack,
        architecture=config.target.architecture,
        epoch=trained.result["best_epoch"],
        validation_accuracy=trained.result["validation_accuracy"],
        test_accuracy=trained.result["test_accuracy"],
        interval=result.interval,
        per_identity=tuple(result.per_identity),
        restarts=result.restarts,
        metrics=result.metrics,
        seconds={"target": trained.seconds, **result.seconds},
        artifacts={"target": str(trained.path), "attack": result.path},
        budget=points,
    )


def positive_target(
    config: TrialConfig,
    attack: str,
    smoothing: float,
    *,
    budget: bool = False,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> TargetControl:
    """Return what the attack reaches on a target that must leak; budget: see `attack_target`.

    The recipe's, undefended, trained to its last epoch whatever the validation says, nothing frozen, under
    label smoothing. If the attack finds nobody here, it finds nobody.
    """
    trial = leaking(config, smoothing)
    trained = make_target(trial, store=store, device=device, report=report, kept_epoch=config.target.epochs)
    return attack_target(
        "positive", trial, attack, trained, budget=budget, store=store, device=device, report=report
    )


def sampler_target(
    config: TrialConfig, attack: str, *, store: Store, device: str = "cpu", report: Report = silent
) -> TargetControl | None:
    """Return what the attack reaches on a target in BiDO's batches without BiDO; None without hooks."""
    trial = balanced(config)
    if trial is None:
        return None
    trained = make_target(trial, store=store, device=device, report=report)
    return attack_target("sampler", trial, attack, trained, store=store, device=device, report=report)
