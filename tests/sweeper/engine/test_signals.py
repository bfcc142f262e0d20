"""Handlers of signals: ours while a command runs, and none of Ray's."""

import os
import signal
import threading

import pytest

from sweeper.engine import signals
from sweeper.engine.signals import (
    Terminated,
    end_within,
    ending,
    exit_code,
    interruption,
    same_handlers,
    terminable,
)

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def default_handlers():
    before = {s: signal.signal(s, signal.SIG_DFL) for s in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", CODES)
def test_a_signal_is_an_exception_with_the_code_that_shells_know(signum):
    error = interruption(signum)
    assert isinstance(error, KeyboardInterrupt) and exit_code(error) == CODES[signum]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_it_is_raised_while_a_command_runs(signum):
    with pytest.raises(Terminated) as caught, terminable():
        os.kill(os.getpid(), signum)
        signal.pause()
    assert caught.value.signum == signum
    assert signal.getsignal(signum) is signal.SIG_DFL


def test_what_has_ended_in_time_is_not_ended_again_nor_is_what_came_later(monkeypatch):
    ended, told, waiting = [], [], []
    monkeypatch.setattr(signals.os, "_exit", ended.append)
    monkeypatch.setattr(
        signals.threading, "Timer", lambda seconds, end: waiting.append((seconds, end)) or threading.Thread()
    )
    end_within(1.0, KeyboardInterrupt())  # in a notebook nothing is ended
    assert waiting == []
    with ending(told.append):
        end_within(2.0, Terminated(signal.SIGTERM))
    ((seconds, end),) = waiting
    with ending(told.append):
        pass
    with ending(lambda error: told.append("another")):
        end()
    assert seconds == 2.0 and ended == told == []


def test_a_handler_of_somebody_else_and_other_threads_are_left_alone():
    seen = []
    signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    with terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    thread = threading.Thread(target=lambda: terminable().__enter__())
    thread.start()
    thread.join()
    assert seen == [1]


def test_handlers_that_ray_sets_do_not_stay_and_its_exit_is_told_as_the_signal():
    with same_handlers():
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(Terminated) as caught, same_handlers():
        raise SystemExit(1)
    assert exit_code(caught.value) == 143


def test_a_driver_that_has_started_ray_has_no_handler_of_it(ray_address):
    with open("/proc/self/status") as status:
        masks = dict(line.split(":\t") for line in status)
    caught = int(masks["SigCgt"], 16)
    assert not caught & (1 << (signal.SIGTERM - 1)), "Ray's native handler dumps its stacks and aborts"
