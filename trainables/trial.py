"""One trial, top to bottom: target, then for each attack prior, attack and judge. No stage is made twice."""

import dataclasses
from collections.abc import Sequence

from trainables.attacks.plan import AttackPlan
from trainables.attacks.sharding import Spread
from trainables.config import TrialConfig
from trainables.results import AttackResult, Interval, TrialResult
from trainables.runtime.progress import Report, silent
from trainables.stages.attack import make_attack
from trainables.stages.auxiliary import make_auxiliary
from trainables.stages.data import load_data
from trainables.stages.evaluation import make_evaluation, measure_optional, useless_judge
from trainables.stages.judge import make_judges
from trainables.stages.opinion import gather_opinions, judge_figures, measure_judges
from trainables.stages.pretrained import DIGESTS, make_pretrained, pretraining_key
from trainables.stages.pretraining_distance import make_distance
from trainables.stages.prior import make_prior, prior_queries
from trainables.stages.target import make_target
from trainables.stages.warnings import judges_warnings, stored_prior_warnings
from trainables.storage.store import Stage, Store
from trainables.trial_result import Made

SHARED = ("pretrained", "prior", "judge")


def run_trial(
    config: TrialConfig,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    trained: Stage | None = None,
    spread: Spread | None = None,
) -> TrialResult:
    """Return what the trial measured.

    trained: a target to attack instead of one that is trained here, see `make_given_target`.
    spread: what runs parts of an attack elsewhere, see `make_attack`.
    Raises ConfigError for data that does not fit, TrialError for a trial that can give no result.
    """
    data = load_data(config)
    given = trained is not None  # it began elsewhere
    read = None if given else pretraining_key(config, store.root / DIGESTS)
    trained = trained or make_target(config, store=store, device=device, report=report)
    distance = None if given else make_distance(config, store=store, device=device)
    attacks = {
        name: run_attack(config, plan, trained, store=store, device=device, report=report, spread=spread)
        for name, plan in config.attack_plans.items()
    }
    judges = make_judges(config, store=store, device=device, report=report)
    judged = judge_figures(config, judges, store=store, device=device)
    return Made(
        config=config,
        data=data,
        trained=trained,
        attacks=attacks,
        judges=judges,
        judged=judged,
        distance=distance,
        read=read,
    ).result()


def run_attack(
    config: TrialConfig,
    plan: AttackPlan,
    trained: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    spread: Spread | None = None,
    longer: AttackPlan | None = None,
) -> AttackResult:
    """Return what one attack reached on the trained target.

    spread, longer: see `make_attack`.
    """
    prior = make_prior(config, plan.prior, trained, store=store, device=device, report=report, plan=plan)
    learnt = make_auxiliary(config, plan, trained, store=store, device=device, report=report)
    attacked = make_attack(
        config,
        plan,
        trained,
        prior,
        learnt,
        store=store,
        device=device,
        report=report,
        spread=spread,
        longer=longer,
    )
    judges = make_judges(config, store=store, device=device, report=report)
    verdict = make_evaluation(config, trained, attacked, judges[0], store=store, device=device, report=report)
    opinions = gather_opinions(config, judges, attacked, store=store, device=device, report=report)
    extra = measure_optional(config, judges[0], attacked, store=store, device=device, report=report)
    asked = [made.result["queries"] for made in (learnt, attacked) if made]
    if plan.attack.threat_model != "white-box" and not plan.attack.reports_prior_queries:
        asked.append(prior_queries(config, plan.prior, prior))
    queries = [count for count in asked if count is not None]
    return AttackResult(
        kind=plan.attack.kind,
        threat_model=plan.attack.threat_model,
        metrics={
            **verdict.result["metrics"],
            **opinions.metrics,
            **extra.metrics,
            **({"queries": sum(queries)} if queries else {}),
        },
        interval=Interval.from_json(verdict.result["interval"]),
        verified=opinions.interval,
        per_identity=verdict.result["per_identity"],
        restarts=verdict.result["restarts"],
        seconds={
            **({"prior": prior.seconds} if plan.prior.needs_target else {}),
            **({} if learnt is None else {"auxiliary": learnt.seconds}),
            "attack": attacked.seconds,
            "judge": verdict.seconds + opinions.seconds + extra.seconds,
        },
        history=attacked.result["history"],
        path=str(attacked.path),
        warnings=[
            *stored_prior_warnings(plan.prior.kind, prior, load_data(config).public.pixels),
            *extra.warnings,
        ],
        machines={"prior": prior.machine, "attack": attacked.machine},
    )


def make_shared(
    config: TrialConfig, name: str, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the shared stage `name` (one of `SHARED`), made now if the store does not hold it.

    "pretrained" also measures the backbone. "prior" makes every prior of the trial that needs no target and
    returns the last, "judge" every judge, measures it and returns the first; with all their seconds.
    """
    if name == "pretrained":
        backbone = make_pretrained(config, store=store, device=device, report=report)
        distance = make_distance(config, store=store, device=device)
        return backbone if distance is None else _all_of([backbone, distance], backbone)
    if name == "judge":
        made = make_judges(config, store=store, device=device, report=report)
        measured = [stage for stage in measure_judges(config, made, store=store, device=device) if stage]
        return _all_of([*made, *measured], made[0])
    made = [
        make_prior(config, prior, store=store, device=device, report=report)
        for prior in dict.fromkeys(plan.prior for plan in config.attack_plans.values())
        if not prior.needs_target
    ]
    return _all_of(made, made[-1])


def _all_of(made: Sequence[Stage], named: Stage) -> Stage:
    """Return the stage `named` with the seconds of all that were made."""
    return dataclasses.replace(
        named, seconds=sum(stage.seconds for stage in made), made_now=any(stage.made_now for stage in made)
    )


def shared_warnings(config: TrialConfig, name: str, *, store: Store) -> tuple[list[str], str]:
    """Return what a reader must know of the shared stage `name`, which the store holds, and why no trial
    should begin on it: "" but for a useless judge."""
    data = load_data(config)
    if name == "judge":
        judges = make_judges(config, store=store)
        people = data.split.train.classes
        useless = useless_judge(judges[0].result["test_accuracy"], identities=people)
        return judges_warnings(config, judges, identities=people), useless
    if name == "prior":
        priors = dict.fromkeys(plan.prior for plan in config.attack_plans.values())
        texts = [
            text
            for prior in priors
            if not prior.needs_target
            for text in stored_prior_warnings(
                prior.kind, make_prior(config, prior, store=store), data.public.pixels
            )
        ]
        return texts, ""
    return [], ""
