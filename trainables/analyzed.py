"""An analysis of one trial: a row of figures for each of its attacks, of stages that are found, or made."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainables.analyses import ANALYSES
from trainables.analyses.base import Analysis, TrainingAnalysis
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig, load_trial
from trainables.errors import ConfigError
from trainables.runtime.progress import Report, silent
from trainables.stages.analysis import make_analysis, make_training_analysis
from trainables.stages.attack import make_attack
from trainables.stages.auxiliary import make_auxiliary
from trainables.stages.data import load_data
from trainables.stages.judge import make_judge
from trainables.stages.prior import make_prior
from trainables.stages.warnings import trial_warnings
from trainables.storage.store import Stage, Store

Warn = Callable[[Sequence[str]], None]


def analyze_trial(
    config: TrialConfig,
    analysis: Analysis | TrainingAnalysis,
    *,
    target: str = "",
    attacks: Mapping[str, str] | None = None,
    judges: Sequence[str] = (),
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    warn: Warn | None = None,
) -> list[dict[str, Any]]:
    """Return ``{"attack": name, **figures}`` for each attack; one row, "" its attack, for a way of training.

    target, attacks, judges: content keys of finished stages, attacks by name ("" for a single one), judges in
    order. Attacks and judges that the store lacks are made; a way of training needs none of these. warn: told
    what must be known of the trial once its judges are there. Raises `ConfigError` without the target.
    """
    if isinstance(analysis, TrainingAnalysis):
        made = make_training_analysis(config, analysis, store=store, device=device, report=report)
        return [{"attack": "", **made.result}]
    trained = store.fetch("target", target)
    if trained is None:
        raise ConfigError(f"expected the target {target} in {store.root}, found nothing; analyze where it is")
    asked = config.judges if analysis.takes_opinions else config.judges[:1]
    keys = [*judges, *[""] * len(asked)]
    fitted = [
        _find(store, "judge", key) or make_judge(config, judge, store=store, device=device, report=report)
        for judge, key in zip(asked, keys, strict=False)
    ]
    if warn is not None:
        warn(trial_warnings(config, load_data(config), trained, fitted, ()))
    known = attacks or {}
    rows = []
    for name, plan in config.attack_plans.items():
        attacked = _find(store, "attack", known.get(name) or known.get("", "")) or _attack(
            config, plan, trained, store, device, report
        )
        figures = make_analysis(
            config,
            analysis,
            trained,
            attacked,
            fitted[0],
            fitted[1:],
            store=store,
            device=device,
            report=report,
        ).result
        rows.append({"attack": name, **figures})
    return rows


def analyze_document(
    trial: dict[str, Any], *, analysis: str, store_root: str, device: str, report: Report, **stages: Any
) -> dict[str, Any]:
    """Return ``{"rows": rows}``, the figures of `analysis` for the trial of a document, see `analyze_trial`.

    stages: the keys of what is finished, as that takes them. What is the user's mistake comes back as
    ``{"refused": why}``: to whoever asks for an analysis it is no failed trial.
    """
    store, asked = Store(Path(store_root)), ANALYSES[analysis]()
    try:
        rows = analyze_trial(load_trial(trial), asked, store=store, device=device, report=report, **stages)
    except ConfigError as error:
        return {"refused": str(error)}
    return {"rows": rows}


def _find(store: Store, stage: str, key: str) -> Stage | None:
    return store.fetch(stage, key) if key else None


def _attack(
    config: TrialConfig, plan: AttackPlan, trained: Stage, store: Store, device: str, report: Report
) -> Stage:
    """Return the reconstructions of an attack, made with the prior and what else it needs."""
    prior = make_prior(config, plan.prior, trained, store=store, device=device, report=report, plan=plan)
    learnt = make_auxiliary(config, plan, trained, store=store, device=device, report=report)
    return make_attack(config, plan, trained, prior, learnt, store=store, device=device, report=report)
