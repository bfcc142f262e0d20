"""The Ray Tune trainable around a trial; the one file in here that imports ray."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune

from trainables.background import Background
from trainables.progress import Report
from trainables.store import Store

Run = Callable[..., dict[str, Any]]

POLL_SECONDS = 1.0


class TuneTrial(tune.Trainable):
    """Runs ``run(trial, store_root=, device=, report=)`` in a thread and reports where it stands.

    The thread starts with the first step, not with the actor: while an actor is being made for a trial, Tune
    may give the trial to another that fell free, and keep the new one for later. The trial would run twice.

    The configuration is ``{"trial": document, "store_root": str, "threads": int | None, ...}``; what it has
    under ``options`` goes to `run` as well. Each step
    returns after a second at most, with a `Standing` (whole: Tune would flatten a dict). Nothing that happens
    inside a trial kills the actor, so the only actors lost are those that the machine killed.
    """

    def setup(self, config: dict[str, Any], run: Run | None = None) -> None:
        """Take the first trial of this actor; `run` comes through ``tune.with_parameters``."""
        if run is None:
            raise ValueError("TuneTrial expects `run`; wrap it in tune.with_parameters(TuneTrial, run=...)")
        self._run_trial = run
        self._background = Background(config.get("threads"))
        self._waiting: dict[str, Any] | None = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process: what torch and the data cost to load is paid once."""
        self._waiting = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Return where the trial stands after waiting up to `POLL_SECONDS` for its end."""
        if self._waiting is not None:
            config, self._waiting = self._waiting, None
            self._begin(config)
        standing = self._background.poll(POLL_SECONDS)
        return {"done": standing.state != "running", "standing": standing}

    def _begin(self, config: dict[str, Any]) -> None:
        run, device, options = self._run_trial, device_here(), config.get("options") or {}
        self._background.start(
            lambda report: run(
                config["trial"], store_root=config["store_root"], device=device, report=report, **options
            )
        )


def run_document(trial: dict[str, Any], *, store_root: str, device: str, report: Report) -> dict[str, Any]:
    """Run the trial that a document describes, with its stages in the store at `store_root`."""
    from trainables.config import load_trial
    from trainables.trial import run_trial

    return run_trial(load_trial(trial), store=Store(Path(store_root)), device=device, report=report)


def make_stage(
    trial: dict[str, Any], stage: str, *, store_root: str, device: str, report: Report
) -> dict[str, Any]:
    """Make the shared stage `stage` of a trial document, or find it in the store."""
    from trainables.config import load_trial
    from trainables.trial import make_shared

    made = make_shared(load_trial(trial), stage, store=Store(Path(store_root)), device=device, report=report)
    return {"path": str(made.path), "seconds": made.seconds, "made_now": made.made_now}


def device_here() -> str:
    """Return "cuda" in a worker to which Ray gave (a part of) a GPU, else "cpu"."""
    import ray

    if not ray.get_gpu_ids():
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
