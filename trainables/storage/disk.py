"""Errors of a disk, told as what to do about them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import DiskError


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn a full or unwritable disk into one `DiskError` that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise DiskError(
                error.errno,
                f"expected to write below {where}, got '{error.strerror}'; "
                "free space or choose another home (--home), then start again: finished work is kept",
            ) from error
        raise
