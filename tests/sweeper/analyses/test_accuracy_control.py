import dataclasses

import numpy as np
import pytest
from simulated_runs import ACCURACIES, POINTS, Simulation
from toy_study import TOY

from sweeper.analyses.accuracy_control import AccuracyControl
from sweeper.analyses.base import ONE_SEED
from sweeper.analyses.runs import EPOCH, POINT
from sweeper.study.loading import parse_study
from trainables.errors import ConfigError

STUDY = parse_study(TOY, "toy")
EPOCHS = tuple(ACCURACIES)


def test_every_point_is_looked_at_after_several_epochs():
    derived = AccuracyControl().derive(STUDY)
    points = ["none", *(f"conv{number}" for number in range(1, 7))]
    assert derived.space == [{POINT: {"ordered": points}}, {EPOCH: {"ordered": [1, 2, 4]}}]
    assert derived.name == "toy_accuracy_control" and derived.budget == 21
    chosen = AccuracyControl(epochs=(3, 1), freeze_points=("conv6",)).derive(STUDY)
    assert chosen.space == [{POINT: {"ordered": ["none", "conv6"]}}, {EPOCH: {"ordered": [1, 3]}}]


@pytest.mark.parametrize("epochs", [(2,), (0, 2), (1, 5)])
def test_epochs_that_the_recipe_does_not_have_are_named(epochs):
    with pytest.raises(ConfigError, match=r"two or more epochs between 1 and 4.*--epoch"):
        AccuracyControl(epochs=epochs).derive(STUDY)


def claims(conclusion):
    return [
        text for text in conclusion.sentences if "than equally accurate ones with nothing frozen: at" in text
    ]


def test_a_worse_classifier_alone_is_not_called_a_defense():
    told = sum(
        bool(claims(AccuracyControl().conclude(Simulation(seed).checkpoints(lambda depth: 0.0, EPOCHS))))
        for seed in range(20)
    )
    assert told <= 3  # a twentieth of studies, and luck


def test_freezing_that_hides_more_than_that_is_found():
    told = 0
    for seed in range(10):
        runs = Simulation(seed).checkpoints(lambda depth: -1.2 * (depth == 1.0), EPOCHS)
        conclusion = AccuracyControl().conclude(runs)
        rows = {row["freeze_point"]: row for row in conclusion.rows}
        assert tuple(rows) == POINTS and rows["none"]["p"] is None
        assert rows["conv6"]["targets"] == 12 and rows["conv6"]["shift"] < 0
        told += any("frozen up to conv6, targets leak less" in text for text in claims(conclusion))
    assert told >= 8


def test_accuracies_that_never_meet_are_not_compared():
    runs = Simulation(3).checkpoints(lambda depth: 0.0, (4, 8), cost=0.2)
    conclusion = AccuracyControl().conclude(runs)
    texts = [text for text in conclusion.sentences if "at no accuracy can they be compared" in text]
    assert len(texts) == 3 and not claims(conclusion)
    assert all(row["p"] is None for row in conclusion.rows)


def test_the_plot_has_a_point_for_every_run():
    runs = Simulation(4).checkpoints(lambda depth: 0.0, (1, 8))
    points = AccuracyControl().conclude(runs).points
    assert len(points) == len(runs)
    assert {point["series"] for point in points} == set(POINTS)
    assert {point["attack_accuracy"] for point in points} == {run.rates.mean() for run in runs}


def test_a_trial_that_failed_leaves_the_epochs_that_all_have():
    runs = Simulation(5).checkpoints(lambda depth: 0.0, EPOCHS)
    left = [run for run in runs if (run.point, run.settings[EPOCH]) != ("conv2", 8)]
    rows = {row["freeze_point"]: row for row in AccuracyControl().conclude(left).rows}
    assert rows["conv2"]["targets"] == 9 and rows["conv2"]["shift"] is not None
    without = [run for run in runs if run.point != "none"]
    (sentence,) = AccuracyControl().conclude(without).sentences
    assert sentence == "with nothing frozen there is no target, so nothing is compared with it"


def test_single_seeds_conclude_nothing():
    runs = Simulation(6).checkpoints(lambda depth: -3.0 * depth, EPOCHS, seeds=1)
    conclusion = AccuracyControl().conclude(runs)
    assert conclusion.sentences[-1] == ONE_SEED and not claims(conclusion)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_where_every_target_leaks_alike_nothing_is_concluded(rate):
    for seed in range(10):
        made = Simulation(seed).checkpoints(lambda depth: 0.0, EPOCHS, cost=0.01)
        alike = [dataclasses.replace(run, rates=np.full_like(run.rates, rate)) for run in made]
        conclusion = AccuracyControl().conclude(alike)
        (sentence,) = conclusion.sentences
        assert sentence.startswith("too few trainings") and "leakage that does not vary" in sentence
        assert all(row["p"] is None for row in conclusion.rows)
