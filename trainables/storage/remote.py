"""A place that all machines of a cluster reach, where they keep finished stages for each other.

SWEEPER_STORE names it: a folder, or any URL that pyarrow or fsspec opens (s3://, gs://, hdfs://, ...). With
it every machine has its own store on its own disk, and copies what another has finished. Without it the
machines need one store on a disk that they share.

``<url>/<stage>/<key>/<upload>/`` holds the files of one upload, ``<url>/<stage>/<key>/finished`` names the
upload that counts. It is written last: what was cut off counts for nothing, and of two uploads of one stage
either counts, never a mixture.
"""

import contextlib
import errno
import functools
import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError, TrialError

VARIABLE = "SWEEPER_STORE"
REACH_SECONDS = 10.0


@dataclass(frozen=True)
class RemoteStore:
    """The shared store at `url`. Every method raises `TrialError` if it cannot be reached."""

    url: str

    def push(self, stage: str, key: str, folder: Path) -> None:
        """Upload the finished stage in `folder`."""
        from pyarrow import fs

        with _errors(self.url):
            files, root = _open(self.url)
            place, upload = f"{root}/{stage}/{key}", uuid.uuid4().hex
            files.create_dir(f"{place}/{upload}", recursive=True)
            fs.copy_files(str(folder), f"{place}/{upload}", fs.LocalFileSystem(), files)
            draft = f"{place}/.{upload}"
            with files.open_output_stream(draft) as stream:
                stream.write(upload.encode())
            files.move(draft, f"{place}/finished")

    def pull(self, stage: str, key: str, folder: Path) -> bool:
        """Copy the finished stage into the empty `folder`; return False if nobody has uploaded it."""
        from pyarrow import fs

        with _errors(self.url):
            files, root = _open(self.url)
            place = f"{root}/{stage}/{key}"
            if files.get_file_info(f"{place}/finished").type != fs.FileType.File:
                return False
            with files.open_input_stream(f"{place}/finished") as stream:
                upload = stream.read().decode()
            fs.copy_files(f"{place}/{upload}", str(folder), files, fs.LocalFileSystem())
            return True

    def keys(self, stage: str) -> list[str]:
        """Return the keys under which something of `stage` was uploaded."""
        from pyarrow import fs

        with _errors(self.url):
            files, root = _open(self.url)
            found = files.get_file_info(fs.FileSelector(f"{root}/{stage}", allow_not_found=True))
            return sorted(one.base_name for one in found)

    def check(self) -> None:
        """Raise `ConfigError` within `REACH_SECONDS` and a moment if the place cannot be written."""
        said: list[str] = [f"no answer within {REACH_SECONDS:.0f} s"]

        def probe() -> None:
            try:
                with _errors(self.url):
                    files, root = _open(self.url)
                    files.create_dir(root, recursive=True)
                    name = f"{root}/.probe-{uuid.uuid4().hex}"
                    with files.open_output_stream(name) as stream:
                        stream.write(b"probe")
                    files.delete_file(name)
                said.clear()
            except (TrialError, ConfigError, OSError) as error:
                said[0] = str(error.__cause__ or error)

        thread = threading.Thread(target=probe, daemon=True, name="probe")
        thread.start()
        thread.join(REACH_SECONDS)
        if said:
            reason = " ".join(said[0].split())[:300]
            raise ConfigError(
                f"expected a shared store that can be written at {VARIABLE}={self.url}, got: {reason}"
            )


def remote_here() -> RemoteStore | None:
    """Return the shared store that the environment names, if it names one."""
    url = os.environ.get(VARIABLE)
    return RemoteStore(url.rstrip("/")) if url else None


@functools.cache
def _open(url: str) -> tuple[Any, str]:
    """Return pyarrow's file system at `url`, or fsspec's where pyarrow has none, and the path in it."""
    try:
        from pyarrow import fs
    except ImportError:
        raise ConfigError(f"expected pyarrow for {VARIABLE}={url}; pip install pyarrow") from None
    if "://" not in url:
        return fs.LocalFileSystem(), str(Path(url).expanduser().resolve())
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(url)
        return found
    except ValueError:  # a scheme that pyarrow does not know
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
        return fs.PyFileSystem(fs.FSSpecHandler(files)), str(path)


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise
        said = " ".join(str(error).split())[:300]
        raise TrialError(f"expected to reach the shared store {VARIABLE}={url}, got: {said}") from error
