"""What the stage of a target keeps of its training and of its test images."""

import dataclasses
import functools
from pathlib import Path

import pytest
import torch

from trainables.config import document as written
from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.errors import ConfigError
from trainables.stages.data import load_data
from trainables.stages.judge import make_judge
from trainables.stages.pretrained import make_pretrained
from trainables.stages.prior import make_prior
from trainables.stages.target import load_defense, load_target, make_target
from trainables.storage.resume import Resume
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 2, "batch_size": 16},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    store, config = Store(tmp_path_factory.mktemp("store")), load_trial(DOCUMENT)
    return store, config, make_target(config, store=store)


def test_each_test_image_is_kept_in_order(made):
    _, config, stage = made
    data = load_data(config)
    test = data.split.test
    named = load_target(config, data, stage)(as_float(test.pixels)).argmax(1)
    right = (named == test.labels).tolist()
    assert stage.result["test_correct"] == "".join(str(int(hit)) for hit in right)
    assert stage.result["test_accuracy"] == sum(right) / len(right)
    shares = [
        sum(hit for hit, label in zip(right, test.labels.tolist(), strict=True) if label == person)
        / int((test.labels == person).sum())
        for person in range(4)
    ]
    assert stage.result["test_accuracy_per_identity"] == pytest.approx(sum(shares) / 4)


def test_a_partly_trained_target_is_told_from_an_undefended_one(made):
    store, _, whole = made
    target = {**DOCUMENT["target"], "trained": ["conv2", "conv4"]}
    config = load_trial({**DOCUMENT, "target": target, "defense": {"kind": "bido", "images_per_identity": 2}})
    assert config.target.frozen == "all but conv2, conv4" and load_trial(written(config)) == config
    found = run_trial(config, store=store)
    stages = load_target(config, load_data(config), whole).stages  # loads as any other
    expected = sum(weight.numel() for name in ("conv2", "conv4") for weight in stages[name].parameters())
    assert found.freeze_point == "all but conv2, conv4"
    assert found.parameters["trained_without_head"] == expected
    assert found.parameters["total_without_head"] == sum(weight.numel() for weight in stages.parameters())
    assert found.trained_params < found.total_params == whole.result["parameters"]["total"]
    explicit = load_trial({**DOCUMENT, "target": {**DOCUMENT["target"], "trained": None}})
    assert make_target(explicit, store=store).path == whole.path  # at its default it is in no key
    other = {**DOCUMENT["target"], "trained": ["conv2"]}
    assert make_target(load_trial({**DOCUMENT, "target": other}), store=store).path != whole.path


