"""The attack, as a stage: reconstructions of the attacked identities."""

import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.attacks.base import Reconstructions
from trainables.attacks.plan import AttackPlan
from trainables.attacks.sharding import Part, Spread, Work, cut, merge
from trainables.config import TrialConfig
from trainables.nn.precision import precision_scope
from trainables.runtime.memory import keep_freed_memory
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.base import VERSIONS, on_machine
from trainables.stages.data import attacked_identities, load_data
from trainables.stages.prior import load_prior
from trainables.stages.target import _read_target, seen_by
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.resume import Resume
from trainables.storage.store import Stage, Store, content_key


def make_attack(
    config: TrialConfig,
    plan: AttackPlan,
    trained: Stage,
    prior: Stage,
    auxiliary: Stage | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    spread: Spread | None = None,
    longer: AttackPlan | None = None,
) -> Stage:
    """Return the reconstructions that the attack of `plan` makes of the trained target.

    spread: runs parts of the identities elsewhere; None works on all of them here. The result is the same.
    longer: an attack of which this one is the beginning (`is_prefix_of_longer`); it finds this state.
    """
    data = load_data(config)
    plan = plan.on(device)
    longer = longer and longer.on(device)

    def parts_of(plan: AttackPlan) -> dict[str, Any]:
        return {
            "version": VERSIONS["attack"],
            "attack": with_content(plan.attack),
            **plan.against(config.defense).unusual,
            "prior": prior.key,
            "target": trained.key,
            "identities": config.identities if config.attacked is None else list(config.attacked),
            **({} if auxiliary is None else {"auxiliary": auxiliary.key}),
        }

    unfinished = store.root / "attack" / f"{content_key(**parts_of(longer or plan))}.unfinished"

    def make(folder: Path) -> dict[str, Any]:
        identities = attacked_identities(config, data)
        job = Job(
            config=config,
            plan=plan,
            trained=trained.path,
            prior=prior.path,
            auxiliary=None if auxiliary is None else auxiliary.path,
            identities=identities,
            classes=data.split.train.classes,
        )
        shards = 1 if spread is None else spread.shards
        spread_out = spread or _here
        parts = cut(len(identities), shards, plan.attack.group_size, unfinished)
        reconstructions = merge(spread_out(functools.partial(invert_part, job), parts, device, report))
        save(
            {
                "images": reconstructions.images.cpu(),
                "latents": reconstructions.latents.cpu(),
                "identities": identities,
            },
            folder / "reconstructions.pt",
        )
        queries = reconstructions.queries
        if queries is not None and not plan.attack.reports_prior_queries:
            queries *= plan.answers_averaged  # attacks count the images that they ask about
        return {"history": reconstructions.history, "queries": queries}

    made = store.get("attack", parts_of(plan), on_machine(device, make))
    if longer is None:
        shutil.rmtree(unfinished, ignore_errors=True)
    return made


@dataclass(frozen=True, kw_only=True)
class Job:
    """An attack on a trained target, with the folders of the stages it needs: what another process must know.

    identities: labels, int64 (N,). classes: of the target. The data are not needed.
    """

    config: TrialConfig
    plan: AttackPlan
    trained: Path
    prior: Path
    auxiliary: Path | None
    identities: Tensor
    classes: int


def invert_part(job: Job, part: Part, device: str, report: Report) -> Reconstructions:
    """Return the reconstructions of the identities of `part`; what is unfinished lies in its folder."""
    keep_freed_memory()  # this may be a process that makes no stage
    config, attack = job.config, job.plan.attack
    target = _read_target(config, job.classes, job.trained).to(device)
    with precision_scope(job.plan.settings_on(device)):
        return attack.invert(
            seen_by(config, job.plan, target, job.trained, device),
            load_prior(config, job.plan.prior, job.prior, job.classes, device),
            job.identities[part.first : part.stop],
            run=Run(
                seed=derive(config.seed, "replicate", config.replicate),
                device=device,
                report=report,
                resume=Resume(part.folder),
            ),
            auxiliary=None if job.auxiliary is None else load(job.auxiliary / "auxiliary.pt"),
        )


def _here(work: Work, parts: Sequence[Part], device: str, report: Report) -> list[Reconstructions]:
    return [work(part, device, report) for part in parts]
