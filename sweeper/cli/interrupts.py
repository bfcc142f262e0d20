"""Commands that are stopped say what is kept and how to go on, and exit with the signal's code."""

import contextlib
import errno
import os
import shlex
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import click

from sweeper.engine.signals import SIGNALS, Terminated, ending, exit_code, terminable

HANG_UP = SIGNALS[2]

# command -> what stays of its work when it is stopped, and how to go on; of the others nothing stays
KEPT = {
    **dict.fromkeys(("run", "quickstart", "confirm"), "finished trials are kept. Go on with"),
    "attack": "finished stages and the state of an unfinished attack are kept. Go on with",
    "analyze": "finished analyses and trials are kept. Go on with",
    "log": "what MLflow has stays. Go on with",
    "export": "what was written stays. Start again, into another folder, with",
}
NOTHING = "nothing was changed. Start again with"


@contextmanager
def interruptible(words: Sequence[str]) -> Iterator[None]:
    """While this lasts Ctrl-C, SIGTERM and SIGHUP end in one sentence and an exit code.

    words: the command and its arguments, as they were given.
    """
    try:
        with terminable(), ending(lambda error: _tell(words)):
            yield
    except KeyboardInterrupt as error:
        stopped(words, error)
    except OSError as error:
        if error.errno != errno.EIO or not _hung_up():
            raise
        stopped(words, Terminated(HANG_UP))  # the terminal is gone, and could not be written


def stopped(words: Sequence[str], error: KeyboardInterrupt) -> NoReturn:
    """Say what is kept and how to go on, and exit with the signal's code."""
    _tell(words)
    sys.exit(exit_code(error))


def _tell(words: Sequence[str]) -> None:
    if _hung_up():  # nobody reads it, and writing would fail at the very end
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    remains = NOTHING if not words or "--dry-run" in words else KEPT.get(words[0], NOTHING)
    with contextlib.suppress(OSError):
        click.echo(f"stopped; {remains}: {shlex.join(['sweeper', *words])}", err=True)


def _hung_up() -> bool:
    """Return whether the terminal of this process is gone."""
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                return True
    return False
