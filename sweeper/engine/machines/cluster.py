"""The Ray cluster of a sweep, one started here or one that exists, and what each trial gets of it."""

import logging
import math
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sweeper.engine.machines.resources import (
    TINY,
    Node,
    ProcessResources,
    check_fitting,
    count_shards,
    fitting,
    per_process,
    shard_share,
)
from sweeper.engine.signals import same_handlers
from sweeper.study.study import Resources
from trainables.errors import ConfigError, TrialError
from trainables.storage.remote import VARIABLE

OBJECT_STORE_BYTES = 200_000_000  # results are small; Ray's default would take a third of the memory
WORKER_RETRIES = 2  # of a trial, a stage or controls whose worker died
AT_ONCE_PER_GPU = 4
AT_ONCE_ON_CPU = 4
REACH_SECONDS = 10.0
STARTS = 3


@dataclass(frozen=True)
class TrialResources:
    """Resources of one trial, the number of trials at once, and the best machine's for shared stages."""

    cpus: float
    gpus: float
    concurrent: int
    node_cpus: float
    node_gpus: float
    shards: int = 1
    shard: ProcessResources | None = None

    @property
    def threads(self) -> int:
        """Return the threads that a trial may use."""
        return max(1, int(self.cpus))

    @property
    def processes(self) -> list[ProcessResources]:
        """Return what each process of a trial gets: its own first, then those that its attacks spread to."""
        others = [] if self.shard is None else [self.shard] * (self.shards - 1)
        return [ProcessResources(self.cpus, self.gpus), *others]

    def fits(self, nodes: Sequence[Node]) -> bool:
        """Return whether `nodes` could run a trial, with all its processes."""
        return fitting(self.processes, nodes, 1) == 1


def allot(resources: Resources, nodes: Sequence[Node]) -> TrialResources:
    """Return what each trial and its `processes` get; raise `ConfigError` if they do not fit on the machines.

    No more run at once than fit, whatever the user chose: what the others would get is divided as well.
    """
    shards = count_shards(resources, sum(node.gpus for node in nodes))
    found = _divide(resources, nodes, shards)
    most = found.concurrent
    fit = check_fitting(found.processes, nodes, most) if shards > 1 else fitting(found.processes, nodes, most)
    if fit in (0, most):  # 0: one trial on a machine with less than a core
        return replace(found, concurrent=max(1, fit))
    fewer = _divide(replace(resources, concurrent=fit), nodes, shards)
    return fewer if fitting(fewer.processes, nodes, fit) == fit else replace(found, concurrent=fit)


