"""A study goes on over the data that it began with, or not at all: refused before any work."""

import shutil

import pytest
import yaml
from click.testing import CliRunner
from picture_folders import write_people, write_pictures

from sweeper.cli.app import main
from sweeper.engine.confirm import confirm
from sweeper.engine.sources import check_begun, current_sources
from sweeper.engine.sweep import sweep
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import SOURCES, stored_notes
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.datasets import image_folder
from trainables.errors import ConfigError
from trainables.stages.data import load_data


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_people(tmp_path / "mine", "ann", "bob", "cid", images=6)
    write_people(tmp_path / "theirs", "dan", "eve", images=3, first=50)
    document = {
        "name": "s",
        "trial": {
            "image_size": 32,
            "private": {"kind": "image_folder", "root": "mine"},
            "public": {"kind": "image_folder", "root": "theirs"},
            "pretraining": {"kind": "none"},
            "target": {"architecture": "small_cnn", "epochs": 1},
            "defense": {"kind": "none"},
            "prior": {"kind": "gmi", "width": 2, "epochs": 1},
            "attack": {"kind": "gmi", "iterations": 2},
            "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
        },
        "space": [{"target.epochs": {"choice": [1, 2, 3]}}],
        "search": {"trials": 2},
        "tracking": {"mlflow": False},
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(document))
    return parse_study(document, "s")


def keys(study):
    data = load_data(load_trial(study.document({})))
    return {"private": data.private_key, "public": data.public_key}


def begun(study, home, result, *, sources=True, data=None, trials=1):
    """Store a study with finished trials, as a sweep or (without sources) an older version left it."""
    recorded = current_sources(study, home) if sources else None
    source = OptunaStudy(study, home.storage, home.study(study.name) / "history", sources=recorded)
    for _ in range(trials):
        asked = source.ask()
        more = {"params": asked.assignment, **({} if data is None else {"data": data})}
        assert source.tell(asked.number, result(0.5 + 0.1 * asked.number) | more) == ""


def replaced(tmp_path):
    shutil.rmtree(tmp_path / "mine")
    write_people(tmp_path / "mine", "ann", "bob", "cid", images=6, first=300)


