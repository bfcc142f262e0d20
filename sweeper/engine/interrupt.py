"""Ctrl-C, SIGTERM, SIGHUP: running trials get a moment to end; then, or at a second one, the sweep stops."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeper.engine.progress import Display
from sweeper.engine.signals import END_SECONDS, SIGNALS, end_within, handleable, interruption

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
    """While this lasts a signal asks for a stop; raise `KeyboardInterrupt` when it is time to go.

    That is once all that ran has ended, after `GRACE_SECONDS`, or at a second signal. The exception is a
    `Terminated` after SIGTERM and SIGHUP. A signal that is not ours to handle (in another thread, ignored as
    under nohup, or with a handler of a host) is left as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [signum for signum in SIGNALS if handleable(signum)]
    asked: list[int] = []

    def first(signum: int, _: object) -> None:
        asked.append(signum)
        for each in ours:
            signal.signal(each, at_once)
        signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)
        end_within(GRACE_SECONDS + END_SECONDS, interruption(signum))
        stopping.ask()

    def at_once(*_: object) -> None:
        raise interruption(asked[0])

    alarm = signal.signal(signal.SIGALRM, at_once)
    before = {signum: signal.signal(signum, first) for signum in ours}
    try:
        yield
    except KeyboardInterrupt:
        if asked:  # Ray may have raised one of its own after ours, which says no signal
            raise interruption(asked[0]) from None
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if asked:
        raise interruption(asked[0])
