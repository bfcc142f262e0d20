"""What the runner tells of a trial that ended."""

import time
from datetime import datetime
from types import SimpleNamespace

import pytest

from sweeper.engine import runner as module
from sweeper.engine.progress import Silent, Warner
from sweeper.engine.remaining import Remaining
from sweeper.engine.runner import _Runner
from sweeper.search.ask_tell import TrialRequest


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
    runner.ended(TrialRequest(0, {"a": 1}, {}, "trial 0"), {"number": 0, "state": "failed", "reason": "x"})
    assert told == [("trial", 60.0), ("shown", 60.0)]
    (record,) = tracked
    began, ended = (datetime.fromisoformat(moment) for moment in (record.started, record.finished))
    assert (ended - began).total_seconds() == 60.0 and ended.timestamp() == clock[0]


def _rest():
    names = ("sleep", "gmtime", "strftime", "localtime")
    return {name: getattr(time, name) for name in names}
