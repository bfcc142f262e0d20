"""A place that all machines of a cluster reach, where they keep finished stages for each other.

SWEEPER_STORE names it: a folder, or any URL that fsspec opens (s3://, gs://, hdfs://, sftp://, ...). With
it every machine has its own store on its own disk, and copies what another has finished. Without it the
machines need one store on a disk that they share.

``<url>/<stage>/<key>/<upload>/`` holds the files of one upload, ``<url>/<stage>/<key>/finished`` names the
upload that counts. It is written last: what was cut off counts for nothing, and of two uploads of one stage
either counts, never a mixture.
"""

import contextlib
import errno
import functools
import importlib.util
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError, TrialError
from trainables.storage.urls import redact

VARIABLE = "SWEEPER_STORE"
REACH_SECONDS = 10.0

# protocol -> the package that fsspec opens it with, and the extra of this package that installs it
EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "gs": ("gcsfs", "gcs"),
    "gcs": ("gcsfs", "gcs"),
}


@dataclass(frozen=True)
class RemoteStore:
    """The shared store at `url`. Every method raises `TrialError` if it cannot be reached."""

    url: str

    def push(self, stage: str, key: str, folder: Path) -> None:
        """Upload the finished stage in `folder`."""
        with _errors(self.url):
            files, root = _open(self.url)
            place, upload = f"{root}/{stage}/{key}", uuid.uuid4().hex
            names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
            for parent in sorted({str(Path(name).parent) for name in names}):
                _make_folder(files, f"{place}/{upload}/{parent}".removesuffix("/."))
            files.put([str(folder / name) for name in names], [f"{place}/{upload}/{name}" for name in names])
            draft = f"{place}/.{upload}"
            files.pipe_file(draft, upload.encode())
            files.mv(draft, f"{place}/finished")

    def pull(self, stage: str, key: str, folder: Path) -> bool:
        """Copy the finished stage into the empty `folder`; return False if nobody has uploaded it."""
        with _errors(self.url):
            files, root = _open(self.url)
            place = f"{root}/{stage}/{key}"
            try:
                upload = files.cat_file(f"{place}/finished").decode()
            except FileNotFoundError:
                return False
            files.invalidate_cache()  # another machine may have written since the last listing
            prefix = f"{place}/{upload}/"
            names = [path.removeprefix(prefix) for path in files.find(prefix.rstrip("/"))]
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.get([prefix + name for name in names], [str(folder / name) for name in names])
            return True

    def keys(self, stage: str) -> list[str]:
        """Return the keys under which something of `stage` was uploaded."""
        with _errors(self.url):
            files, root = _open(self.url)
            files.invalidate_cache()
            try:
                paths = files.ls(f"{root}/{stage}", detail=False)
            except FileNotFoundError:
                return []
            return sorted({path.rstrip("/").rpartition("/")[2] for path in paths} - {stage})

    def check(self) -> None:
        """Raise `ConfigError` within `REACH_SECONDS` and a moment if the place cannot be written."""
        reasons: list[str] = [f"no answer within {REACH_SECONDS:.0f} s"]

        def probe() -> None:
            try:
                with _errors(self.url):
                    files, root = _open(self.url)
                    _make_folder(files, root)
                    name = f"{root}/.probe-{uuid.uuid4().hex}"
                    files.pipe_file(name, b"probe")
                    files.rm_file(name)
                reasons.clear()
            except (TrialError, ConfigError, OSError) as error:
                reasons[0] = str(error.__cause__ or error)

        thread = threading.Thread(target=probe, daemon=True, name="probe")
        thread.start()
        thread.join(REACH_SECONDS)
        if reasons:
            raise ConfigError(
                f"expected a shared store that can be written at {VARIABLE}={redact(self.url)}, "
                f"got: {_short(reasons[0])}"
            )


def remote_here() -> RemoteStore | None:
    """Return the shared store that the environment names, if it names one."""
    url = os.environ.get(VARIABLE)
    return RemoteStore(url.rstrip("/")) if url else None


@functools.cache
def _open(url: str) -> tuple[Any, str]:
    """Return fsspec's file system at `url`, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigError(f"expected fsspec for {VARIABLE}={redact(url)}; pip install fsspec") from None
    protocol, separator, _ = url.partition("://")
    if not separator:
        url = str(Path(url).expanduser().resolve())
    elif protocol in EXTRAS:
        package, extra = EXTRAS[protocol]
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"expected the package {package} for {VARIABLE}={redact(url)}; "
                f"pip install 'inversion-sweeper[{extra}]'"
            )
        if "?" in url:
            raise ConfigError(
                f"expected {protocol}://bucket/path in {VARIABLE}, got {redact(url)}; say what follows ? "
                f"in fsspec's variables, such as FSSPEC_{protocol.upper()}_ENDPOINT_URL"
            )
    files, path = url_to_fs(url)
    return files, str(path).rstrip("/")


def _make_folder(files: Any, path: str) -> None:
    """Make the folder `path` where there are folders: not in buckets, whose paths begin with their name."""
    if path.startswith("/"):
        files.makedirs(path, exist_ok=True)


def _short(text: str) -> str:
    return redact(" ".join(text.split())[:300])


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except (ConfigError, TrialError):
        raise
    except Exception as error:  # fsspec's members raise the errors of their own libraries
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TrialError(
            f"expected to reach the shared store {VARIABLE}={redact(url)}, got: {_short(str(error))}"
        ) from error
