"""Ctrl-C: the running trials get a moment to end; then, or at a second Ctrl-C, the sweep stops."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeper.engine.progress import Display

GRACE_SECONDS = 10.0


class Stopping:
    """Request to stop. stop: called once, from a signal handler, to hand out nothing more."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop, self._announced = stop, False
        self.request = False

    def ask(self) -> None:
        """Ask for a stop."""
        self.request = True
        self._stop()

    def say(self, display: Display) -> None:
        """Tell the person, once; not from the handler, which may have cut into another line."""
        if self.request and not self._announced:
            self._announced = True
            display.say(
                f"stopping: what runs gets {GRACE_SECONDS:.0f} s to end; Ctrl-C again stops it at once"
            )


@contextmanager
def stoppable(stopping: Stopping) -> Iterator[None]:
    """While this lasts SIGINT asks for a stop; raise `KeyboardInterrupt` when it is time to go.

    That is once all that ran has ended, after `GRACE_SECONDS`, or at a second SIGINT. Where SIGINT is not
    Python's own to handle (another thread, a host with its own handler) nothing is changed.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        stopping.ask()

    alarm = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if stopping.request:
        raise KeyboardInterrupt
