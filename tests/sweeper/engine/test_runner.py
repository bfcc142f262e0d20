"""What the runner tells of a trial that ended."""

import time
from datetime import datetime
from types import SimpleNamespace

import pytest
from ray.exceptions import OutOfMemoryError

from sweeper.engine import runner as module
from sweeper.engine.progress import Silent, Warner
from sweeper.engine.remaining import Remaining
from sweeper.engine.runner import _Runner
from sweeper.search.ask_tell import TrialRequest
from sweeper.search.optuna_study import OptunaStudy
from trainables.errors import TrialError
from trainables.runtime.background import JobStatus


@pytest.mark.parametrize("set_by", [-7200.0, 0.0, 7200.0])
def test_a_clock_that_is_set_changes_nothing_of_how_long_a_trial_took(cheap, monkeypatch, set_by):
    """Of clocks, `monotonic` is the one that nobody sets; when a trial ended is told by the other."""
    elapsed, clock, told, tracked = [100.0], [1.8e9], [], []
    monkeypatch.setattr(
        module, "time", SimpleNamespace(time=lambda: clock[0], monotonic=lambda: elapsed[0], **_rest())
    )
    remaining = Remaining({})
    monkeypatch.setattr(remaining, "ended", lambda what, seconds: told.append((what, seconds)))
    source = SimpleNamespace(budget=2, complete=1, extra=0)
    allotment = SimpleNamespace(concurrent=1)
    tracker = SimpleNamespace(trial=tracked.append)
    described = lambda record, seconds: told.append(("shown", seconds)) or ""  # noqa: E731
    runner = _Runner(
        cheap(), None, source, allotment, Silent(), tracker, remaining, Warner(Silent()), described, None
    )
    runner.started(TrialRequest(0, {"a": 1}, {}, "trial 0"))
    elapsed[0] += 60.0
    clock[0] += 60.0 + set_by
    runner.ended(TrialRequest(0, {"a": 1}, {}, "trial 0"), {"number": 0, "state": "complete"})
    assert told == [("trial", 60.0), ("shown", 60.0)]
    (record,) = tracked
    began, ended = (datetime.fromisoformat(moment) for moment in (record.started, record.finished))
    assert (ended - began).total_seconds() == 60.0 and ended.timestamp() == clock[0]


@pytest.mark.parametrize(("state", "counted"), [("complete", 1), ("screened", 1), ("failed", 0)])
def test_a_trial_that_failed_says_nothing_of_how_long_others_take(cheap, monkeypatch, state, counted):
    told, remaining = [], Remaining({})
    monkeypatch.setattr(remaining, "ended", lambda what, seconds: told.append(what))
    source = SimpleNamespace(budget=2, complete=1, extra=0)
    runner = _Runner(
        cheap(),
        None,
        source,
        SimpleNamespace(concurrent=1),
        Silent(),
        None,
        remaining,
        Warner(Silent()),
        lambda record, seconds: "",
        None,
    )
    request = TrialRequest(0, {"a": 1}, {}, "trial 0")
    runner.started(request)
    runner.ended(request, {"number": 0, "state": state, "reason": ""})
    assert told == ["trial"] * counted


def _rest():
    names = ("sleep", "gmtime", "strftime", "localtime")
    return {name: getattr(time, name) for name in names}


SHORTAGE = OutOfMemoryError("killed")


class Told(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def out_of_memory(cause):
    error = RuntimeError("Caught unexpected exception: 1 worker(s) were killed")
    error.__cause__ = cause
    return error


@pytest.fixture
def tuned(home, cheap, result, monkeypatch):
    """Return what runs four trials, three at once, by a tuner that memory fails so many times."""

    def call(shortages, cause=SHORTAGE):
        study, display, at_once, left = cheap(search={"trials": 4}), Told(), [], [shortages]
        source = OptunaStudy(study, home.storage, home.root)

        def tuner(self, searcher, run, look, folder):
            def fit():
                ids = iter(range(100))
                while True:
                    handed = {}
                    for n in ids:
                        trial = searcher.suggest(str(n))
                        if not isinstance(trial, dict):
                            break
                        handed[n] = trial
                    if not handed:
                        return
                    at_once.append(len(handed))
                    if left[0]:
                        left[0] -= 1
                        raise out_of_memory(cause)
                    for n in handed:
                        status = JobStatus("complete", result=result(n / 100))
                        searcher.on_trial_complete(str(n), {"status": status})

            return SimpleNamespace(fit=fit)

        monkeypatch.setattr(_Runner, "_tuner", tuner)
        allotment = SimpleNamespace(concurrent=3, threads=1, shard=None)
        described = lambda record, seconds: ""  # noqa: E731
        runner = _Runner(
            study, home, source, allotment, display, None, Remaining({}), Warner(display), described, None
        )
        runner.run(None, lambda: None, None, True)
        return source, at_once, display.said

    return call


def test_where_memory_runs_out_fewer_trials_run_at_once_and_none_is_lost(tuned):
    source, at_once, said = tuned(4)
    assert at_once == [3, 2, 1, 1, 1, 1, 1, 1] and source.complete == 4
    assert [text.partition(": ")[2].partition(" ")[0] for text in said] == ["2", "1", "1", "1"]


def test_what_never_fits_and_what_is_no_shortage_ends_the_sweep(tuned, monkeypatch):
    monkeypatch.setattr(module, "SHORTAGES", 3)
    with pytest.raises(TrialError, match=r"ran out of memory 4 times.*finished trials are kept"):
        tuned(9)
    with pytest.raises(RuntimeError, match="Caught unexpected"):
        tuned(1, cause=ValueError("another"))
