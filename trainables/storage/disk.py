"""Files that this program writes and reads again; errors of a disk, told as what to do about them."""

import errno
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError, DiskError


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into one `DiskError` that names the place."""
    try:
        yield
    except DiskError:
        raise  # who was nearer has told it
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise DiskError(
                error.errno,
                f"expected to write below {where}, got '{error.strerror}'; "
                "free space or choose another home (--home), then start again: finished work is kept",
            ) from error
        raise


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Lend the path of a draft, which takes the place of `path` at once; of a failure nothing is left."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` at once and complete, on the disk itself before it counts."""
    with draft_of(path) as draft:
        draft.write_text(text, encoding="utf-8")
        sync(draft)


def sync(root: Path) -> None:
    """Bring a file, or a folder and all in it, to the disk itself: a power cut leaves nothing of it empty."""
    for place in (root, *(root.rglob("*") if root.is_dir() else ())):
        number = os.open(place, os.O_RDONLY)
        try:
            os.fsync(number)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise  # others: of a file system that knows no such thing
        finally:
            os.close(number)


def remove(place: Path) -> None:
    """Delete the file or the folder at `place`, if there is one."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def save(state: Any, path: Path) -> None:
    """Write tensors and plain values by ``torch.save``; a full disk is an `OSError`, as elsewhere."""
    import torch

    try:
        with path.open("wb") as file:  # given a path, torch says nothing of the disk
            torch.save(state, file)
    except RuntimeError as error:  # torch's own, while it handled that of the file
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(path: Path) -> Any:
    """Return what `save` wrote, on the CPU; raise `ConfigError` for a file that is damaged or gone."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        if not _is_damaged(path):
            raise
        raise ConfigError(
            f"expected tensors that were saved in {path}, got a file that is damaged or gone; "
            f"delete the folder {path.parent}: it is made again"
        ) from error


def _is_damaged(path: Path) -> bool:
    """Return whether a file of `save` is not the whole zip that it was."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is not None
    except PermissionError:
        return False
    except Exception:  # as above
        return True
