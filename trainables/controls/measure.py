"""All controls of a study, one after the other; each is made once and kept in the store."""

from trainables.config import TrialConfig
from trainables.controls.ceiling import ceiling_target, ceiling_trial
from trainables.controls.null import make_null
from trainables.controls.options import Controls
from trainables.controls.results import ControlResults, TargetControl
from trainables.controls.targets import attack_target, positive_target, sampler_target, undefended
from trainables.errors import ConfigError
from trainables.runtime.progress import Report, silent
from trainables.stages.target import make_target
from trainables.storage.documents import suggestion
from trainables.storage.store import Stage, Store


def check_controls(config: TrialConfig, controls: Controls) -> None:
    """Raise `ConfigError` if the controls do not fit the trial, before any work."""
    names = config.attack_plans
    if controls.attack is not None and controls.attack not in names:
        raise ConfigError(
            f"expected an attack of the trial, one of {', '.join(names)}; got '{controls.attack}'"
            f"{suggestion(controls.attack, names)} (controls.attack)"
        )
    if controls.ceiling:
        ceiling_trial(config, controls.ceiling_architecture)


def measure_controls(
    config: TrialConfig,
    controls: Controls | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> ControlResults:
    """Return what the controls of a study say whose template is `config`; its defense is left out.

    The undefended target is attacked first, by every attack of the template unless `controls` names one: the
    other controls run that one alone. What the store holds is not made again.
    """
    controls = controls or Controls()
    check_controls(config, controls)
    trial = undefended(config)
    trained = make_target(trial, store=store, device=device, report=report)
    first = _strongest(trial, controls, trained, store, device, report)
    attack = first.attack
    return ControlResults(
        attack=attack,
        undefended=first,
        null=make_null(
            trial,
            trial.attack_plans[attack],
            trained,
            controls.null_pictures,
            store=store,
            device=device,
            report=report,
        )
        if controls.null_pictures
        else None,
        ceiling=ceiling_target(
            config, attack, controls.ceiling_architecture, store=store, device=device, report=report
        )
        if controls.ceiling
        else None,
        positive=positive_target(
            config,
            attack,
            controls.smoothing,
            budget=controls.budget,
            store=store,
            device=device,
            report=report,
        )
        if controls.positive
        else None,
        sampler=sampler_target(config, attack, store=store, device=device, report=report)
        if controls.sampler
        else None,
    )


def _strongest(
    trial: TrialConfig, controls: Controls, trained: Stage, store: Store, device: str, report: Report
) -> TargetControl:
    names = [controls.attack] if controls.attack else list(trial.attack_plans)

    def attacked(name: str, budget: bool) -> TargetControl:
        return attack_target(
            "undefended", trial, name, trained, budget=budget, store=store, device=device, report=report
        )

    if len(names) > 1:  # of several only the strongest has its budget looked at
        names = [max(names, key=lambda name: attacked(name, False).rates.mean)]
    return attacked(names[0], controls.budget)
