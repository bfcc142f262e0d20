"""When a sweep goes at Ctrl-C, without a sweep: signals to this process."""

import os
import signal
import threading
import time

import pytest

from sweeper.engine.interrupt import Stopping, stoppable
from sweeper.engine.progress import Silent
from sweeper.engine.signals import Terminated, exit_code

DEFAULTS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGALRM: signal.SIG_DFL,
}


@pytest.fixture(autouse=True)
def handlers():
    """Give the default handlers to the test, and check that they are there again afterwards."""
    before = {signum: signal.signal(signum, handler) for signum, handler in DEFAULTS.items()}
    yield
    assert {signum: signal.getsignal(signum) for signum in DEFAULTS} == DEFAULTS
    for signum, handler in before.items():
        signal.signal(signum, handler)


def interrupt(signum=signal.SIGINT):
    os.kill(os.getpid(), signum)


def test_the_first_asks_once_and_what_ends_in_time_is_waited_for():
    request, ended = [], []
    with pytest.raises(KeyboardInterrupt), stoppable(Stopping(lambda: request.append(1))):
        interrupt()
        time.sleep(0.05)
        ended.append(1)
    assert request == ended == [1]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("again", [False, True])
def test_each_signal_asks_and_ends_with_its_own_code(signum, code, again):
    request = []
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught, stoppable(Stopping(lambda: request.append(1))):
        interrupt(signum)
        if again:
            interrupt(signal.SIGINT)  # ends it at once; the code is that of the first
            time.sleep(60)
    assert request == [1] and exit_code(caught.value) == code
    assert time.monotonic() - began < 30


def test_the_code_stays_where_the_interrupt_is_raised_again_by_what_runs():
    with pytest.raises(Terminated), stoppable(Stopping(lambda: None)):
        interrupt(signal.SIGTERM)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt) as caught, stoppable(Stopping(lambda: None)):
        raise KeyboardInterrupt
    assert exit_code(caught.value) == 130


def test_signals_that_are_ignored_stay_so_as_under_nohup():
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    with pytest.raises(Terminated), stoppable(Stopping(lambda: None)):
        interrupt(signal.SIGINT)
        interrupt(signal.SIGHUP)
        time.sleep(0.05)
        interrupt(signal.SIGTERM)
    for signum in (signal.SIGINT, signal.SIGHUP):
        assert signal.getsignal(signum) is signal.SIG_IGN
        signal.signal(signum, DEFAULTS[signum])


def test_the_grace_ends_what_does_not_end(monkeypatch):
    monkeypatch.setattr("sweeper.engine.interrupt.GRACE_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), stoppable(Stopping(lambda: None)):
        interrupt()
        time.sleep(60)
    assert 0.2 <= time.monotonic() - began < 30


def test_the_second_ends_it_at_once():
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), stoppable(Stopping(lambda: None)):
        interrupt()
        interrupt()
        time.sleep(60)
    assert time.monotonic() - began < 30


def test_without_one_nothing_happens_and_errors_pass():
    with stoppable(Stopping(lambda: pytest.fail("nobody asked"))):
        pass
    with pytest.raises(ValueError, match="as it was"), stoppable(Stopping(lambda: None)):
        raise ValueError("as it was")


def test_a_handler_of_somebody_else_and_other_threads_are_left_alone():
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    with stoppable(Stopping(lambda: pytest.fail("not ours"))):
        interrupt()
    assert seen == [1]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=lambda: stoppable(Stopping(lambda: None)).__enter__())
    thread.start()
    thread.join()


def test_it_is_said_once():
    stopping, said, display = Stopping(lambda: None), [], Silent()
    display.say = said.append
    stopping.say(display)
    assert said == []
    stopping.ask()
    stopping.say(display)
    stopping.say(display)
    assert len(said) == 1 and "Ctrl-C again" in said[0]
