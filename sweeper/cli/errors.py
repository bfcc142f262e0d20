"""Errors that users cause or meet, as one message and an exit code: 1 a failure, 2 a mistake to correct."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from trainables.errors import ConfigError, DiskError, TrialError


@contextmanager
def guard() -> Iterator[None]:
    """Turn the errors that a user can cause or meet into one message on stderr, and exit."""
    try:
        yield
    except ConfigError as error:
        fail(str(error), 2)
    except (DiskError, TrialError) as error:
        fail(str(error.strerror or error) if isinstance(error, DiskError) else str(error), 1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fail("the disk is full; free space and start again: finished work is kept", 1)


def fail(text: str, code: int) -> NoReturn:
    """Write `text` to stderr and exit with `code`."""
    click.echo(f"error: {text}", err=True)
    sys.exit(code)
