import os

import pytest

from trainables.runtime.load import BUSY, cores, is_busy, load_average


@pytest.mark.parametrize("share", [0.0, 0.5, 1.5, 20.0])
def test_a_machine_is_busy_above_a_share_of_its_cores(monkeypatch, share):
    monkeypatch.setattr(os, "getloadavg", lambda: (share * BUSY * cores(), 0.0, 0.0))
    assert is_busy() == (share > 1)


def test_where_the_system_does_not_tell_it_is_idle(monkeypatch):
    def unknown():
        raise OSError("no load average here")

    monkeypatch.setattr(os, "getloadavg", unknown)
    assert load_average() == 0.0
    assert not is_busy()
