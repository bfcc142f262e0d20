"""The Ray cluster of a sweep, one started here or one that exists, and what each trial gets of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.study import Resources
from trainables.errors import ConfigError

OBJECT_STORE_BYTES = 200_000_000  # results are small; Ray's default would take a third of the memory
AT_ONCE_PER_GPU = 4
AT_ONCE_ON_CPU = 4


@dataclass(frozen=True)
class Allotment:
    """What one trial gets, how many run at once, and what there is in all."""

    cpus: float
    gpus: float
    concurrent: int
    total_cpus: float
    total_gpus: float

    @property
    def threads(self) -> int:
        """Return the threads of torch in one trial."""
        return max(1, int(self.cpus))


def allot(resources: Resources, cpus: float, gpus: float) -> Allotment:
    """Return what each trial gets of `cpus` cores and `gpus` GPUs; raise `ConfigError` if it cannot fit."""
    auto = "auto"
    cores = None if resources.cpus_per_trial == auto else float(resources.cpus_per_trial)
    share = None if resources.gpus_per_trial == auto else float(resources.gpus_per_trial)
    if cores is not None and cores > cpus:
        raise ConfigError(
            f"resources.cpus_per_trial must be at most the {cpus:g} cores that there are; got {cores:g}"
        )
    if share is not None and share > gpus:
        raise ConfigError(
            f"resources.gpus_per_trial must be at most the {gpus:g} GPUs that there are; got {share:g}"
        )
    if resources.concurrent != auto:
        concurrent = int(resources.concurrent)
    else:
        concurrent = int(AT_ONCE_PER_GPU * gpus) if gpus >= 1 and share != 0 else AT_ONCE_ON_CPU
        if share:
            concurrent = int(gpus / share)
        concurrent = max(1, min(concurrent, int(cpus / (cores or 1))))
    if share is None:
        share = min(1.0, int(100 * gpus / concurrent) / 100) if gpus >= 1 else 0.0
    if cores is None:
        cores = float(max(1, int(cpus // concurrent)))
    return Allotment(cores, share, concurrent, cpus, gpus)


@contextmanager
def cluster(address: str | None) -> Iterator[tuple[float, float]]:
    """Connect to a Ray cluster, or start one here; yield its cores and GPUs. One that is connected stays."""
    os.environ |= {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # we stop ourselves, and say how to go on
        "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshots grow with the trials and are never read
        "TUNE_WARN_THRESHOLD_S": "60",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")  # Ray gives a busy machine 30 s to start
    import ray

    for noisy in ("ray", "ray.tune", "ray.train", "ray._private.worker"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # a lost worker is our trial's reason, in words
    connected = ray.is_initialized()
    if not connected:
        address = address or os.environ.get("RAY_ADDRESS")
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address:
            _check_address(address)
            if Path("~/.ray/auth_token").expanduser().exists():  # a cluster that was started here asks for it
                os.environ.setdefault("RAY_AUTH_MODE", "token")
            try:
                ray.init(address=address, runtime_env={"py_modules": _own_packages()}, **quiet)
            except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
                raise ConfigError(_no_cluster(address, error)) from None
        else:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                **quiet,
            )
    try:
        have = ray.cluster_resources()
        yield have.get("CPU", 1.0), have.get("GPU", 0.0)
    finally:
        if not connected:
            ray.shutdown()


def _check_address(address: str) -> None:
    """Raise `ConfigError` soon if nothing listens at ``host:port``; Ray itself waits for minutes."""
    import socket

    host, _, port = address.rpartition("://")[2].partition(":")
    if not port.isdigit():
        return  # "auto", or a scheme of its own
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConfigError(_no_cluster(address, error)) from None


def _no_cluster(address: str, error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"expected a Ray cluster at {address}, got: {text}; check --address and RAY_ADDRESS"


def _own_packages() -> list[str]:
    """Return the folders of our packages, for the workers of a cluster that does not have them."""
    import search_spaces
    import sweeper
    import trainables

    return [str(Path(package.__file__ or "").parent) for package in (search_spaces, sweeper, trainables)]
