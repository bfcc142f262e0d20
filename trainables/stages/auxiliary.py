"""What an attack first makes of public images, mostly with a target, as a stage."""

from pathlib import Path
from typing import Any

from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.oracle import Oracle
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.stages.base import VERSIONS, on_machine
from trainables.stages.data import load_data
from trainables.stages.target import load_target, seen_by
from trainables.storage.content import with_content
from trainables.storage.disk import save
from trainables.storage.store import Stage, Store


def make_auxiliary(
    config: TrialConfig,
    plan: AttackPlan,
    trained: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage | None:
    """Return what the attack of `plan` learns of the target and public images first, or None."""
    recipe = plan.attack.auxiliary
    if recipe is None:
        return None
    data = load_data(config)

    def make(folder: Path) -> dict[str, Any]:
        seen: Any = None
        if recipe.needs_target:
            target = load_target(config, data, trained).to(device)
            seen = seen_by(config, plan, target, trained.path, device)
        made = recipe.make(seen, data.public, run=Run(seed=config.seed, device=device, report=report))
        save(made, folder / "auxiliary.pt")
        return {"queries": seen.queries if isinstance(seen, Oracle) else None}

    parts: dict[str, Any] = {
        "version": VERSIONS["auxiliary"],
        "auxiliary": with_content(recipe),
        "public": data.public_key,
        "seed": config.seed,
    }
    if recipe.needs_target:
        parts |= {"threat_model": plan.attack.threat_model, "target": trained.key}
        parts |= plan.against(config.defense).asking
    return store.get("auxiliary", parts, on_machine(device, make))
