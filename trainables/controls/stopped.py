"""Stopped targets: the undefended one where it is as accurate as a defended trial, attacked as that was.

A defense that only makes a worse classifier leaks no less than this control. There are several of those: at
one accuracy a target of which the head alone was trained may leak more than one with the last stages trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.defenses.none import NoDefense
from trainables.results import Interval, TrialResult
from trainables.runtime.progress import Report, silent
from trainables.stages.target import make_target
from trainables.storage.store import Store
from trainables.trial import run_trial


@dataclass(frozen=True, kw_only=True)
class DefendedTrial:
    """A trial of a front that something protects.

    Attributes:
        number: of the trial.
        config: of the trial.
        validation_accuracy: that its target reached, in [0, 1].
    """

    number: int
    config: TrialConfig
    validation_accuracy: float


@dataclass(frozen=True, kw_only=True)
class StoppedControl:
    """Result of a trial's attacks on the undefended target, stopped where it is as accurate as the trial's.

    Attributes:
        freeze_point: what of it is frozen, in words, "none" if nothing is.
        epoch: after which it was stopped.
        validation_accuracy: of the stopped target, in [0, 1].
        test_accuracy: of the stopped target, in [0, 1].
        attack_accuracy: by the rule of the trial: of the strongest attack, or the mean over its attacks.
        interval: of the attack accuracy.
        per_identity: success rate of each attacked person by that rule, in [0, 1].
    """

    freeze_point: str
    epoch: int
    validation_accuracy: float
    test_accuracy: float
    attack_accuracy: float
    interval: Interval
    per_identity: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            "freeze_point": self.freeze_point,
            "epoch": self.epoch,
            "validation_accuracy": self.validation_accuracy,
            "test_accuracy": self.test_accuracy,
            "attack_accuracy": self.attack_accuracy,
            "interval": self.interval.to_json(),
            "per_identity": list(self.per_identity),
        }


def epoch_reaching(history: Sequence[Mapping[str, float]], accuracy: float) -> int | None:
    """Return the first epoch, from 1, whose validation accuracy is `accuracy` or more; None if none is."""
    for row in history:
        if row["validation_accuracy"] >= accuracy:
            return int(row["epoch"])
    return None


def undefended_twin(config: TrialConfig, template: TrialConfig, *, alike: bool = False) -> TrialConfig:
    """Return the template's undefended target under all that the trial was attacked and judged with.

    alike: frozen as the trial's, where that has a defense too; else its freezing is what is in question.
    """
    target = template.target
    if alike and not isinstance(config.defense, NoDefense):
        own = config.target
        target = replace(
            target,
            freeze_point=own.freeze_point,
            trained=own.trained,
            frozen_batchnorm=own.frozen_batchnorm,
        )
    return replace(config, defense=NoDefense(), target=target, pretraining=template.pretraining)


Stop = tuple[int, str]  # the epoch after which a target was stopped, and what of it is frozen


def spread_over(stops: Sequence[Stop], most: int) -> list[Stop]:
    """Return at most `most` of the distinct `stops`, evenly from the first to the last; one is the last."""
    distinct = sorted(set(stops))
    if len(distinct) <= most:
        return distinct
    if most < 2:
        return distinct[-1:] if most else []
    places = {round(number * (len(distinct) - 1) / (most - 1)) for number in range(most)}
    return [distinct[place] for place in sorted(places)]


def measure_stopped(
    template: TrialConfig,
    trials: Sequence[DefendedTrial],
    most: int,
    *,
    alike: bool = False,
    share: tuple[int, int] = (0, 1),
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> dict[int, StoppedControl | None]:
    """Return, by number, what each trial's attacks reach on the stopped target; None where it has none.

    The first epoch is taken whose validation accuracy is the trial's or more; trials that reach the same one
    share a target. most: epochs that are attacked, spread over those that the trials reach. None for trials
    of the other epochs, and for an accuracy that the undefended target never reaches: then nothing is to be
    excused. What the store holds is not made again.

    alike: see `undefended_twin`; an epoch of each freeze point is one then.
    share: (n, of): of the attacked epochs every `of`-th from the n-th, from 0, where several share the work.
    """
    stops: dict[int, Stop] = {}
    twins = {trial.number: undefended_twin(trial.config, template, alike=alike) for trial in trials}
    for trial in trials:
        twin = twins[trial.number]
        finished = make_target(twin, store=store, device=device, report=report)
        epoch = epoch_reaching(finished.result["history"], trial.validation_accuracy)
        if epoch is not None:
            stops[trial.number] = (epoch, twin.target.frozen)
    first, step = share
    attacked = spread_over(list(stops.values()), most)[first::step]
    results: dict[int, StoppedControl | None] = dict.fromkeys(twins)
    for number, stop in stops.items():
        if stop in attacked:
            results[number] = _stopped(twins[number], stop[0], store, device, report)
    return results


def _stopped(config: TrialConfig, epoch: int, store: Store, device: str, report: Report) -> StoppedControl:
    trained = make_target(config, store=store, device=device, report=report)
    if epoch != trained.result["best_epoch"]:
        trained = make_target(config, store=store, device=device, report=report, kept_epoch=epoch)
    result = run_trial(config, store=store, device=device, report=report, trained=trained)
    return StoppedControl(
        freeze_point=config.target.frozen,
        epoch=epoch,
        validation_accuracy=trained.result["validation_accuracy"],
        test_accuracy=result.values["test_accuracy"],
        attack_accuracy=result.values["attack_accuracy"],
        interval=result.interval["attack_accuracy"],
        per_identity=per_person(config, result),
    )


def per_person(config: TrialConfig, result: TrialResult) -> tuple[float, ...]:
    """Return the success rate of each attacked person, whose mean is the trial's attack accuracy."""
    attacks = result.attacks or {}
    if config.suite == "mean":
        rates = torch.tensor([list(attack.per_identity) for attack in attacks.values()]).double().mean(0)
        return tuple(rates.tolist())
    return tuple(attacks[str(result.strongest)].per_identity)
