"""One tiny trial through every stage, and what the store reuses."""

import dataclasses
import json

import pytest
import torch

from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.metrics.attack_accuracy import interval95
from trainables.results import TrialResult
from trainables.stages.data import load_data
from trainables.stages.judge import make_judge
from trainables.stages.pretrained import pretraining_key
from trainables.storage.documents import merge
from trainables.storage.store import Store
from trainables.trial import make_shared, run_trial, shared_warnings

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "epochs": 2, "freeze_point": "conv2"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
    "identities": 3,
}


class Stages:
    """A report that remembers the stages that did work."""

    def __init__(self):
        self.seen = []

    def __call__(self, stage, done, total, **metrics):
        if stage not in self.seen:
            self.seen.append(stage)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    stages = Stages()
    return store, run_trial(load_trial(DOCUMENT), store=store, report=stages), stages.seen


def test_every_stage_runs_and_every_figure_is_there(finished):
    _store, result, seen = finished
    assert seen == ["pretrained", "target", "prior", "attack", "judge"]
    interval = result.interval["attack_accuracy"]
    assert 0 <= interval.low <= result.values["attack_accuracy"] <= interval.high <= 1
    assert 0 <= result.values["test_accuracy"] <= 1
    tested = len(load_data(load_trial(DOCUMENT)).split.test)
    right = torch.zeros(tested)
    right[: round(result.values["test_accuracy"] * tested)] = 1
    assert result.interval["test_accuracy"].to_json() == pytest.approx(list(interval95(right, 1)))
    checked, seen = (
        len(load_data(load_trial(DOCUMENT)).split.validation),
        result.metrics["validation_accuracy"],
    )
    right = torch.arange(checked) < round(seen * checked)
    assert result.interval["validation_accuracy"].to_json() == pytest.approx(list(interval95(right, 1)))
    per_identity = result.attacks["gmi"].per_identity
    assert result.people == {"attacked": 3, "found": sum(rate > 0 for rate in per_identity)}
    assert 0 < result.trained_params < result.total_params
    assert result.metrics["chance"] == 0.25
    assert set(result.seconds) == {"target", "attack", "judge"}
    found = torch.load(f"{result.artifacts['attack']}/reconstructions.pt", weights_only=True)
    assert found["images"].shape == (2, 3, 3, 32, 32) and found["images"].dtype == torch.uint8
    assert found["identities"].tolist() == [0, 1, 2]
    examples = torch.load(f"{result.artifacts['judge']}/examples.pt", weights_only=True)["images"]
    assert examples.shape == (4, 3, 32, 32)
    assert any("useless judge" in warning for warning in result.warnings)


def test_what_made_each_stage_comes_back_and_enters_no_key(tmp_path):
    """Also of stages found later by a process with other threads; of older stages nothing is known."""
    store, config, threads = Store(tmp_path), load_trial(DOCUMENT), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first = run_trial(config, store=store)
        torch.set_num_threads(1)
        judge = run_trial(load_trial(merge(DOCUMENT, {"judge.epochs": 2})), store=store)
    finally:
        torch.set_num_threads(threads)
    assert set(first.machines) == {"target", "judge", "prior", "attack"}
    assert {machine["threads"] for machine in first.machines.values()} == {2}
    assert {stage: machine["threads"] for stage, machine in judge.machines.items()} == {
        "target": 2,
        "judge": 1,
        "prior": 2,
        "attack": 2,
    }
    assert judge.artifacts["target"] == first.artifacts["target"]
    made = [path.parent for path in tmp_path.glob("*/*/result.json")]
    assert made and all((folder / "machine.json").exists() for folder in made)
    for folder in made:
        assert "threads" not in (folder / "key.json").read_text() + (folder / "result.json").read_text()
        (folder / "machine.json").unlink()
    old = run_trial(config, store=store)
    assert set(old.machines.values()) == {None} and old.values == first.values
    assert TrialResult.from_json(old.to_json()).machines == old.machines