def _divide(resources: Resources, nodes: Sequence[Node], shards: int) -> TrialResources:
    """Return what each trial of `shards` processes gets, be there room for all of them or not.

    The machines are divided among processes as they are among trials of one process.
    """
    if shards == 1:
        return _allot(resources, nodes)
    each = per_process(resources, shards)
    request = resources.concurrent
    concurrent = max(1, _allot(each, nodes).concurrent // shards) if request == "auto" else request
    process = _allot(replace(each, concurrent=concurrent * shards), nodes)
    shard = shard_share(resources, ProcessResources(process.cpus, process.gpus))
    return replace(process, concurrent=concurrent, shards=shards, shard=shard)


def _allot(resources: Resources, nodes: Sequence[Node]) -> TrialResources:
    """Return what each trial gets of the machines; raise `ConfigError` if it cannot fit on any of them.

    A trial runs on one machine, so what it gets is bounded by the largest, whatever there is in all. Where
    trials use GPUs, only machines with GPUs count.
    """
    cores, share = _fixed(resources.cpus_per_trial), _fixed(resources.gpus_per_trial)
    usable, on_gpus = _usable(share, nodes)
    _check_cores(cores, usable, nodes)
    concurrent = _concurrent(resources, usable, cores, share, on_gpus)
    if share is None:
        share = _divide_gpus(usable, concurrent) if on_gpus else 0.0
    if cores is None:
        cores = _divide_cores(usable, share, concurrent)
    best = max(nodes, key=lambda node: (node.gpus, node.cpus))
    return TrialResources(cores, share, concurrent, best.cpus, best.gpus)


def _fixed(setting: float | Literal["auto"]) -> float | None:
    """Return what the user chose, or None to divide the machines."""
    return None if setting == "auto" else float(setting)


def _usable(share: float | None, nodes: Sequence[Node]) -> tuple[list[Node], bool]:
    """Return the machines that have `share` GPUs, and whether trials use GPUs at all.

    share: GPUs of a trial; with None trials use GPUs where a machine has one. Raises `ConfigError` if no
    machine has so many.
    """
    most = max(node.gpus for node in nodes)
    if share is not None and share > most:
        raise ConfigError(
            f"resources.gpus_per_trial must be at most the {most:g} GPUs {_where(nodes)}; got {share:g}"
        )
    on_gpus = share > 0 if share is not None else most >= 1
    return [node for node in nodes if node.gpus >= (share or 1)] if on_gpus else list(nodes), on_gpus


def _check_cores(cores: float | None, usable: Sequence[Node], nodes: Sequence[Node]) -> None:
    """Raise `ConfigError` if no machine of `usable`, among `nodes`, has so many cores."""
    most = max(node.cpus for node in usable)
    if cores is not None and cores > most:
        where = _where(nodes) + (" that has the GPUs" if len(usable) < len(nodes) else "")
        raise ConfigError(
            f"resources.cpus_per_trial must be at most the {most:g} cores {where}; got {cores:g}"
        )


def _where(nodes: Sequence[Node]) -> str:
    return "that there are" if len(nodes) == 1 else "of the largest machine"


def _concurrent(
    resources: Resources, usable: Sequence[Node], cores: float | None, share: float | None, on_gpus: bool
) -> int:
    """Return how many trials run at once: what the user chose, or as many as fit."""
    if resources.concurrent != "auto":
        return int(resources.concurrent)
    room = _room(usable, cores or 1, share or (1 / AT_ONCE_PER_GPU if on_gpus else 0))
    return max(1, room if on_gpus else min(room, AT_ONCE_ON_CPU * len(usable)))


def _divide_gpus(nodes: Sequence[Node], concurrent: int) -> float:
    """Return the share of a GPU that each of `concurrent` trials gets, in whole hundredths, at least one."""
    return max(1, int(100 / math.ceil(concurrent / sum(node.gpus for node in nodes)))) / 100


def _room(nodes: Sequence[Node], cores: float, share: float) -> int:
    """Return how many trials of so many cores and GPUs fit on `nodes` at once."""
    return sum(min(int(node.cpus / cores + TINY), _places(node.gpus, share)) for node in nodes)


def _places(gpus: float, share: float) -> int:
    """Return how many trials find their `share` on so many GPUs; a part of a GPU is of one GPU."""
    if share >= 1:
        return int(gpus / share + TINY)
    return int(gpus) * int(1 / share + TINY) if share else sys.maxsize


def _divide_cores(nodes: Sequence[Node], share: float, concurrent: int) -> float:
    """Return the most whole cores, at least 1, of which `concurrent` trials fit on `nodes`."""
    for cores in range(int(max(node.cpus for node in nodes)), 1, -1):
        if _room(nodes, cores, share) >= concurrent:
            return float(cores)
    return 1.0


@contextmanager
def cluster(address: str | None) -> Iterator[list[Node]]:
    """Connect to a Ray cluster, or start one here; yield its machines. One that is connected stays.

    Workers keep finished stages in the home's store, under the same path on every machine, and find there
    what others made: on a shared disk, or through a `RemoteStore`. The driver alone opens the databases.
    """
    os.environ |= {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we stop ourselves, and say how to go on
        "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshots grow with the trials and are never read
        "TUNE_WARN_THRESHOLD_S": "60",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")  # Ray gives a busy machine 30 s to start
    import ray
    from ray.exceptions import RayError

    for noisy in ("ray", "ray.tune", "ray.train", "ray._private.worker"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # a lost worker is our trial's reason, in words
    connected = ray.is_initialized()
    if not connected:
        address = chosen_address(address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address:
            if Path("~/.ray/auth_token").expanduser().exists():  # a cluster that was started here asks for it
                os.environ.setdefault("RAY_AUTH_MODE", "token")
            try:
                with same_handlers():
                    ray.init(address=address, runtime_env=_environment(), **quiet)
            except (ConnectionError, RuntimeError, ValueError, TimeoutError, RayError) as error:
                raise ConfigError(_no_cluster(address, error)) from None
            _check_workers(address)
        else:
            start_here(**quiet)
    try:
        yield machines() or [Node(1.0, 0.0)]
    finally:
        if not connected:
            ray.shutdown()


class _Probe:
    """An actor that does nothing."""

    def answer(self) -> bool:
        return True


def _check_workers(address: str) -> None:
    """Raise `ConfigError` if no worker of the cluster can be used; a slow one may come later.

    A cluster that was started without a token lets one in that has one, and then kills all its workers.
    """
    import ray

    actor = ray.remote(num_cpus=0)(_Probe).remote()
    try:
        ray.get(actor.answer.remote(), timeout=REACH_SECONDS)
    except ray.exceptions.GetTimeoutError:
        return
    except ray.exceptions.RayError as error:
        ray.shutdown()
        hint = "see its logs"
        if os.environ.get("RAY_AUTH_MODE") == "token":
            hint = "if it was started without a token (~/.ray/auth_token), set RAY_AUTH_MODE=disabled"
        raise ConfigError(
            f"expected workers on the Ray cluster at {address}, but they die as they start: "
            f"{' '.join(str(error).split())[:300]}; {hint}"
        ) from None
    finally:
        if ray.is_initialized():
            ray.kill(actor)


def start_here(**options: Any) -> None:
    """Start Ray here; raise `TrialError` if it does not come up, as on a machine that is very busy.

    Raises `ConfigError` if its sockets have no room in the names of files.
    """
    import ray

    chosen = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, **options}
    for attempt in range(STARTS):
        try:
            with same_handlers():
                ray.init(address="local", **chosen)
            return
        except Exception as error:  # Ray gives itself 30 s, and then raises just that
            ray.shutdown()
            reason = " ".join(str(error).split())[:300]
            if "AF_UNIX path" in reason:
                raise ConfigError(
                    f"expected a short temporary folder for Ray, whose sockets lie there: {reason}; name "
                    "another with RAY_TMPDIR, such as RAY_TMPDIR=/tmp"
                ) from None
            if isinstance(error, OSError) and error.errno is not None:  # of files, and the same next time
                raise TrialError(
                    f"Ray did not start on this machine: {reason}; its files lie in {_temporary_folder()} "
                    "(RAY_TMPDIR names another), its memory in /dev/shm"
                ) from error
            if attempt == STARTS - 1:
                raise TrialError(
                    f"Ray did not start on this machine, {STARTS} times: {reason}; {_remedy(reason)}, or "
                    "name a cluster that runs (ray start --head; --address auto)"
                ) from error


def _remedy(reason: str) -> str:
    """Return what to do about a Ray that did not start; a machine that is busy is guessed from waits only."""
    if re.search(r"time[d ]*out|in time|within|seconds|starting up|wait", reason, re.IGNORECASE):
        return "start again when the machine is less busy"
    return f"see its logs in {_temporary_folder()}/ray/session_latest/logs"


def _temporary_folder() -> str:
    """Return where Ray keeps its session: in the first of these that is named."""
    return os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"


def machines() -> list[Node]:
    """Return the machines that the connected cluster has now, but for those without cores (a head that only
    leads, say)."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(have["CPU"], have.get("GPU", 0.0)) for have in alive if have.get("CPU")]


def check_address(address: str | None) -> None:
    """Raise `ConfigError` within seconds unless Ray answers at ``host:port``; Ray itself waits for minutes.

    Nothing is checked for a cluster that is started here, for "auto", and for one that speaks TLS. Ray's
    client (``ray://``) is refused: it would run the driver, which writes the databases, elsewhere.
    """
    address = chosen_address(address)
    if address and address.startswith("ray://"):
        raise ConfigError(
            f"expected host:port or auto for the Ray cluster, got {address}; run sweeper on a machine of the "
            "cluster (ray start --address=HOST:PORT makes this one join), with --address auto"
        )
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if not address or not port.isdigit():
        return
    import ray

    if ray.is_initialized():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS) as wire:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return
            wire.settimeout(REACH_SECONDS)
            wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            begun = wire.recv(4)  # Ray speaks gRPC, which begins with HTTP/2's settings: a frame of type 4
    except OSError as error:
        raise ConfigError(_no_cluster(address, error)) from None
    if begun[3:] != b"\4":
        raise ConfigError(_no_cluster(address, ConnectionError("something answers there that is not Ray")))


def chosen_address(address: str | None) -> str | None:
    """Return the address of the cluster that is named, by `address` or RAY_ADDRESS; None for none."""
    return address or os.environ.get("RAY_ADDRESS") or None


def _no_cluster(address: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"expected a Ray cluster at {address}, got: {text}; check --address and RAY_ADDRESS"


def _environment() -> dict[str, Any]:
    """Return what workers of a cluster that was not started here lack: our packages, the mirror's place."""
    named = {VARIABLE: os.environ[VARIABLE]} if os.environ.get(VARIABLE) else {}
    return {"py_modules": _own_packages(), "env_vars": named}


def _own_packages() -> list[str]:
    """Return the folders of our packages."""
    import search_spaces
    import sweeper
    import trainables

    return [str(Path(package.__file__ or "").parent) for package in (search_spaces, sweeper, trainables)]
