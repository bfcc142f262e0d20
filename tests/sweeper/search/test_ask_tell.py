"""Planned runs: each is handed out once, in order, and nothing is over before the last has ended."""

from sweeper.search.ask_tell import PlannedRuns, TrialRequest


class Runs(PlannedRuns):
    def request(self, number):
        return TrialRequest(number, {}, {}, f"run {number}")


def test_what_is_left_is_handed_out_once_and_over_when_all_ended():
    source = Runs(5, iter([1, 4, 2]))
    assert (source.budget, source.extra, source.failures) == (5, 0, [])  # two were done before
    assert [source.ask().number for _ in range(2)] == [1, 4]
    source.ended(1)
    source.ended(4)
    assert not source.finished  # none is running, and one was never tried
    assert source.ask() == TrialRequest(2, {}, {}, "run 2")
    assert source.ask() is None and not source.finished
    source.ended(1)  # told twice
    assert not source.finished
    source.ended(2)
    assert source.finished and source.ask() is None and source.budget == 5


def test_nothing_left_is_finished_at_once():
    assert Runs(3, ()).finished and Runs(3, ()).ask() is None