def no_work(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("work was begun")

    monkeypatch.setattr("sweeper.engine.sweep.cluster", fail)
    monkeypatch.setattr("sweeper.engine.confirm.cluster", fail)


def test_a_sweep_over_another_population_is_refused_before_any_work(
    study, home, result, tmp_path, monkeypatch
):
    begun(study, home, result)
    replaced(tmp_path)
    no_work(monkeypatch)
    monkeypatch.setattr(image_folder, "_decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ConfigError, match=r"study 's' must keep its data.*private data \(private.root\)"):
        sweep(study, home)
    with pytest.raises(ConfigError, match=r"study 's' must keep its data.*private data \(private.root\)"):
        confirm(study, home, seeds=1)


def test_it_is_bad_input(study, home, result, tmp_path, monkeypatch):
    begun(study, home, result)
    write_pictures(tmp_path / "mine", "ann/7.png", first=99)
    no_work(monkeypatch)
    run = CliRunner().invoke(main, ["run", "s.yaml", "--home", str(home.root)])
    assert run.exit_code == 2
    assert "recorded 3 people with 18 images" in run.stderr and "now 3 people with 19 images" in run.stderr


@pytest.mark.parametrize("recorded", ["with keys", "without keys"])
def test_an_older_study_takes_the_data_of_its_trials_or_those_there_are(study, home, result, recorded):
    begun(study, home, result, sources=False, data=keys(study) if recorded == "with keys" else None)
    assert SOURCES not in stored_notes(home.storage, "s")

    def stop(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweeper.engine.sweep.cluster", stop)
        with pytest.raises(KeyboardInterrupt):
            sweep(study, home)
    assert stored_notes(home.storage, "s")[SOURCES] == current_sources(study, home)


def test_an_older_study_over_other_data_than_its_trials_is_refused(
    study, home, result, tmp_path, monkeypatch
):
    begun(study, home, result, sources=False, data=keys(study))
    replaced(tmp_path)
    no_work(monkeypatch)
    for work in (lambda: sweep(study, home), lambda: confirm(study, home, seeds=1)):
        with pytest.raises(
            ConfigError, match=r"private data \(private\): trial 0 was made of others .* 18 im"
        ):
            work()
    assert SOURCES not in stored_notes(home.storage, "s")


def test_an_older_study_counts_images_alone(study, home, result, tmp_path, monkeypatch):
    """Trials from before parts and names counted noted the key of the images; that is the same data."""
    shutil.rmtree(tmp_path / "mine")
    write_people(
        tmp_path / "mine", *(f"{part}/{name}" for part in ("train", "test") for name in "ab"), images=3
    )
    data = load_data(load_trial(study.document({})))
    assert data.images_key != data.private_key
    begun(study, home, result, sources=False, data={"private": data.images_key, "public": data.public_key})
    monkeypatch.setattr("sweeper.engine.sweep.cluster", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sweep(study, home)


def test_a_complete_study_is_shown_without_its_data(study, home, result, tmp_path, monkeypatch):
    for sources in (True, False):
        begun(study, home, result, sources=sources, data=keys(study), trials=2)
        shutil.move(tmp_path / "mine", tmp_path / "away")
        no_work(monkeypatch)
        assert len(sweep(study, home, run=result).records.complete) == 2
        shutil.move(tmp_path / "away", tmp_path / "mine")
        shutil.rmtree(home.root)
        home.prepare()


def test_a_moved_data_set_goes_on(study, home, result, tmp_path, monkeypatch):
    begun(study, home, result)
    shutil.move(tmp_path / "mine", tmp_path / "elsewhere")
    document = yaml.safe_load((tmp_path / "s.yaml").read_text())
    document["trial"]["private"]["root"] = str(tmp_path / "elsewhere")
    moved = parse_study(document, "s")
    monkeypatch.setattr("sweeper.engine.sweep.cluster", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        sweep(moved, home)


def test_whether_a_start_would_go_on_is_known_without_one(study, home, result, tmp_path):
    check_begun(study, home)  # none began
    begun(study, home, result)
    check_begun(study, home)
    kept = stored_notes(home.storage, "s")
    replaced(tmp_path)
    with pytest.raises(ConfigError, match=r"study 's' must keep its data.*private data \(private.root\)"):
        check_begun(study, home)
    shutil.move(tmp_path / "mine", tmp_path / "elsewhere")
    document = yaml.safe_load((tmp_path / "s.yaml").read_text())
    document["trial"]["private"]["root"] = str(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"changed since it began: trial.private.root: 'mine' -> "):
        check_begun(parse_study(document, "s"), home)
    shutil.rmtree(tmp_path / "elsewhere")
    write_people(tmp_path / "elsewhere", "ann", "bob", "cid", images=6)
    check_begun(parse_study(document, "s"), home)  # the same, moved
    document["trial"]["target"]["epochs"] = 2
    with pytest.raises(ConfigError, match=r"changed since it began: trial.target.epochs: 1 -> 2;"):
        check_begun(parse_study(document, "s"), home)
    assert stored_notes(home.storage, "s") == kept


@pytest.mark.parametrize("sources", [True, False])
@pytest.mark.parametrize("trials", [1, 2])
def test_an_unfinished_study_alone_needs_its_data(study, home, result, tmp_path, sources, trials):
    begun(study, home, result, sources=sources, data=keys(study), trials=trials)
    check_begun(study, home)
    shutil.move(tmp_path / "mine", tmp_path / "away")
    if trials == study.budget:
        check_begun(study, home)
        return
    with pytest.raises(ConfigError, match="mine"):
        check_begun(study, home)
