import json
import multiprocessing
import os
import signal

import pytest
import sqlalchemy as sql

from sweeper.storage import lease
from sweeper.storage.home import Home
from sweeper.storage.lease import Lease
from trainables.errors import ConfigError, TrialError


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'shared.db'}"


def row(url):
    engine = sql.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sql.text("SELECT token, holder, beat FROM sweeper_leases")).all()
    engine.dispose()
    return found


def test_a_second_driver_is_told_who_holds_the_study_until_it_is_let_go(url):
    with Lease(url, "s", token="a", holder="process 1 on host-a (home /a)"):
        with pytest.raises(ConfigError, match=r"process 1 on host-a \(home /a\) is running it"):
            Lease(url, "s", token="b", holder="process 2 on host-b").__enter__()
        with Lease(url, "another", token="b", holder="process 2 on host-b"):
            pass
        assert [found.token for found in row(url)] == ["a"]
    assert row(url) == []
    with Lease(url, "s", token="b", holder="process 2 on host-b"):
        assert [found.token for found in row(url)] == ["b"]


def test_beats_keep_it_and_whoever_stops_beating_loses_it(url, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    with Lease(url, "s", token="a", holder="a") as held:
        before = row(url)[0].beat
        for _ in range(200):
            if row(url)[0].beat > before:
                break
            held._end.wait(0.05)
        assert row(url)[0].beat > before
        held.check()

    monkeypatch.setattr(lease, "BEAT_SECONDS", 3600)
    with Lease(url, "s", token="a", holder="a") as silent:
        engine = sql.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sql.text("UPDATE sweeper_leases SET beat = beat - 30"))
        with pytest.raises(ConfigError, match=r"a sign of life [345]\d s ago"):
            Lease(url, "s", token="b", holder="b").__enter__()
        with engine.begin() as connection:
            connection.execute(sql.text("UPDATE sweeper_leases SET beat = beat - 40"))
        engine.dispose()
        with Lease(url, "s", token="b", holder="b") as taken:
            silent.check()  # by its clocks it beat a moment ago
            silent._renewed = tuple(moment - lease.STALE_SECONDS for moment in silent._renewed)
            with pytest.raises(TrialError, match="the lease on study 's' was lost"):
                silent.check()
            taken.check()
    assert row(url) == []


def test_a_machine_that_slept_goes_on_if_nobody_came(url):
    with Lease(url, "s", token="a", holder="a") as held:
        held._renewed = (held._renewed[0], held._renewed[1] - 3600)
        held.check()
        assert held._age() < 60


def _try(url, number, go, results):
    go.wait()
    try:
        Lease(url, "s", token=str(number), holder=str(number)).__enter__()
        results.put(number)
    except ConfigError:
        results.put(None)


def test_of_many_that_try_at_once_one_gets_it(url):
    context = multiprocessing.get_context("fork")
    go, results = context.Event(), context.Queue()
    rivals = [context.Process(target=_try, args=(url, n, go, results)) for n in range(6)]
    for rival in rivals:
        rival.start()
    go.set()
    got = [results.get(timeout=60) for _ in rivals]
    for rival in rivals:
        rival.join()
    assert sum(one is not None for one in got) == 1


def _drive(root, ready):
    with Home(root).driver("s"):
        ready.set()
        signal.pause()


def test_two_homes_with_one_database_and_a_killed_driver(tmp_path, home, url, monkeypatch):
    monkeypatch.setenv("OPTUNA_STORAGE", url)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    driver = context.Process(target=_drive, args=(home.root, ready))
    driver.start()
    assert ready.wait(60)
    other = Home(tmp_path / "other")
    with pytest.raises(ConfigError, match=f"process {driver.pid} on .* \\(home {home.root}\\)"):
        other.driver("s").__enter__()
    os.kill(driver.pid, signal.SIGKILL)
    driver.join()
    with pytest.raises(ConfigError, match=f"process {driver.pid}"):
        other.driver("s").__enter__()  # from elsewhere nobody can tell yet that it is dead
    with home.driver("s") as check:  # at home it is plain: its lock fell
        check()
        assert json.loads((home.study("s") / "driver.json").read_text())["pid"] == os.getpid()
    with other.driver("s"):
        pass
    assert row(url) == []
    assert not (home.study("s") / "driver.json").exists()


def test_a_home_of_its_own_needs_no_lease(home):
    with home.driver("s") as check:
        check()
    assert not (home.root / "optuna.db").exists()
