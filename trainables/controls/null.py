"""The floor: whom the judge names in pictures of the prior that never saw the target."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.attacks.base import Attack
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.controls.results import NullControl
from trainables.judges.base import outputs
from trainables.priors.base import Prior
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.base import on_machine
from trainables.stages.data import attacked_identities, load_data
from trainables.stages.judge import make_judge
from trainables.stages.prior import load_prior, make_prior
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.store import Stage, Store

VERSION = 1  # of both stages


def null_source(config: TrialConfig, plan: AttackPlan) -> tuple[Prior, Attack | None]:
    """Return the prior that draws the floor, and the attack within whose bounds it does.

    That is the prior of `plan`, unless that was trained with the target: then the first of the study that was
    not, with the first attack that uses it, or none. A study whose priors all need a target has but the prior
    of `plan`: with labels at random its pictures are of nobody in particular, though they may be more like
    the private people than a prior's that never saw the target, so the floor is rather too high.
    """
    plans = [plan, *(other for other in config.attack if other != plan)]
    for other in plans:
        if not other.prior.needs_target:
            return other.prior, other.attack
    if not config.prior.needs_target:
        return config.prior, None
    return plan.prior, plan.attack


def make_null(
    config: TrialConfig,
    plan: AttackPlan,
    trained: Stage,
    pictures: int,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> NullControl:
    """Return the floor of `plan`'s attack, of so many pictures; trained: the undefended target.

    The target is used only where every prior of the study needs one.
    """
    prior, attack = null_source(config, plan)
    drawn = _make_pictures(config, prior, attack, trained, pictures, store, device, report)
    data = load_data(config)
    judged = make_judge(config, store=store, device=device, report=report)

    def make(_: Path) -> dict[str, Any]:
        judge = config.judge.restore(load(judged.path / "judge.pt"), data.split, device)
        images: Tensor = load(drawn.path / "pictures.pt")
        names = outputs(judge.logits, images, device).argmax(1)
        return {"counts": names.bincount(minlength=data.split.train.classes).tolist()}

    parts = {"version": VERSION, "pictures": drawn.key, "judge": judged.key}
    named = store.get("null", parts, on_machine(device, make))
    counts = torch.tensor(named.result["counts"])
    shares = counts[attacked_identities(config, data)].double() / pictures
    return NullControl(
        prior=prior.kind,
        attack=None if attack is None else attack.kind,
        saw_target=prior.needs_target,
        pictures=pictures,
        per_identity=tuple(shares.tolist()),
        named=int((counts > 0).sum()),
        seconds=drawn.seconds + named.seconds,
        path=str(drawn.path),
    )


def _make_pictures(
    config: TrialConfig,
    prior: Prior,
    attack: Attack | None,
    trained: Stage,
    pictures: int,
    store: Store,
    device: str,
    report: Report,
) -> Stage:
    """Return pictures of the prior, uint8 (pictures, 3, S, S) in ``pictures.pt``."""
    stage = make_prior(config, prior, trained, store=store, device=device, report=report)

    def make(folder: Path) -> dict[str, Any]:
        classes = load_data(config).split.train.classes
        networks = load_prior(config, prior, stage.path, classes, device)
        run = Run(seed=derive(config.seed, "null"), device=device, report=report)
        report("null", 0, 1)
        save((attack or Attack()).unguided(networks, pictures, run=run), folder / "pictures.pt")
        report("null", 1, 1)
        return {"pictures": pictures}

    parts = {
        "version": VERSION,
        "prior": stage.key,
        "attack": None if attack is None else with_content(attack),
        "pictures": pictures,
        "seed": config.seed,
    }
    return store.get("null_pictures", parts, on_machine(device, make))
