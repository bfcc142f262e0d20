import pytest

from trainables.runtime.resumable_loop import resumable_loop
from trainables.storage.resume import Resume


def test_a_step_that_says_so_is_told_and_saved_in_this_order():
    calls = []
    steps = iter([False, False, True])
    resumable_loop(steps, lambda: calls.append("tell"), lambda: calls.append("save"), Resume())
    assert calls == ["tell", "save"]


def test_every_step_is_saved_where_saving_is_always_due(tmp_path):
    saves = []
    steps = (False for _ in range(3))
    resumable_loop(steps, lambda: None, lambda: saves.append(1), Resume(tmp_path, every=0))
    assert len(saves) == 3


def test_a_refused_state_is_not_saved():
    saves = []

    def refuse():
        raise ValueError("not finite")

    with pytest.raises(ValueError):
        resumable_loop([True], refuse, lambda: saves.append(1), Resume())
    assert not saves
