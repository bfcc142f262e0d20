"""Databases that cannot be used are refused before anything runs, in one sentence with what to do."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sql
from processes import at_once

from sweeper.results.records import study_names, study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import open_storage
from sweeper.storage.databases import (
    check_storage,
    check_tracking,
    read_only_url,
    reason,
    sqlite_file,
    sqlite_url,
    write_ahead,
)
from sweeper.storage.home import Home, open_home
from trainables.errors import ConfigError

IN_MEMORY = [
    "sqlite://",
    "sqlite:///",
    "sqlite:///:memory:",
    "sqlite+pysqlite://",
    "sqlite:///file::memory:?uri=true",
    "sqlite:///file:studies.db?mode=memory&uri=true",
]
NAMES = [
    "plain",
    "a b",
    "100%",
    "50%25",
    "what?",
    "a#b",
    "a@b",
    "münchen",
    "a&b=c",
    "{x}",
    "it's",
    'q"q',
    "a+b",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_home_may_have_any_name(name, tmp_path, cheap, result, monkeypatch):
    for variable in ("OPTUNA_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    home = Home(tmp_path / name)
    home.prepare()
    source = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    request = source.ask()
    assert source.tell(request.number, result(0.5)) == ""
    assert study_names(home) == ["cheap"]
    assert len(study_records(home, "cheap").trials) == 1
    check_tracking(home.tracking, home.storage)
    files = {path.name.split("-")[0] for path in home.root.glob("*.db*")}
    assert files == {"optuna.db", "optuna.db.lock"}
    assert list(tmp_path.iterdir()) == [home.root]
    assert sqlite_file(home.storage) == home.root / "optuna.db"


def test_a_plain_path_makes_the_url_that_it_always_made(tmp_path):
    assert sqlite_url(tmp_path / "x.db") == f"sqlite:///{tmp_path}/x.db"
    home = Home(tmp_path / "any thing?")
    assert (
        home.storage_digest == Home(tmp_path / "any thing?").storage_digest != Home(tmp_path).storage_digest
    )


@pytest.mark.parametrize("url", IN_MEMORY)
def test_a_database_in_memory_is_refused(url, home, cheap, monkeypatch):
    with pytest.raises(ConfigError, match="every result would be lost"):
        check_storage(url)
    monkeypatch.setenv("OPTUNA_STORAGE", url)
    with pytest.raises(ConfigError, match="every result would be lost"):
        OptunaStudy(cheap(), home.storage, home.root)
    with pytest.raises(ConfigError, match="every result would be lost"), home.driver("cheap"):
        pass
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI, got .* in memory"):
        check_tracking(url, f"sqlite:///{home.root}/optuna.db")
    assert list(home.root.glob("*.db")) == []


def test_a_file_whose_folder_is_not_there_is_refused_also_where_it_is_only_read(home, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/no/x.db"
    monkeypatch.setenv("OPTUNA_STORAGE", url)
    for act in (lambda: check_storage(url), lambda: open_home(home.root)):
        with pytest.raises(
            ConfigError, match=r"expected a folder for the database .*/no/x\.db \(OPTUNA_STOR"
        ):
            act()
    (tmp_path / "no").mkdir()
    check_storage(url)
    assert study_names(open_home(home.root)) == []


def test_one_file_for_optuna_and_mlflow_is_refused_however_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    (tmp_path / "folder").mkdir()
    storage = f"sqlite:///{tmp_path}/x.db"
    same = (
        storage,
        "sqlite:///x.db",
        "sqlite:///folder/../x.db",
        "sqlite:///link.db",
        f"{storage}?timeout=3",
    )
    for tracking in same:
        with pytest.raises(ConfigError, match="expected two databases"):
            check_tracking(tracking, storage)
    check_tracking("sqlite:///y.db", storage)
    assert os.listdir(tmp_path / "folder") == []


def test_a_database_of_the_other_program_is_refused(tmp_path):
    other = {"Optuna": tmp_path / "optuna.db", "MLflow": tmp_path / "mlflow.db"}
    optuna.storages.RDBStorage(f"sqlite:///{other['Optuna']}")
    with closing(sqlite3.connect(other["MLflow"])) as database:
        database.execute("CREATE TABLE experiment_tags (experiment_id INTEGER)")
    with pytest.raises(ConfigError, match=r"expected a database of Optuna .* got one of MLflow"):
        open_storage(f"sqlite:///{other['MLflow']}")
    with pytest.raises(ConfigError, match=r"expected a database of MLflow .* got one of Optuna"):
        check_tracking(f"sqlite:///{other['Optuna']}", f"sqlite:///{tmp_path}/x.db")
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(ConfigError, match="expected a database of SQLite"):
        check_tracking(f"sqlite:///{tmp_path}/text.db", f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(ConfigError, match="expected a folder for MLflow's database"):
        check_tracking(f"sqlite:///{tmp_path}/no/x.db", f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(
    ("revision", "remedy"),
    [("v2.6.0.a", "optuna storage upgrade --storage {url}"), ("v99", "pip install -U optuna")],
)
def test_tables_of_another_version_of_optuna_are_named_with_what_to_do(revision, remedy, home, cheap):
    open_storage(home.storage)
    with closing(sqlite3.connect(sqlite_file(home.storage))) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
        database.commit()
    for act in (
        lambda: open_storage(home.storage),
        lambda: OptunaStudy(cheap(), home.storage, home.root),
        lambda: study_names(home),
    ):
        with pytest.raises(ConfigError) as caught:
            act()
        assert remedy.format(url=home.storage) in str(caught.value)


def test_a_database_that_is_told_to_wait_is_the_one_of_its_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_ahead("sqlite:///a%20b.db?timeout=3")
    assert [path.name for path in tmp_path.iterdir()] == ["a b.db"]
    write_ahead("postgresql://db/x")
    assert sqlite_file("postgresql://db/x") is None and sqlite_file("no url") is None
    assert sqlite_file("sqlite:///x.db") == Path("x.db").resolve()


def test_a_long_reason_is_cut_between_words_and_holds_no_password():
    for before in range(270, 310):  # so that the cut goes through the address somewhere
        text = reason(RuntimeError("w " * (before // 2) + "postgresql://me:sesame@host/db"))
        assert len(text) <= 300 and "sesam" not in text and "sesa" not in text
        assert text.rstrip(" …").split()[-1] in {"w", "postgresql://me:***@host/db"}


def test_a_new_database_is_opened_by_several_at_the_same_moment(tmp_path):
    for name in range(4):
        assert at_once(3, open_storage, sqlite_url(tmp_path / f"{name}.db")) == [""] * 3


def test_where_nobody_may_write_a_study_is_read_and_nothing_is_left_there(
    tmp_path, cheap, result, monkeypatch
):
    home = Home(tmp_path / "50 % of {it}?")
    home.prepare()
    source = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    request = source.ask()
    source.tell(request.number, result(0.5) | {"params": request.assignment})
    assert read_only_url(home.storage) is None
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK)
    assert read_only_url(home.storage) is None  # what its log holds is not in the file yet
    with closing(sqlite3.connect(home.root / "optuna.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert "immutable" in read_only_url(home.storage)
    (home.root / "optuna.db.lock").unlink()
    before = sorted(home.root.rglob("*"))
    assert [trial.values["test_accuracy"] for trial in study_records(home, "cheap").trials] == [0.5]
    assert sorted(home.root.rglob("*")) == before


def test_a_database_is_opened_where_no_lock_can_be(tmp_path):
    url = sqlite_url(tmp_path / "optuna.db")
    (tmp_path / "optuna.db.lock").mkdir()
    open_storage(url)
    assert optuna.study.get_all_study_names(open_storage(url)) == []


@pytest.mark.parametrize(("failures", "opens"), [(2, True), (3, False)])
def test_the_tables_of_a_server_that_another_makes_meanwhile_are_tried_again(failures, opens, monkeypatch):
    tries = []

    def storage(url, **_):
        tries.append(url)
        if len(tries) <= failures:
            raise sql.exc.ProgrammingError("CREATE TABLE studies", {}, Exception("studies already exists"))
        return "opened"

    monkeypatch.setattr("optuna.storages.RDBStorage", storage)
    monkeypatch.setattr("sweeper.search.reading.RETRY_SECONDS", (0.0, 0.0))
    if opens:
        assert open_storage("postgresql://db/x") == "opened"
    else:
        with pytest.raises(ConfigError, match="already exists"):
            open_storage("postgresql://db/x")
    assert tries == ["postgresql://db/x"] * 3


def test_a_server_that_cannot_be_reached_is_not_tried_again(monkeypatch):
    tries = []

    def storage(url, **_):
        tries.append(url)
        raise sql.exc.OperationalError(None, None, Exception("connection refused"))

    monkeypatch.setattr("optuna.storages.RDBStorage", storage)
    with pytest.raises(ConfigError, match="refused"):
        open_storage("postgresql://db/x")
    assert len(tries) == 1