def test_a_result_says_of_which_data_it_is(finished, tmp_path):
    _, result, _ = finished
    data = load_data(load_trial(DOCUMENT))
    assert result.data["private"] == data.private_key and result.data["public"] == data.public_key
    assert "images" not in result.data  # where parts and names do not count besides
    key = result.data["pretraining"]
    assert pretraining_key(load_trial(merge(DOCUMENT, {"target.epochs": 3}))) == key
    assert pretraining_key(load_trial(merge(DOCUMENT, {"pretraining.data.identities": 5}))) != key
    assert pretraining_key(load_trial({**DOCUMENT, "pretraining": {"kind": "none"}})) is None
    for content in (b"one", b"two"):
        (tmp_path / "w.pt").write_bytes(content)
        loaded = {"kind": "checkpoint", "path": str(tmp_path / "w.pt")}
        other = pretraining_key(load_trial({**DOCUMENT, "pretraining": loaded}))
        assert other not in (key, None)
        key = other


def test_a_second_run_makes_nothing_and_says_the_same(finished):
    store, result, _ = finished
    stages = Stages()
    assert run_trial(load_trial(DOCUMENT), store=store, report=stages) == result
    assert stages.seen == []


def test_another_defense_reuses_the_shared_stages(finished):
    store, result, _ = finished
    stages = Stages()
    other = run_trial(
        load_trial(merge(DOCUMENT, {"defense.kind": "mid", "defense.bottleneck": 8})),
        store=store,
        report=stages,
    )
    assert stages.seen == ["target", "attack", "judge"]
    assert other.artifacts["judge"] == result.artifacts["judge"]
    assert other.artifacts["target"] != result.artifacts["target"]


def test_half_precision_is_an_attack_of_its_own(finished):
    store, result, _ = finished
    stages = Stages()
    half = load_trial(merge(DOCUMENT, {"attack.precision": "bfloat16"}))
    other = run_trial(half, store=store, report=stages)
    assert stages.seen == ["attack", "judge"]
    assert other.artifacts["attack"] != result.artifacts["attack"]
    usual = load_trial(merge(DOCUMENT, {"attack.precision": "float32", "attack.compile": False}))
    assert run_trial(usual, store=store).artifacts["attack"] == result.artifacts["attack"]


@pytest.mark.parametrize("has", [True, False])
def test_precision_auto_is_the_attack_in_the_format_that_it_means_here(finished, monkeypatch, has):
    store, result, _ = finished
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": has}, raising=False)
    auto = run_trial(load_trial(merge(DOCUMENT, {"attack.precision": "auto"})), store=store)
    said = {"attack.precision": "bfloat16" if has else "float32"}
    assert (
        auto.artifacts["attack"]
        == run_trial(load_trial(merge(DOCUMENT, said)), store=store).artifacts["attack"]
    )
    assert (auto.artifacts["attack"] == result.artifacts["attack"]) is not has


def test_a_replicate_has_fresh_randomness_on_the_same_shared_stages(finished):
    store, result, _ = finished
    stages = Stages()
    other = run_trial(load_trial({**DOCUMENT, "replicate": 1}), store=store, report=stages)
    assert stages.seen == ["target", "attack", "judge"]
    assert other.history["target"] != result.history["target"]


def test_the_same_seed_gives_the_same_result_in_another_store(finished, tmp_path):
    _, result, _ = finished
    again = run_trial(load_trial(DOCUMENT), store=Store(tmp_path))
    assert again.values == result.values
    assert again.history == result.history
    assert again.metrics == result.metrics


def test_shared_stages_can_be_made_ahead(tmp_path):
    store, config = Store(tmp_path), load_trial(DOCUMENT)
    first = make_shared(config, "judge", store=store)
    assert first.made_now and not make_shared(config, "judge", store=store).made_now
    assert 0 <= first.result["test_accuracy"] <= 1


