"""The Ray Tune trainable around a trial, and its attack in parts; the one file in here that imports ray."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from trainables.errors import TrialError
from trainables.runtime.background import BackgroundJob, limit_threads, set_niceness
from trainables.runtime.progress import Report
from trainables.storage.store import Store

if TYPE_CHECKING:  # torch is loaded by the work, not by the driver
    from trainables.attacks.base import Reconstructions
    from trainables.attacks.sharding import Part, Spread, Work

Run = Callable[..., dict[str, Any]]

POLL_SECONDS = 1.0
SHARD_RETRIES = 2


class TuneTrial(tune.Trainable):
    """Runs ``run(trial, store_root=, device=, report=)`` in a thread and reports where it stands.

    The thread starts with the first step, not with the actor: while an actor is being made for a trial, Tune
    may give the trial to another that fell free, and keep the new one for later. The trial would run twice.

    The configuration is ``{"trial": document, "store_root": str, "threads": int | None, "niceness": int |
    None, ...}``; what it has under ``options`` goes to `run` as well, and what it has under ``shards``, the
    fields of a `ShardTasks`, as ``spread``. Each step returns after a second at most, with a `Standing`
    (whole: Tune would flatten a dict). Nothing that happens inside a trial kills the actor, so the only
    actors lost are those that the machine killed.
    """

    def setup(self, config: dict[str, Any], run: Run | None = None) -> None:
        """Take the first trial of this actor; `run` comes through ``tune.with_parameters``."""
        if run is None:
            raise ValueError("TuneTrial expects `run`; wrap it in tune.with_parameters(TuneTrial, run=...)")
        self._run_trial = run
        self._background = BackgroundJob(config.get("threads"), config.get("niceness"))
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
        status = self._background.poll(POLL_SECONDS)
        return {"done": status.state != "running", "status": status}

    def _begin(self, config: dict[str, Any]) -> None:
        run, device, options = self._run_trial, device_here(), dict(config.get("options") or {})
        if config.get("shards"):
            options["spread"] = ShardTasks(**config["shards"])
        self._background.start(
            lambda report: run(
                config["trial"], store_root=config["store_root"], device=device, report=report, **options
            )
        )


@dataclass(frozen=True)
class ShardTasks:
    """Spreads an attack (`trainables.attacks.sharding`): the first part stays here, others are Ray tasks.

    shards: parts at most. cpus, gpus, niceness: of each task. Task i runs in bundle i of the placement group
    that this process runs in, so it never waits for room; outside of a group, Ray places it where there is
    room. A task whose worker dies is started again and goes on from what it saved.
    """

    shards: int
    cpus: float
    gpus: float
    niceness: int | None = None

    def __call__(
        self, work: "Work", parts: "Sequence[Part]", device: str, report: Report
    ) -> "list[Reconstructions]":
        """Return what each part found; raise what went wrong in one, and `TrialError` if one is lost."""
        import ray

        from trainables.attacks.sharding import kept, noting, overall_progress

        if len(parts) == 1:
            return [work(parts[0], device, report)]
        running = [self._start(work, part, bundle) for bundle, part in enumerate(parts) if bundle]
        note = noting(parts[0])

        def look(seconds: float) -> None:
            ended, running[:] = ray.wait(running, num_returns=len(running), timeout=seconds)
            for task in ended:
                _check(task)
            report("attack", *overall_progress(parts))

        def told(stage: str, done: int, total: int, **metrics: float) -> None:
            note(stage, done, total)
            look(0.0)

        try:
            first = kept(work, parts[0], device, told)
            while running:
                look(POLL_SECONDS)
        finally:
            for task in running:
                ray.cancel(task, force=True)
        return [first, *(kept(work, part, device, report) for part in parts[1:])]

    def _start(self, work: "Work", part: "Part", bundle: int) -> Any:
        import ray
        from ray.util.placement_group import get_current_placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        group = get_current_placement_group()
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=SHARD_RETRIES)(run_shard)
        if group is not None:
            task = task.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group, bundle))
        return task.remote(work, part, max(1, int(self.cpus)), self.niceness)


def run_shard(work: "Work", part: "Part", threads: int, niceness: int | None = None) -> None:
    """Work out a part of an attack in this worker, with `threads` threads; leave the result in its folder."""
    from trainables.attacks.sharding import kept, noting

    limit_threads(threads)
    if niceness is not None:
        set_niceness(niceness)
    kept(work, part, device_here(), noting(part))


def _check(task: Any) -> None:
    """Raise what ended a task, as it was raised there; `TrialError` if its worker died too often."""
    import ray

    try:
        ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise TrialError(
            "a shard of the attack is lost: its worker died (killed, or out of memory), also when tried again"
        ) from error


def run_document(
    trial: dict[str, Any],
    *,
    store_root: str,
    device: str,
    report: Report,
    spread: "Spread | None" = None,
) -> dict[str, Any]:
    """Return, as JSON, what the trial of a document measured, with its stages in the store at `store_root`.

    spread: see ``trainables.stages.attack.make_attack``.
    """
    from trainables.config import load_trial
    from trainables.trial import run_trial

    store = Store(Path(store_root))
    result = run_trial(load_trial(trial), store=store, device=device, report=report, spread=spread)
    return result.to_json()


def make_stage(
    trial: dict[str, Any], stage: str, *, store_root: str, device: str, report: Report
) -> dict[str, Any]:
    """Make the shared stage `stage` of a trial document, or find it in the store.

    Returns JSON: ``path``, ``seconds``, ``made_now``, ``warnings``, and ``useless``, see `shared_warnings`.
    """
    from trainables.config import load_trial
    from trainables.trial import make_shared, shared_warnings

    config, store = load_trial(trial), Store(Path(store_root))
    made = make_shared(config, stage, store=store, device=device, report=report)
    warnings, useless = shared_warnings(config, stage, store=store)
    return {
        "path": str(made.path),
        "seconds": made.seconds,
        "made_now": made.made_now,
        "warnings": warnings,
        "useless": useless,
    }


def make_controls(
    trial: dict[str, Any], options: Mapping[str, Any], *, store_root: str, device: str, report: Report
) -> dict[str, Any]:
    """Return, as JSON, what the controls of a study measured whose template is `trial`.

    options: knobs of `trainables.controls.options.Controls`.
    """
    from trainables.config import load_trial
    from trainables.controls.measure import measure_controls
    from trainables.controls.options import Controls

    store, config = Store(Path(store_root)), load_trial(trial)
    results = measure_controls(config, Controls(**options), store=store, device=device, report=report)
    return results.to_json()


def make_stopped(
    trial: dict[str, Any], request: Mapping[str, Any], *, store_root: str, device: str, report: Report
) -> dict[str, Any]:
    """Return, as JSON, what trials' attacks reach on the undefended target of `trial`, stopped.

    request: ``most``, how many epochs are attacked, of which this ``share`` here, ``alike``, whether targets
    are frozen as trials with a defense are, and ``trials``, each with its ``number``, its document as
    ``trial`` and its ``validation_accuracy``. By number, as text; see `measure_stopped`.
    """
    from trainables.config import load_trial
    from trainables.controls.stopped import DefendedTrial, measure_stopped

    trials = [
        DefendedTrial(
            number=defended["number"],
            config=load_trial(defended["trial"]),
            validation_accuracy=defended["validation_accuracy"],
        )
        for defended in request["trials"]
    ]
    results = measure_stopped(
        load_trial(trial),
        trials,
        request["most"],
        alike=request["alike"],
        share=tuple(request["share"]),
        store=Store(Path(store_root)),
        device=device,
        report=report,
    )
    return {str(number): None if made is None else made.to_json() for number, made in results.items()}


def device_here() -> str:
    """Return "cuda" in a worker to which Ray gave (a part of) a GPU, else "cpu"."""
    import ray

    if not ray.get_gpu_ids():
        return "cpu"
    from trainables.runtime.run import device_of_this_process

    return device_of_this_process()
