"""Several judges on one tiny trial: what each says is looked up in its files."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.judges.verification import references, scores, threshold
from trainables.metrics.attack_accuracy import interval95
from trainables.screening import run_screened
from trainables.stages.data import load_data
from trainables.stages.judge import load_judge, make_judges
from trainables.stages.opinion import second_opinion
from trainables.storage.store import Store
from trainables.trial import make_shared, run_trial, shared_warnings

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
FIRST = {"kind": "classifier", "architecture": "small_resnet", "epochs": 4}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 4},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 10, "restarts": 4},
    "judge": [FIRST, {**FIRST, "seed": 3}, {**FIRST, "architecture": "small_cnn"}],
}
CONFIG = load_trial(DOCUMENT)
ALONE = load_trial({**DOCUMENT, "judge": FIRST})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"), None)
    return store, run_trial(CONFIG, store=store)


def looks(store: Store, result, number: int):
    """Return a judge's first choices and scores of each reconstruction, worked out from its model."""
    judges = make_judges(CONFIG, store=store)
    model, features = load_judge(CONFIG, CONFIG.judges[number], judges[number], "cpu")
    saved = torch.load(f"{result.artifacts['attack']}/reconstructions.pt", weights_only=True)
    train = load_data(CONFIG).split.train
    people = references(features, train.labels, 4)
    with torch.no_grad():
        parts = [as_float(images) for images in saved["images"]]
        choices = torch.stack([model.logits(part).argmax(1) for part in parts])
        every = torch.stack([scores(model.features(part), people) for part in parts])
    own = saved["identities"]
    return model, people, choices, every[:, torch.arange(len(own)), own]


def test_agreement_and_false_positive_rate_of_hand_counted_choices():
    first = torch.tensor([[0, 1, 0], [0, 0, 2]])
    other = torch.tensor([[0, 2, 0], [1, 0, 2]])
    # equal in four of six; the first accepts four (0, 1 and 0, 2), of which the other rejects two
    figures = second_opinion(first, other, torch.arange(3))
    assert figures == {"agreement": 4 / 6, "false_positive_rate": 2 / 4}
    assert second_opinion(first, first, torch.arange(3)) == {"agreement": 1.0, "false_positive_rate": 0.0}
    nobody = second_opinion(first, other, torch.tensor([3, 3, 3]))
    assert nobody == {"agreement": 4 / 6, "false_positive_rate": None}


def test_every_other_judge_tells_agreement_and_false_positives(made):
    store, result = made
    _, _, first, _ = looks(store, result, 0)
    for number in (1, 2):
        model, _, choices, _ = looks(store, result, number)
        name = f"judge_{number + 1}"
        assert result.metrics[f"{name}.test_accuracy"] == model.test_accuracy
        assert result.metrics[f"{name}.agreement"] == pytest.approx((choices == first).double().mean().item())
        accepted = first == torch.arange(4)
        rate = result.metrics.get(f"{name}.false_positive_rate")
        if accepted.any():
            wrong = (choices != torch.arange(4)) & accepted
            assert rate == pytest.approx(wrong.sum().item() / accepted.sum().item())
        else:
            assert rate is None
        assert Path(result.artifacts[name]).parent.name == "judge"
    folders = {result.artifacts[name] for name in ("judge", "judge_2", "judge_3")}
    assert len(folders) == 3


def test_the_verified_accuracy_is_the_first_judges_with_its_interval(made):
    store, result = made
    model, people, choices, own = looks(store, result, 0)
    test = load_data(CONFIG).split.test
    with torch.no_grad():
        pairs = scores(model.features(as_float(test.pixels)), people)
    strangers = pairs[torch.nn.functional.one_hot(test.labels, 4) == 0]
    limit = threshold(strangers)
    shares = ((choices == torch.arange(4)) & (own > limit.score)).double().mean(0)
    assert result.metrics["attack_accuracy_verified"] == pytest.approx(shares.mean().item())
    expected = list(interval95(shares, 4))
    assert result.interval["attack_accuracy_verified"].to_json() == pytest.approx(expected)
    assert result.attacks["gmi"].verified == result.interval["attack_accuracy_verified"]
    assert result.metrics["judge_false_acceptance"] == 1 / len(strangers)
    assert 0 <= result.metrics["judge_equal_error_rate"] <= 1


def test_further_judges_change_nothing_that_the_first_one_says(made):
    store, result = made
    alone = run_trial(ALONE, store=store)
    assert alone.values == result.values and alone.interval == result.interval
    for name, figure in alone.metrics.items():
        assert result.metrics[name] == figure
    assert {name for name in result.metrics if name not in alone.metrics} == {
        name for name in result.metrics if name.startswith(("judge_2.", "judge_3."))
    }
    assert alone.artifacts["judge"] == result.artifacts["judge"]
    assert len(list((store.root / "verdict").glob("*/result.json"))) == 1


def test_verdicts_stored_before_there_were_opinions_stay_and_their_pictures_are_looked_at(made, tmp_path):
    store, result = made
    shutil.copytree(store.root, tmp_path / "store")
    old = Store(tmp_path / "store", None)
    for stage in ("opinion", "judge_measured"):
        shutil.rmtree(old.root / stage)
    dated = {path: path.stat().st_mtime_ns for path in old.root.glob("verdict/*/result.json")}
    again = run_trial(CONFIG, store=old)
    assert again.metrics == result.metrics and again.values == result.values
    assert {path: path.stat().st_mtime_ns for path in old.root.glob("verdict/*/result.json")} == dated


def test_the_shared_stage_makes_every_judge_once(made, tmp_path):
    store = Store(tmp_path, None)
    first = make_shared(CONFIG, "judge", store=store)
    assert first.made_now and len(list((tmp_path / "judge").glob("*/result.json"))) == 3
    results = [*tmp_path.glob("judge/*/result.json"), *tmp_path.glob("judge_measured/*/result.json")]
    each = [json.loads(path.read_text())["seconds"] for path in results]
    assert len(each) == 6  # a judge is measured before a trial believes it
    assert first.seconds == pytest.approx(sum(each))
    assert not make_shared(CONFIG, "judge", store=store).made_now
    assert Path(made[1].artifacts["judge"]).name == first.key


def test_a_weak_other_judge_is_a_warning_with_its_number_and_stops_nothing(tmp_path):
    poor = dataclasses.replace(CONFIG.judge, epochs=1, learning_rate=1e-9, seed=5)
    config = dataclasses.replace(CONFIG, other_judges=(poor,))
    store = Store(tmp_path, None)
    make_shared(config, "judge", store=store)
    texts, useless = shared_warnings(config, "judge", store=store)
    about = [text for text in texts if text.startswith("judge 2 (classifier): ")]
    assert len(about) == 1
    _, alone = shared_warnings(dataclasses.replace(config, other_judges=()), "judge", store=store)
    assert useless == alone


def test_a_screened_trial_knows_its_judges(made):
    store, _ = made
    result = run_screened(CONFIG, rivals=[], objectives={"test_accuracy": "maximize"}, share=0.5, store=store)
    assert "judge_2.agreement" in result.metrics
