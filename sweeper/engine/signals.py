"""Signals that end a program: Ctrl-C, SIGTERM (Slurm, spot machines) and SIGHUP (a terminal that closes)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, told as Ctrl-C is."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


def interruption(signum: int) -> KeyboardInterrupt:
    """Return what the signal `signum` raises."""
    return KeyboardInterrupt() if signum == signal.SIGINT else Terminated(signum)


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code after a signal, as shells know it: 128 and the signal's number."""
    return 128 + (error.signum if isinstance(error, Terminated) else signal.SIGINT)


def raise_interruption(signum: int, frame: FrameType | None) -> NoReturn:
    """Raise what the signal means; a handler."""
    raise interruption(signum)


def handleable(signum: int) -> bool:
    """Return whether a signal is ours to handle: not ignored, as under nohup, and not another's already."""
    ours = (signal.default_int_handler, signal.SIG_DFL, raise_interruption)
    return signal.getsignal(signum) in ours


@contextmanager
def terminable() -> Iterator[None]:
    """While this lasts, SIGTERM and SIGHUP raise `Terminated` in the main thread, unless they are ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        signum: signal.signal(signum, raise_interruption)
        for signum in SIGNALS
        if signum != signal.SIGINT and handleable(signum)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def same_handlers() -> Iterator[None]:
    """Put the handlers back that were there before: Ray sets its own, which dump its stacks and abort."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    try:
        yield
    except SystemExit:  # Ray's handler, while Ray starts
        raise Terminated(signal.SIGTERM) from None
    finally:
        for signum, handler in before.items():
            if handler is not None:
                signal.signal(signum, handler)
