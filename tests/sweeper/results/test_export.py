"""A trial of a real, tiny study is released, and the card's example is run as it stands."""

import io
import json
import re
import shutil
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from sweeper.results import formatting
from sweeper.results.export import export, find_trial, trained_seeds
from sweeper.results.records import study_records
from sweeper.results.stage_files import per_identity
from sweeper.results.trial_record import Replicate, TrialConfirmation
from sweeper.search.optuna_study import OptunaStudy
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.released import load_released
from trainables.stages.data import load_data
from trainables.stages.target import load_target
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "images_per_identity": 6}
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private", "identities": 3},
        "public": {**FACES, "population": "public", "identities": 3},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1, "normalization": "half"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 4, "epochs": 1},
        "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
        "judge": [
            {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
            {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
        ],
        "identities": 2,
    },
    "space": [{"target.freeze_point": {"ordered": ["none", "conv2"]}}, {"defense.kind": {"choice": ["mid"]}}],
    "search": {"trials": 1, "anchors": False},
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a home with one finished trial, its configuration and its stage."""
    home = Home(tmp_path_factory.mktemp("released") / "home")
    home.prepare()
    study = parse_study(DOCUMENT, "test")
    book = OptunaStudy(study, home.storage, home.study("tiny") / "history")
    (home.study("tiny")).mkdir(parents=True, exist_ok=True)
    (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(DOCUMENT))
    asked = book.ask()
    config = load_trial(asked.document)
    result = run_trial(config, store=home.store).to_json()
    assert book.tell(asked.number, result | {"params": asked.assignment}) == ""
    return home, config, result


def test_the_example_of_the_card_runs_and_says_what_the_target_says(ran, tmp_path, monkeypatch):
    home, config, result = ran
    folder = export(home, "tiny", 0, tmp_path / "release")
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "config.json",
        "labels.json",
        "target.safetensors",
    ]
    (example,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(example.strip().splitlines()) == 3
    data = load_data(config)
    face = data.split.test.select(torch.tensor([0]))
    Image.fromarray(face.pixels[0].permute(1, 2, 0).numpy()).save(tmp_path / "face.png")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)  # MID's head draws noise
    said = io.StringIO()
    with redirect_stdout(said):
        exec(example, {})
    torch.manual_seed(0)
    target = load_target(
        config, data, home.store.find("target", result["artifacts"]["target"].split("/")[-1])
    )
    with torch.no_grad():
        scores = target(face.pixels.float() / 255).softmax(1)[0]
    about = json.loads((folder / "config.json").read_text())["operating_point"]
    assert data.split.train.names[int(scores.argmax())] in said.getvalue()
    assert re.search(rf"score 0\.\d+, threshold {about['score']:.3f}\)", said.getvalue())
    assert f"from {about['score']:.4f} up" in (folder / "README.md").read_text()
    assert about["strangers_named"] <= 0.05


def test_without_its_data_a_target_has_no_threshold(ran, tmp_path, monkeypatch):
    def gone(config):
        raise ConfigError("no such folder")

    home, _, _ = ran
    monkeypatch.setattr("trainables.stages.data.load_data", gone)
    folder = export(home, "tiny", 0, tmp_path / "release")
    assert "operating_point" not in json.loads((folder / "config.json").read_text())
    assert "no threshold was measured" in (folder / "README.md").read_text()


def test_the_card_holds_every_privacy_figure_and_no_path(ran, tmp_path):
    home, config, result = ran
    folder = export(home, "tiny", 0, tmp_path / "release")
    text = (folder / "README.md").read_text() + (folder / "config.json").read_text()
    metrics = result["metrics"]
    for name in ("attack_accuracy_top1", "attack_accuracy_top5", "chance", "judge_test_accuracy"):
        assert f"{100 * metrics[name]:.1f} %" in text
    name, people = "attack_accuracy_verified", result["people"]["attacked"]
    shown = formatting.ranged(name, metrics[name], result["interval"][name], people)
    assert shown in text
    agreement = f"{100 * metrics['judge_2.agreement']:.1f} %"
    assert f"Judge 2, test accuracy {100 * metrics['judge_2.test_accuracy']:.1f} %" in text
    assert f"names whom the first names in {agreement} of reconstructions" in text
    assert f"{metrics['knn_distance']:.4g}" in text
    assert "| gmi | white-box |" in text and "first 2." in text and "Measured once." in text
    for warning in result["warnings"]:
        assert warning in text
    machine = result["machines"]["target"]
    assert f"same seed): {machine['device']} ({machine['name']}), {machine['threads']} thread" in text
    assert str(home.root) not in text and str(tmp_path) not in text
    about = json.loads((folder / "config.json").read_text())
    assert about["defense"]["kind"] == "mid" and about["seed"] == [0, 0] and about["trial"] == 0
    assert load_released(folder).labels == load_data(config).split.train.names


def test_a_card_of_older_stages_says_that_their_machine_is_unknown(ran, tmp_path, monkeypatch):
    home, _, _ = ran
    read = study_records

    def older(*arguments, **options):
        records = read(*arguments, **options)
        return replace(records, trials=tuple(replace(trial, machines={}) for trial in records.trials))

    monkeypatch.setattr("sweeper.results.export.study_records", older)
    text = (export(home, "tiny", 0, tmp_path / "release") / "README.md").read_text()
    assert "same seed): not recorded." in text


def test_what_cannot_be_released_is_named(ran, tmp_path):
    home, _, _ = ran
    with pytest.raises(ConfigError, match=r"got 7, no such trial \(--trial\); finished: 0"):
        export(home, "tiny", 7, tmp_path / "release")
    with pytest.raises(ConfigError, match=r"under the seeds 0; got 3 \(--replicate\)"):
        export(home, "tiny", 0, tmp_path / "release", replicate=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="a new or empty folder"):
        export(home, "tiny", 0, tmp_path / "file")
    with pytest.raises(ConfigError, match="a new or empty folder"):
        export(home, "tiny", 0, tmp_path)
    with pytest.raises(ConfigError, match="a new or empty folder"):
        export(home, "tiny", 0, home.root)
    moved = home.store.root.rename(home.root / "moved")
    with pytest.raises(ConfigError, match="expected the target of trial 0"):
        export(home, "tiny", 0, tmp_path / "release")
    moved.rename(home.store.root)


@pytest.fixture
def people(tmp_path):
    """Return a maker of (home, folder of people) with one finished trial of three people, trained on pixels
    of noise, read with knobs of their own."""
    from sweeper.storage.home import Home

    root = tmp_path / "people"
    for number, name in enumerate(("ada", "bob", "eve")):
        for picture in range(6):
            noise = np.random.default_rng(10 * number + picture).integers(0, 256, (40, 30, 3), dtype=np.uint8)
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise).save(root / name / f"{picture}.png")

    def make(**knobs):
        home = Home(tmp_path / "home")
        private = {"kind": "image_folder", "root": str(root), **knobs}
        document = {**DOCUMENT, "trial": {**DOCUMENT["trial"], "private": private}}
        home.study("tiny").mkdir(parents=True)
        (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(document))
        book = OptunaStudy(parse_study(document, "test"), home.storage, home.study("tiny") / "history")
        asked = book.ask()
        result = run_trial(load_trial(asked.document), store=home.store).to_json()
        assert book.tell(asked.number, result | {"params": asked.assignment}) == ""
        return home, root

    return make


def test_labels_are_those_of_training_and_not_of_todays_folders(people, tmp_path):
    home, root = people(fit="pad", crop=36)
    (root / "bob").rename(root / "zoe")
    folder = export(home, "tiny", 0, tmp_path / "release")
    assert load_released(folder).labels == ("ada", "bob", "eve")
    about = json.loads((folder / "config.json").read_text())
    assert about["fit"] == "pad" and about["crop"] == 36
    shutil.rmtree(root)
    assert load_released(export(home, "tiny", 0, tmp_path / "again")).labels == ("ada", "bob", "eve")


def test_labels_of_a_stage_that_holds_none_are_not_guessed(people, tmp_path):
    home, root = people()
    (note,) = (home.store.root / "target").glob("*/result.json")
    record = json.loads(note.read_text())
    del record["result"]["identities"]  # as before
    note.write_text(json.dumps(record))
    assert load_released(export(home, "tiny", 0, tmp_path / "release")).labels == ("ada", "bob", "eve")
    (root / "ada").rename(root / "zoe")  # other people under the labels
    with pytest.raises(ConfigError, match="labels would name the wrong people"):
        export(home, "tiny", 0, tmp_path / "again")


def has_threshold(folder):
    return "operating_point" in json.loads((folder / "config.json").read_text())


def test_a_private_folder_that_has_grown_gives_no_threshold(people, tmp_path):
    """Its parts are dealt anew: of its test images today the target may have learnt some."""
    home, root = people()
    assert has_threshold(export(home, "tiny", 0, tmp_path / "then"))
    for name in ("ada", "bob", "eve"):
        with Image.open(root / name / "0.png") as image:
            image.rotate(90).save(root / name / "6.png")
    assert not has_threshold(export(home, "tiny", 0, tmp_path / "later"))


@pytest.mark.parametrize(("noted", "measured"), [({"public": "others"}, False), ({}, True)])
def test_public_images_that_the_trial_did_not_see_give_no_threshold(
    ran, tmp_path, monkeypatch, noted, measured
):
    read = study_records

    def other(*arguments, **options):
        records = read(*arguments, **options)
        return replace(records, trials=tuple(replace(trial, data=noted) for trial in records.trials))

    monkeypatch.setattr("sweeper.results.export.study_records", other)
    assert has_threshold(export(ran[0], "tiny", 0, tmp_path / "release")) is measured


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seconds": 1}', None])
def test_a_damaged_stage_is_named_and_nothing_is_released(people, tmp_path, text):
    home, _ = people()
    (note,) = (home.store.root / "target").glob("*/result.json")
    note.unlink()
    if text is not None:
        note.write_text(text)
    with pytest.raises(ConfigError, match=r"its result.json is missing or damaged"):
        export(home, "tiny", 0, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_a_target_of_each_seed_can_be_chosen(ran):
    trial = find_trial(study_records(ran[0], "tiny"), 0)
    assert list(trained_seeds(trial, 4)) == [4]
    assert list(trained_seeds(replace(trial, params={"replicate": 3}), 4)) == [3]  # a space has chosen it
    fresh = TrialConfirmation(seeds=1, values={}, replicates=[Replicate(replicate=6)])
    trial = replace(trial, replicates=[Replicate(replicate=4), Replicate(replicate=5)], confirmed=fresh)
    assert list(trained_seeds(trial, 4)) == [4, 5, 6]
    again = TrialConfirmation(seeds=1, values={}, replicates=[Replicate(replicate=4, values={"a": 1.0})])
    assert trained_seeds(replace(trial, confirmed=again), 4)[4].values == {}  # the search's own


def test_a_confirmed_trial_says_what_fresh_seeds_measured(ran):
    from sweeper.results.confirmed import with_confirmation
    from sweeper.results.model_card import card
    from trainables.storage.store import to_json

    home, config, result = ran
    records = study_records(home, "tiny")
    fresh = [
        result
        | {"replicate": seed, "values": {"test_accuracy": 0.5, "attack_accuracy": value}}
        | {"interval": {**result["interval"], "test_accuracy": [0.4, 0.6]}}
        for seed, value in ((1, 0.1), (2, 0.3))
    ]
    records = with_confirmation(records, [], {0: fresh})
    trial = find_trial(records, 0)
    values = {"test_accuracy": 0.99, "attack_accuracy": 0.875}
    bare = replace(
        trial, number=9, freeze_point="none", defense="none", confirmed=None, values=values, interval={}
    )
    records = replace(records, trials=[*records.trials, bare])
    text = card(records, trial, trained_seeds(trial, 0)[2], to_json(config), 3, "here")
    assert "| the same recipe under 2 fresh seeds | 50.0 % [40.0 %, 60.0 %] |" in text
    assert "under 2 fresh seeds: attack accuracy 20.0 %" in text
    assert "These very weights: attack accuracy 30.0 %" in text
    assert "is better in everything: 100%" in text
    assert "Undefended, trial 9 of the same study: attack accuracy 87.5 %" in text
    assert "| gmi, fresh seeds |" in text and "Measured once" not in text
    assert "- **non-adaptive: one who knows of 'mid' averages gradients" in text
    assert f"Frozen as pre-trained up to: `{trial.freeze_point}`." in text
    document = to_json(config)
    document["target"] |= {"freeze_point": "none", "trained": ["conv1"]}
    part = replace(trial, freeze_point="all but conv1")
    text = card(records, part, trained_seeds(part, 0)[2], document, 3, "here")
    assert "Frozen as pre-trained: `all but conv1`." in text


def test_the_front_has_its_targets_in_mlflow_if_the_study_says_so(ran, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from sweeper.tracking.mlflow_tracker import EXPERIMENT, Tracker

    for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    home, _, _ = ran
    study = parse_study(DOCUMENT | {"tracking": {"models": True}}, "test")
    records = study_records(home, "tiny")
    assert not parse_study(DOCUMENT, "test").tracking.models  # off unless asked for

    def write(on_front):
        trial = replace(records.trials[0], on_front=on_front)
        tracker = Tracker(study, home)
        tracker.finish(replace(records, trials=[trial]), None)
        assert tracker.problem == ""
        (run,) = client().search_runs([experiment().experiment_id], "tags.kind = 'trial'")
        return run, {a.path for a in client().list_artifacts(run.info.run_id, "model")}

    def client():
        return MlflowClient(tracking_uri=home.tracking)

    def experiment():
        return client().get_experiment_by_name(EXPERIMENT)

    run, there = write(True)
    wanted = {"model/README.md", "model/config.json", "model/labels.json", "model/target.safetensors"}
    assert run.data.tags["model"] == "logged" and there == wanted
    folder = client().download_artifacts(run.info.run_id, "model", str(tmp_path))
    own = load_released(export(home, "tiny", 0, tmp_path / "own")).labels
    told = load_released(folder).labels  # the study shows no private images: whose they are neither
    assert told == tuple(f"person {label}" for label in range(len(own))) and not set(told) & set(own)
    study = parse_study(DOCUMENT | {"tracking": {"models": True, "images": True}}, "test")
    write(False)
    run, _ = write(True)
    assert load_released(client().download_artifacts(run.info.run_id, "model")).labels == own
    run, there = write(False)  # a resumed search found better ones
    assert "model" not in run.data.tags and there == set()
    monkeypatch.setattr(
        "sweeper.results.export.find_trial", lambda records, number: replace(records.trials[0], artifacts={})
    )
    run, there = write(True)
    assert run.data.tags["model"].startswith("missing: expected the target of trial 0") and there == set()


def test_a_home_that_was_moved_or_copied_has_the_stages_of_its_own_store(ran, tmp_path):
    home, _, result = ran
    moved = Home(tmp_path / "moved")
    shutil.copytree(home.root, moved.root)
    with taken_away(home):
        (trial,) = study_records(moved, "tiny").trials
        assert set(trial.artifacts) == set(result["artifacts"])
        for stage, folder in trial.artifacts.items():
            assert Path(folder) == moved.store.root.joinpath(*Path(result["artifacts"][stage]).parts[-2:])
        assert per_identity([trial])[0] is not None
        export(moved, "tiny", 0, tmp_path / "release")
    (trial,) = study_records(moved, "tiny").trials  # a recorded folder that is there is the one
    assert trial.artifacts == result["artifacts"]


@contextmanager
def taken_away(home):
    """Take a home away for a while."""
    away = home.root.with_name("away")
    home.root.rename(away)
    try:
        yield
    finally:
        away.rename(home.root)
