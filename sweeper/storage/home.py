"""Home of a sweep's state: one folder, or the databases that the environment names."""

import errno
import hashlib
import json
import os
import shlex
import socket
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sweeper.storage.databases import alone, check_storage, sqlite_url, storage_errors, write_ahead
from trainables.errors import ConfigError, DiskError
from trainables.storage.cache_folder import use_folder
from trainables.storage.disk import write_text
from trainables.storage.store import Store


@dataclass(frozen=True)
class Home:
    """The folder of everything that sweeps leave behind; `root` is absolute.

    ``optuna.db`` (the studies, the only truth), ``mlflow.db`` and ``mlartifacts/`` (a view of them),
    ``store/`` (finished stages), ``cache/`` (pixels of large data sets, see `pixel_cache`), ``datasets/``
    (notes of `sweeper prepare`), ``studies/<name>/`` (study file, histories, report, lock).
    """

    root: Path

    @property
    def option(self) -> str:
        """Return the option that a command needs to work on this home, wherever it is started."""
        return f"--home {shlex.quote(str(self.root))}"

    @property
    def storage(self) -> str:
        """Return the URL of Optuna's database; OPTUNA_STORAGE overrides it."""
        return os.environ.get("OPTUNA_STORAGE") or sqlite_url(self.root / "optuna.db")

    @property
    def storage_digest(self) -> str:
        """Return twelve digits of the place of Optuna's database, by which MLflow tells homes apart."""
        place = os.environ.get("OPTUNA_STORAGE") or f"sqlite:///{self.root / 'optuna.db'}"
        return hashlib.sha256(place.encode()).hexdigest()[:12]

    @property
    def tracking(self) -> str:
        """Return the URI of MLflow; MLFLOW_TRACKING_URI overrides it."""
        return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_url(self.root / "mlflow.db")

    @property
    def artifacts(self) -> Path:
        """Return the folder of MLflow's artifacts (used with the home's own MLflow database)."""
        return self.root / "mlartifacts"

    @property
    def store(self) -> Store:
        """Return the store of finished stages."""
        return Store(self.root / "store")

    def study(self, name: str) -> Path:
        """Return the folder of the study `name`."""
        return self.root / "studies" / name

    def report(self, name: str) -> Path:
        """Return the path of the HTML report of the study `name`."""
        return self.study(name) / "report.html"

    def prepare(self) -> None:
        """Create the folder; raise `ConfigError` if it cannot be written, `DiskError` if the disk is full."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(bytes(4096))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskError(
                    error.errno, f"the disk of {self.root} is full; free space and start again"
                ) from None
            raise ConfigError(
                f"expected a home that can be written, got {self.root} ({error.strerror}); "
                "choose another with --home or SWEEPER_HOME"
            ) from None

    @contextmanager
    def driver(self, name: str) -> Iterator[Callable[[], None]]:
        """Hold the study `name` as its only driver; yield what raises `TrialError` once it is not ours.

        Raises `ConfigError` saying who holds it otherwise. A lock on the study's folder is enough where the
        database lies in this home; in a database that other homes can reach it takes a `Lease` as well.
        The home is prepared first, see `prepare`.
        """
        self.prepare()
        folder = self.study(name)
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "driver.json"
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = _read(note)
            holder = f"process {who['pid']} on {who['host']}" if who else "another process"
            raise ConfigError(
                f"expected study '{name}' to be free, but {holder} is running it ({folder}); "
                "wait for it or stop it, then start again"
            ) from None
        try:
            # A note that is still there is a killed driver's. With its token its lease is ours at once.
            token = _read(note).get("token") or uuid.uuid4().hex
            me = {"pid": os.getpid(), "host": socket.gethostname(), "token": token}
            write_text(note, json.dumps(me))
            with self._lease(name, me) as check:
                yield check
        finally:
            note.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def _lease(self, name: str, me: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
        if not os.environ.get("OPTUNA_STORAGE"):
            yield lambda: None
            return
        from sweeper.storage.lease import Lease

        check_storage(self.storage)
        with storage_errors(self.storage), alone(self.storage):
            write_ahead(self.storage)
            holder = f"process {me['pid']} on {me['host']} (home {self.root})"
            lease = Lease(self.storage, name, token=me["token"], holder=holder)
        with ExitStack() as stack:
            with storage_errors(self.storage):
                stack.enter_context(lease)
            yield lease.check


def _read(note: Path) -> dict[str, Any]:
    """Return what a driver wrote of itself, {} if there is nothing or half of it."""
    try:
        driver = json.loads(note.read_text())
        return {"pid": driver["pid"], "host": driver["host"], "token": driver.get("token")}
    except (OSError, ValueError, KeyError):
        return {}


def open_home(root: str | Path | None = None) -> Home:
    """Return the home at `root`, else at SWEEPER_HOME, else at ``./sweeps``. Nothing is created.

    Raises `ConfigError` where no folder can be, and for a database of OPTUNA_STORAGE that cannot be used.
    """
    chosen = root or os.environ.get("SWEEPER_HOME") or "sweeps"
    try:
        home = Home(Path(chosen).expanduser().resolve())
        _check_folder(home.root)
    except (OSError, RuntimeError) as error:  # a loop of links, a name too long, a user who is not there
        raise ConfigError(
            f"expected a folder for the home, got {chosen} ({getattr(error, 'strerror', None) or error}); "
            "choose another with --home or SWEEPER_HOME"
        ) from None
    if os.environ.get("OPTUNA_STORAGE"):
        check_storage(home.storage)
    use_folder(home.root / "cache")
    return home


def _check_folder(root: Path) -> None:
    """Raise `ConfigError` if `root`, or the nearest of its parents that exists, is no folder."""
    for place in (root, *root.parents):
        try:
            mode = place.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(mode):
            raise ConfigError(
                f"expected a folder for the home, got {place}, which is none; choose another with --home or "
                "SWEEPER_HOME"
            )
        return