def test_more_identities_than_there_are_are_named_before_any_training(tmp_path):
    config = load_trial({**DOCUMENT, "identities": 5})
    with pytest.raises(ConfigError, match="identities must be at most 4, as many as the private images show"):
        run_trial(config, store=Store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_private_and_public_may_not_overlap():
    config = load_trial({**DOCUMENT, "public": FACES})
    with pytest.raises(ConfigError, match="private"):
        load_data(config)


@pytest.mark.parametrize("noted", [True, False])
def test_what_a_prior_asked_of_the_target_counts_among_the_queries(finished, noted):
    """Also of a prior made before its queries were noted with it; an attack with gradients asks nothing."""
    store, *_ = finished
    kedmi = {"kind": "kedmi", "width": 2, "epochs": 1, "batch_size": 8}
    rlb = {"kind": "rlb", "episodes": 2, "hidden": 2}
    plans = [{**rlb}, {**rlb, "prior": kedmi}, {**DOCUMENT["attack"], "prior": kedmi}]
    config = load_trial({**DOCUMENT, "attack": plans})
    run_trial(config, store=store)
    if not noted:
        for record in (store.root / "prior").glob("*/result.json"):
            made = json.loads(record.read_text())
            made["result"].pop("queries", None)
            record.write_text(json.dumps(made))
    attacks = run_trial(config, store=store).attacks
    alone, helped = (attacks[name].metrics["queries"] for name in ("rlb", "rlb_2"))
    assert helped - alone == len(load_data(config).public)
    assert "queries" not in attacks["gmi"].metrics


def test_the_result_is_plain_data(finished):
    _, result, _ = finished
    document = result.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert dataclasses.is_dataclass(load_trial(DOCUMENT))


SUITE = {
    **DOCUMENT,
    "attack": [
        {"kind": "gmi", "iterations": 2, "restarts": 2},
        {"kind": "gmi", "iterations": 1, "restarts": 1, "prior": {**DOCUMENT["prior"], "width": 1}},
    ],
}


@pytest.mark.parametrize("suite", ["worst", "mean"])
def test_several_attacks_give_one_figure_and_each_its_own(finished, suite):
    store, single, _ = finished
    stages = Stages()
    found = run_trial(load_trial({**SUITE, "suite": suite}), store=store, report=stages)
    assert "target" not in stages.seen
    first, second = found.attacks["gmi"], found.attacks["gmi_2"]
    assert first.metrics == single.attacks["gmi"].metrics
    reached = [first.metrics["attack_accuracy_top1"], second.metrics["attack_accuracy_top1"]]
    wanted = max(reached) if suite == "worst" else sum(reached) / 2
    assert found.values["attack_accuracy"] == pytest.approx(wanted)
    interval = found.interval["attack_accuracy"]
    assert interval.low <= wanted <= interval.high
    assert found.metrics["gmi_2.knn_distance"] == second.metrics["knn_distance"]
    assert found.seconds["attack"] == pytest.approx(first.seconds["attack"] + second.seconds["attack"])
    strongest = found.strongest
    assert found.artifacts["attack"] == found.artifacts[f"attack.{strongest}"]
    other = "gmi_2" if strongest == "gmi" else "gmi"
    assert set(found.history) == {"target", "attack", f"attack.{other}"}


def test_an_unfinished_attack_leaves_nothing_behind_when_it_is_done(finished):
    store, _, _ = finished
    assert not list((store.root / "attack").glob("*.unfinished"))


def test_shared_stages_tell_what_must_be_known_before_a_trial(tmp_path):
    """The prior has seen one epoch, and the judge none to speak of: 4 people, so the limit is 0.625."""
    config = load_trial(merge(DOCUMENT, {"judge.epochs": 1, "judge.learning_rate": 1e-9}))
    store = Store(tmp_path)
    make_shared(config, "judge", store=store)
    accuracy = make_judge(config, store=store).result["test_accuracy"]
    assert accuracy < 0.625
    texts, useless = shared_warnings(config, "judge", store=store)
    assert texts == [useless] and f"its test accuracy is {accuracy:.3f}, below 0.625" in useless
    make_shared(config, "prior", store=store)
    texts, useless = shared_warnings(config, "prior", store=store)
    assert useless == "" and "draws" in texts[0]
    assert shared_warnings(config, "pretrained", store=store) == ([], "")
