"""Every study analysis at toy size: derived, its trials run here without Ray, read and concluded."""

import dataclasses
import json

import numpy as np
import pytest
import yaml
from toy_study import TOY

from sweeper.analyses import STUDY_ANALYSES
from sweeper.analyses.measure import OPTIONS, StudyAnalyzed, derive_study, make_analysis
from sweeper.analyses.runs import POINT, read_runs
from sweeper.engine.sweep import SweepResult
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.replicates import run_replicates
from sweeper.storage.home import Home
from sweeper.study.loading import load_study, parse_study
from trainables.errors import ConfigError, TrialError
from trainables.tune import run_document

POINTS = {"--freeze-point": ("conv2",)}
SMALL = {
    "layer_roles": {"--epoch": (1, 2)},
    "accuracy_control": {"--epoch": (1, 2)},
    "defenses": {"--epoch": (1, 2), "--defense": ("mid",)},
    "pretraining": {
        "--epoch": (1, 2),
        "--variants": {"far": TOY["trial"]["pretraining"], "none": {"kind": "none"}},
    },
}
FEW = {"kind": "brep", "iterations": 1, "calls": 2, "start_queries": 200}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = Home(tmp_path_factory.mktemp("toys") / "home")
    made.prepare()
    return made


@pytest.fixture(scope="module")
def study_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "toy.yaml"
    path.write_text(yaml.safe_dump(TOY))
    return str(path)


def run_here(study, home):
    book = OptunaStudy(study, home.storage, home.study(study.name) / "history")
    while (asked := book.ask()) is not None:
        result = run_replicates(
            asked.document,
            run=run_document,
            count=study.search.replicates,
            store_root=str(home.store.root),
            device="cpu",
            report=lambda *done, **figures: None,
        )
        book.tell(asked.number, result | {"params": asked.assignment})
    return study_records(home, study.name)


@pytest.mark.parametrize("name", STUDY_ANALYSES)
def test_it_is_derived_run_and_concluded(name, home, study_file):
    options = {"--seeds": 2, **({} if name == "layer_roles" else POINTS), **SMALL.get(name, {})}
    analysis = make_analysis(name, options)
    overrides = []
    if name == "threat_models":  # as small as the others; what it fills up with has tests of its own
        rlb = {"kind": "rlb", "episodes": 2, "replay": 2, "hidden": 4}
        overrides = [f"trial.attack={json.dumps([TOY['trial']['attack'], rlb, FEW])}"]
    study = derive_study(analysis, study_file, home, overrides)
    records = run_here(study, home)
    assert len(records.complete) == study.budget and study.budget <= 8
    runs = read_runs(study, records)
    assert len(runs) == 2 * study.budget
    assert {run.seed for run in runs} == {0, 1} and {run.depth for run in runs} <= {0.0, 2 / 6}
    for trial in records.complete:
        point = trial.params.get(POINT)
        own = [run for run in runs if run.settings.get(POINT, point) == point]
        rates = {run.rates.mean() for run in own if len(run.rates) == 4}
        assert any(np.isclose(seed.values["attack_accuracy"], list(rates)).any() for seed in trial.replicates)
    assert all(set(run.attacks) == set(run.threat_models) == set(records.trials[0].attacks) for run in runs)
    conclusion = analysis.conclude(runs)
    outcome = SweepResult(records, 0, None, [])
    analyzed = StudyAnalyzed(analysis=analysis, study=study, outcome=outcome, conclusion=conclusion)
    shown = json.loads(json.dumps(analyzed.to_json(), allow_nan=False))
    assert (shown["analysis"], shown["study"]) == (name, f"toy_{name}")
    assert shown["rows"] and shown["sentences"] and shown["does_not_show"]
    if name == "layer_roles":
        assert len({run.settings["roles"] for run in runs}) == 4
        counts = {run.settings["roles"]: run.trained_params for run in runs}
        assert counts["last"] < counts["first_and_last"] < counts["middle_and_last"] < counts["all"]
    if name == "pretraining":
        assert {run.settings["pretraining"] for run in runs} == {"far", "none"}
    again = derive_study(analysis, study_file, home, overrides)
    assert OptunaStudy(again, home.storage, home.study(again.name) / "history").finished


def test_evaluations_of_another_machine_are_asked_for(home, study_file):
    study = derive_study(make_analysis("frozen_batchnorm", {"--freeze-point": ("conv2",)}), study_file, home)
    records = study_records(home, study.name)
    assert records.complete, "the test above has run it"
    folder = home.store.root / "verdict"
    moved = folder.rename(folder.with_name("elsewhere"))
    try:
        with pytest.raises(TrialError, match="analyze where the sweep ran"):
            read_runs(study, records)
    finally:
        moved.rename(folder)


def test_an_option_of_another_analysis_is_a_mistake():
    with pytest.raises(
        ConfigError, match=r"--variants belongs to analysis 'pretraining'; got 'threat_models'"
    ):
        make_analysis("threat_models", {"--variants": {}})
    with pytest.raises(
        ConfigError,
        match=r"--epoch belongs to analysis 'accuracy_control', 'defenses', 'layer_roles', 'pretraining'",
    ):
        make_analysis("frozen_batchnorm", {"--epoch": (1,)})
    assert set(OPTIONS.values()) >= {"seeds", "freeze_points", "epochs", "variants"}


@pytest.mark.parametrize("name", STUDY_ANALYSES)
def test_a_study_whose_name_is_too_long_to_derive_from_is_refused_before_any_work(name, tmp_path):
    """The name of the derived study is that of a study, or nothing could open it."""
    home = Home(tmp_path / "home")
    home.prepare()
    options = {} if name == "layer_roles" else POINTS
    analysis = make_analysis(name, {**options, **SMALL.get(name, {})})
    room = 100 - len(f"_{name}")
    for own in ("n" * room, "n" * (room + 1), "n" + "é" * (room // 2)):
        path = tmp_path / "long.yaml"
        path.write_text(yaml.safe_dump({**TOY, "name": own}))
        if len(own.encode()) <= room:
            study = derive_study(analysis, str(path), home)
            assert parse_study(dataclasses.asdict(study), "again").name == f"{own}_{name}"
            continue
        with pytest.raises(ConfigError) as error:
            derive_study(analysis, str(path), home)
        assert "at most 100 characters, those beyond ASCII counted as two to four" in str(error.value)
        assert str(error.value).endswith("; analyze a study file under a shorter name (-S name=...)")
    assert derive_study(analysis, str(path), home, ["name=short"]).name == f"short_{name}"


def test_a_stored_study_is_taken_as_it_ran(tmp_path, study_file):
    home = Home(tmp_path / "home")
    home.prepare()
    ran = load_study(study_file, overrides=["trial.target.epochs=3", "trial.attacked=[0, 2]"])
    OptunaStudy(ran, home.storage, home.study("toy") / "history")
    home.study("toy").mkdir(parents=True, exist_ok=True)
    (home.study("toy") / "study.yaml").write_text(
        yaml.safe_dump({**TOY, "trial": ran.trial, "search": {"trials": 2, "attacked": 0.5}})
    )
    derived = derive_study(make_analysis("frozen_batchnorm", {}), "toy", home)
    assert derived.trial["target"]["epochs"] == 3
    assert derived.trial["attacked"] == [0, 2] and derived.search.attacked is None  # the same people
    with pytest.raises(ConfigError, match="leave out -S"):
        derive_study(make_analysis("frozen_batchnorm", {}), "toy", home, ["trial.target.epochs=2"])
