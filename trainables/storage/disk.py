"""Files that this program writes, and errors of a disk, told as what to do about them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainables.errors import DiskError


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
