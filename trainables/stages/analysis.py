"""Analysis of one attack on one target, as a stage: measured once and stored."""

from pathlib import Path
from typing import Any

from trainables.analyses.base import Analysis, Subject
from trainables.config import TrialConfig
from trainables.runtime.progress import Report, silent
from trainables.stages.base import _load, on_machine
from trainables.stages.data import load_data
from trainables.stages.target import load_target
from trainables.storage.content import with_content
from trainables.storage.store import Stage, Store

VERSION = 1  # of the stage itself: an analysis that computes something else raises its own


def make_analysis(
    config: TrialConfig,
    analysis: Analysis,
    trained: Stage,
    attacked: Stage,
    judged: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return the figures of `analysis`, as the result of a stage, for what `attacked` made of `trained`."""

    def make(_: Path) -> dict[str, Any]:
        data = load_data(config)
        reconstructions = _load(attacked.path / "reconstructions.pt")
        report("analysis", 0, 1)
        figures = analysis.measure(
            Subject(
                target=load_target(config, data, trained).to(device),
                judge=config.judge.restore(_load(judged.path / "judge.pt"), data.split, device),
                private=data.split,
                reconstructions=reconstructions["images"],
                identities=reconstructions["identities"],
                device=device,
                seed=config.seed,
            )
        )
        report("analysis", 1, 1)
        return figures

    # The keys of the other stages hold the seed, the image size and the private data.
    parts = {
        "version": VERSION,
        "analysis": with_content(analysis),
        "target": trained.key,
        "attack": attacked.key,
        "judge": judged.key,
    }
    return store.get("analysis", parts, on_machine(device, make))
