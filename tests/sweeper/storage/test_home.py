import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from sweeper.storage.home import Home, open_home
from trainables.errors import ConfigError, DiskError


def test_paths_are_absolute_and_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_HOME", raising=False)
    assert open_home("here").root == tmp_path / "here"
    assert open_home().root == tmp_path / "sweeps"
    monkeypatch.setenv("SWEEPER_HOME", str(tmp_path / "there"))
    home = open_home()
    assert home.root == tmp_path / "there"
    assert home.storage == f"sqlite:///{tmp_path}/there/optuna.db"
    monkeypatch.setenv("OPTUNA_STORAGE", "postgresql://db/x")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker")
    assert (home.storage, home.tracking) == ("postgresql://db/x", "http://tracker")


def test_a_home_that_is_no_folder_is_refused_where_it_is_opened(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "file/home", "link", "link/a/b"):
        with pytest.raises(ConfigError, match=rf"{tmp_path}/file, which is none; choose another with --home"):
            open_home(tmp_path / name)
    monkeypatch.setenv("SWEEPER_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=r"expected a folder for the home, got .*SWEEPER_HOME"):
        open_home()


@pytest.mark.parametrize("name", ["x" * 300, "loop", "loop/a", "~nobody-of-that-name/x"])
def test_a_home_that_can_never_be_is_refused_where_it_is_opened(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(
        ConfigError, match=r"expected a folder for the home, got .*with --home or SWEEPER_HOME"
    ):
        open_home(name)


def test_a_home_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--home"):
        Home(tmp_path / "file" / "home").prepare()
    with pytest.raises(ConfigError, match="expected a home that can be written"):
        Home(Path("/proc/no-such-home")).prepare()
    with (
        pytest.raises(ConfigError, match="expected a home that can be written"),
        Home(Path("/proc/no-such-home")).driver("s"),
    ):
        pass


def test_a_full_disk_is_no_mistake_of_the_user(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(DiskError, match="is full"):
        Home(tmp_path / "home").prepare()


def _hold(root: Path, name: str, ready, release) -> None:
    with Home(root).driver(name):
        ready.set()
        release.wait(30)


def test_a_second_driver_learns_who_holds_the_study(home):
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(home.root, "s", ready, release))
    holder.start()
    assert ready.wait(30)
    try:
        with pytest.raises(ConfigError, match=f"process {holder.pid} on "), home.driver("s"):
            pass
        with home.driver("another"):
            pass
    finally:
        release.set()
        holder.join()
    with home.driver("s"):
        assert str(os.getpid()) in (home.study("s") / "driver.json").read_text()
