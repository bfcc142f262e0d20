"""Signals that end a program: Ctrl-C, SIGTERM (Slurm, spot machines) and SIGHUP (a terminal that closes)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_SECONDS = 15.0  # from when a program should end to when it does; Slurm kills 30 s after its SIGTERM

Farewell = Callable[[KeyboardInterrupt], None]
_ending: list[Farewell] = []


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
    error = interruption(signum)
    end_within(END_SECONDS, error)
    raise error


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


@contextmanager
def ending(farewell: Farewell) -> Iterator[None]:
    """While this lasts `end_within` ends a program that hangs after a signal; `farewell` speaks last."""
    _ending.append(farewell)
    try:
        yield
    finally:
        _ending.remove(farewell)


def end_within(seconds: float, error: KeyboardInterrupt) -> None:
    """End the process, with the code of `error`, if it is still `ending` after so many seconds.

    Where a signal reaches all processes of a job, Ray's own die of it at once, and a driver that asks them
    something waits for a minute in C++, where it hears no exception. Elsewhere, as in a notebook, nothing is
    ended.
    """
    if not _ending:
        return
    farewell = _ending[-1]

    def end() -> None:
        if farewell in _ending:
            farewell(error)
            os._exit(exit_code(error))

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
