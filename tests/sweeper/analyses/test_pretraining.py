import dataclasses

import pytest
from simulated_runs import Simulation
from toy_study import TOY

from search_spaces.space import decode, grid
from sweeper.analyses.base import ONE_SEED
from sweeper.analyses.pretraining import PretrainingDistance
from sweeper.analyses.runs import EPOCH, POINT
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.pretraining.dataset import OnDataset
from trainables.pretraining.none import Scratch

STUDY = parse_study(TOY, "toy")
EPOCHS = (2, 8)


def variants_of(derived):
    """Return what each trial of the derived study starts from, by the name of the case."""
    return {
        raw["pretraining"]: load_trial(derived.document(decode(derived.domains, raw))).pretraining
        for raw in grid(derived.domains)
    }


def test_rendered_faces_have_near_far_and_no_pretraining():
    derived = PretrainingDistance(freeze_points=("conv2",)).derive(STUDY)
    assert derived.name == "toy_pretraining" and derived.budget == 3 * 2 * 2
    assert derived.space[1:] == [{POINT: {"ordered": ["none", "conv2"]}}, {EPOCH: {"ordered": [1, 4]}}]
    own = load_trial(STUDY.trial).pretraining
    made = variants_of(derived)
    assert list(made) == ["near", "far", "none"]
    assert made["far"] == own and made["none"] == Scratch()
    assert made["near"].data.population == "near" and made["near"].epochs == own.epochs
    assert load_trial(derived.trial).pretraining == made["near"]  # what is priced


def test_variants_of_the_user_are_taken_whole():
    slow = {"kind": "dataset", "data": {**TOY["trial"]["private"], "population": "far"}, "epochs": 3}
    quick = {**slow, "epochs": 4, "learning_rate": 0.02, "schedule": "multistep", "milestones": [2]}
    made = variants_of(PretrainingDistance(variants={"slow": slow, "quick": quick}).derive(STUDY))
    assert isinstance(made["slow"], OnDataset) and (made["slow"].epochs, made["quick"].epochs) == (3, 4)
    assert made["slow"].milestones == () and made["quick"].milestones == (2,)
    assert made["slow"].learning_rate == 0.05 and made["quick"].learning_rate == 0.02


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"one": {"kind": "none"}}, "two or more; got one"),
        ({"a": {"kind": "none"}, "b": {"kind": "nothing"}}, r"got 'nothing'.*--variants: b"),
    ],
)
def test_variants_that_do_not_fit_are_named(variants, message):
    with pytest.raises(ConfigError, match=message):
        PretrainingDistance(variants=variants).derive(STUDY)


def test_other_faces_need_pretrainings_of_the_user(tmp_path):
    private = {"kind": "image_folder", "root": str(tmp_path)}
    study = parse_study({**TOY, "trial": {**TOY["trial"], "private": private}}, "toy")
    with pytest.raises(ConfigError, match=r"got private images of kind 'image_folder'.*--variants FILE"):
        PretrainingDistance().derive(study)


def runs(seed, effects, seeds=3):
    simulation = Simulation(seed)
    return [
        run
        for name, size in effects.items()
        for run in simulation.checkpoints(
            lambda depth, size=size: size * depth, EPOCHS, cost=0.06, pretraining=name, seeds=seeds
        )
    ]


def test_where_leakage_follows_accuracy_alone_no_change_with_depth_is_claimed():
    claimed = 0
    for seed in range(20):
        conclusion = PretrainingDistance().conclude(runs(seed, {"near": 0.0, "far": 0.0}))
        claimed += any("at equal accuracy leakage" in text for text in conclusion.sentences)
        assert [row["pretraining"] for row in conclusion.rows] == ["near", "far"]
    assert claimed <= 3  # a twentieth of studies, and luck


def test_a_change_with_depth_is_found_for_the_pretraining_that_has_it():
    found = 0
    for seed in range(10):
        conclusion = PretrainingDistance().conclude(runs(seed, {"near": 0.0, "far": -1.6}))
        near, far = conclusion.rows
        assert far["shift"] < near["shift"]
        found += any(text.startswith("far: at equal accuracy leakage falls") for text in conclusion.sentences)
    assert found >= 8
    assert len(conclusion.points) == 48
    assert {point["series"] for point in conclusion.points} >= {"near, none", "far, conv6"}


def test_single_seeds_conclude_nothing():
    conclusion = PretrainingDistance().conclude(runs(0, {"near": 0.0, "far": -3.0}, seeds=1))
    assert conclusion.sentences[-1] == ONE_SEED
    assert all(row["p"] is None for row in conclusion.rows)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_where_every_target_leaks_alike_nothing_is_concluded(rate):
    for seed in range(10):
        made = [
            run
            if run.settings["pretraining"] == "far"
            else dataclasses.replace(run, rates=rate + 0 * run.rates)
            for run in runs(seed, {"near": 0.0, "far": 0.0})
        ]
        conclusion = PretrainingDistance().conclude(made)
        assert conclusion.sentences[-1].startswith("near: too few trainings")
        assert "leakage that does not vary" in conclusion.sentences[-1]
        assert [row["p"] is None for row in conclusion.rows] == [True, False]