def test_the_share_of_images_seen_is_kept(made):
    images = len(load_data(made[1]).split.train)
    assert made[2].result["images_seen"] == pytest.approx(images // 16 * 16 / images) != 1


def test_the_trial_has_the_mean_over_identities_and_not_the_string(made):
    store, config, stage = made
    document = run_trial(config, store=store).to_json()
    expected = stage.result["test_accuracy_per_identity"]
    assert document["metrics"]["test_accuracy_per_identity"] == expected
    assert "test_correct" not in str(document)


def test_a_target_of_an_older_store_has_no_such_metric(made, monkeypatch):
    store, config, stage = made
    for name in ("test_accuracy_per_identity", "test_correct", "images_seen"):
        monkeypatch.delitem(stage.result, name)
    found = run_trial(config, store=store, trained=stage)
    assert "test_accuracy_per_identity" not in found.metrics
    assert found.values["test_accuracy"] == stage.result["test_accuracy"]


LEARNT = {"epochs": 12, "batch_size": 8, "learning_rate": 0.05, "freeze_point": "conv1"}
DEFENDED = {**DOCUMENT, "identities": 2, "target": {**DOCUMENT["target"], **LEARNT}}
BREP = {"kind": "brep", "iterations": 2, "points": 4, "start_batch": 8, "start_queries": 32}
# its networks learn from every score, so that no answer passes without a trace
RLB = {"kind": "rlb", "episodes": 8, "hidden": 5, "replay": 3, "learning_rate": 0.05}


def test_the_figures_of_a_defense_are_in_the_stage_and_in_the_trial(tmp_path):
    store, config = Store(tmp_path), load_trial({**DEFENDED, "defense": {"kind": "trap_mid"}})
    stage = make_target(config, store=store)
    success = stage.result["figures"]["trapdoor_success"]
    assert 0 <= success <= 1
    assert load_defense(stage.path)["triggers"].shape == (4, 3, 32, 32)
    assert run_trial(config, store=store).to_json()["metrics"]["trapdoor_success"] == success


def test_a_plain_target_has_neither_figures_nor_a_file_of_its_defense(made):
    _, _, stage = made
    assert "figures" not in stage.result
    assert load_defense(stage.path) == {} and not (stage.path / "defense.pt").exists()


def test_accuracies_under_changed_answers_are_those_of_the_answers(tmp_path):
    store = Store(tmp_path)
    config = load_trial({**DEFENDED, "defense": {"kind": "ssd", "epsilon": 3.0, "temperature": 5.0}})
    stage, data = make_target(config, store=store), load_data(config)
    target, shield = load_target(config, data, stage), config.defense.shield(load_defense(stage.path))
    for part in ("train", "validation", "test"):
        images = getattr(data.split, part)
        pixels = as_float(images.pixels)
        with torch.no_grad():
            answers = shield(target(pixels).softmax(1), pixels).argmax(1)
        assert stage.result[f"{part}_accuracy"] == pytest.approx(
            (answers == images.labels).double().mean().item()
        )
    named = target(as_float(data.split.test.pixels)).argmax(1)
    share = (named == data.split.test.labels).double().mean().item()
    assert stage.result["figures"] == {"undefended_test_accuracy": pytest.approx(share)}
    plain = target(as_float(data.split.train.pixels)).argmax(1) == data.split.train.labels
    # at a temperature that draws nearly any class
    assert stage.result["train_accuracy"] != plain.double().mean().item()


def test_attacks_that_ask_meet_the_answers_and_those_that_read_weights_do_not(tmp_path):
    """Under the defense a white-box attack reconstructs as without it, and one that asks does not."""
    store, kinds = Store(tmp_path), ("none", "ssd")
    knobs = {"none": {}, "ssd": {"epsilon": 3.0, "temperature": 5.0}}
    found = {}
    for kind in kinds:
        config = load_trial(
            {**DEFENDED, "attack": [DOCUMENT["attack"], RLB], "defense": {"kind": kind, **knobs[kind]}}
        )
        result = run_trial(config, store=store)
        found[kind] = {
            name: torch.load(Path(attack.path) / "reconstructions.pt", weights_only=True)["latents"]
            for name, attack in result.attacks.items()
        }
        about = [text for text in result.warnings if "changes answers alone" in text]
        assert len(about) == (kind == "ssd") and all("attack 'gmi'" in text for text in about)
    assert torch.equal(found["none"]["gmi"], found["ssd"]["gmi"])
    assert not torch.equal(found["none"]["rlb"], found["ssd"]["rlb"])


def test_averaged_answers_are_asked_for_and_counted(tmp_path):
    store, counts = Store(tmp_path), {}
    for averaged in (1, 3):
        document = {**DEFENDED, "defense": {"kind": "ssd"}, "attack": {**BREP, "answers_averaged": averaged}}
        config = load_trial(document)
        assert load_trial(written(config)) == config
        assert ("answers_averaged" in written(config)["attack"]) == (averaged == 3)
        counts[averaged] = run_trial(config, store=store).to_json()["metrics"]["queries"]
    assert counts[3] % 3 == 0 and counts[3] > counts[1]
    with pytest.raises(ConfigError, match="asks nothing, so it expects no answers_averaged; got 3"):
        load_trial({**DEFENDED, "attack": {**DOCUMENT["attack"], "answers_averaged": 3}})
    with pytest.raises(ConfigError, match="answers_averaged must be at least 1; got 0"):
        load_trial({**DEFENDED, "attack": {**BREP, "answers_averaged": 0}})


@pytest.mark.parametrize("prior", ["kedmi", "lokt"])
def test_a_prior_is_taught_by_the_answers_that_its_attack_sees(tmp_path, prior):
    store = Store(tmp_path)
    small = {
        "kedmi": {"epochs": 1},
        "lokt": {
            "iterations": 1,
            "surrogates": ("small_cnn",),
            "surrogate_epochs": 1,
            "epoch_images": 8,
            "images_per_class": 2,
            "warmup": 0,
            "critic_steps": 1,
        },
    }
    attack = {"kedmi": {"kind": "rlb", "episodes": 2, "replay": 1}, "lokt": {"kind": "lokt", "iterations": 1}}
    knobs = {"kind": prior, "width": 2, "batch_size": 8, **small[prior]}
    made = {}
    for kind in ("none", "ssd"):
        config = load_trial({**DEFENDED, "defense": {"kind": kind}, "prior": knobs, "attack": attack[prior]})
        stage = make_target(config, store=store)
        (plan,) = config.attack
        for averaged in (1, 2):
            asking = dataclasses.replace(plan, answers_averaged=averaged)
            made[kind, averaged] = make_prior(config, plan.prior, stage, store=store, plan=asking)
    assert len({stage.key for stage in made.values()}) == 4
    asked = {case: stage.result["queries"] for case, stage in made.items()}
    assert asked["ssd", 2] == asked["none", 2] == 2 * asked["none", 1] == 2 * asked["ssd", 1]
    unaware = make_prior(config, plan.prior, stage, store=store)  # of a white-box attack, or before attacks
    assert unaware.key not in {stage.key for stage in made.values() if stage is not made["none", 1]}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("stage", ["target", "judge", "pretrained"])
def test_a_killed_training_goes_on_at_its_epoch(stage, tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.stages.base.Resume", functools.partial(Resume, every=0.0))
    backbone = {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 3, "batch_size": 8}
    config = load_trial(
        {
            **DOCUMENT,
            "pretraining": backbone if stage == "pretrained" else {"kind": "none"},
            "target": {**DOCUMENT["target"], "epochs": 3},
            "judge": {**DOCUMENT["judge"], "epochs": 3},
        }
    )
    make = {"target": make_target, "judge": make_judge, "pretrained": make_pretrained}[stage]
    told: list[tuple[int, ...]] = []

    def report(name, *done, **_):
        if name == stage:
            told.append(done)
            if killing and done == (3, 3):
                raise Killed

    killing = True
    store, other = Store(tmp_path / "store"), Store(tmp_path / "other")
    with pytest.raises(Killed):
        make(config, store=store, report=report)
    assert len(list((tmp_path / "store" / stage).glob("*.unfinished"))) == 1
    killing, told = False, []
    again = make(config, store=store, report=report)
    assert told == [(3, 3)]
    assert not list((tmp_path / "store" / stage).glob("*.unfinished"))
    whole = make(config, store=other)
    assert again.key == whole.key and again.result == whole.result
    for file in whole.path.glob("*.pt"):
        first, second = (torch.load(made.path / file.name, weights_only=True) for made in (whole, again))
        assert str(first) == str(second), file.name
        weights = first.get("state", first)
        for name, value in weights.items():
            assert torch.equal(value, second.get("state", second)[name]), name


def test_batch_norm_of_nothing_frozen_is_no_other_target(made):
    store, config, whole = made
    for point, same in (("none", True), ("conv1", False)):
        target = dataclasses.replace(config.target, freeze_point=point)
        moving = dataclasses.replace(target, frozen_batchnorm="train")
        keys = {
            make_target(dataclasses.replace(config, target=each), store=store).key
            for each in (target, moving)
        }
        assert (len(keys) == 1) == same and (whole.key in keys) == same
