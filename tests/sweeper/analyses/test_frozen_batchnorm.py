import dataclasses

import numpy as np
import pytest
from simulated_runs import SEEDS, Simulation
from toy_study import TOY

from sweeper.analyses.base import ONE_PERSON, ONE_SEED
from sweeper.analyses.frozen_batchnorm import BATCHNORM, FrozenBatchnorm
from sweeper.analyses.runs import POINT
from sweeper.study.loading import parse_study
from trainables.errors import ConfigError

STUDY = parse_study(TOY, "toy")


def test_every_frozen_point_has_both_kinds_of_batch_norm():
    derived = FrozenBatchnorm(seeds=4).derive(STUDY)
    assert derived.name == "toy_frozen_batchnorm"
    assert derived.space == [
        {POINT: {"ordered": [f"conv{number}" for number in range(1, 7)]}},
        {BATCHNORM: {"choice": ["eval", "train"]}},
    ]
    assert (derived.search.sampler, derived.search.replicates, derived.budget) == ("grid", 4, 12)
    assert derived.trial == STUDY.trial and derived.noise_runs == 0
    few = FrozenBatchnorm(freeze_points=("conv5", "none", "conv2")).derive(STUDY)
    assert few.space[0] == {POINT: {"ordered": ["conv2", "conv5"]}} and few.search.replicates == 3


@pytest.mark.parametrize(
    ("points", "message"),
    [(("conv9",), r"none, conv1.*got 'conv9'"), (("none",), "one beside 'none'; got none")],
)
def test_points_that_do_not_fit_are_named(points, message):
    with pytest.raises(ConfigError, match=message):
        FrozenBatchnorm(freeze_points=points).derive(STUDY)


def test_a_network_without_batch_norm_is_refused():
    target = {**TOY["trial"]["target"], "architecture": "vgg16_bn"}
    normed = parse_study({**TOY, "trial": {**TOY["trial"], "target": target}}, "toy")
    assert FrozenBatchnorm(freeze_points=("conv1_1",)).derive(normed).budget == 2
    target = {**target, "architecture": "torchvision:alexnet"}
    plain = parse_study({**TOY, "trial": {**TOY["trial"], "target": target, "image_size": 64}}, "toy")
    with pytest.raises(ConfigError, match=r"expects batch norm.*torchvision:alexnet has none"):
        FrozenBatchnorm().derive(plain)


def runs(seed, effects, seeds=SEEDS):
    simulation = Simulation(seed)
    return [
        simulation.run(
            {POINT: point, BATCHNORM: way},
            number,
            0.8,
            0.15 * simulation.dice.standard_normal() + (effect if way == "train" else 0.0),
        )
        for point, effect in effects.items()
        for way in ("eval", "train")
        for number in range(seeds)
    ]


def test_a_difference_is_found_where_it_is_and_nowhere_else():
    made = runs(0, {"conv2": 1.2, "conv4": 0.0})
    conclusion = FrozenBatchnorm().conclude(made)
    first, second = conclusion.rows
    means = {
        way: np.mean([run.rates for run in made if run.point == "conv2" and run.settings[BATCHNORM] == way])
        for way in ("eval", "train")
    }
    assert first["difference"] == pytest.approx(means["train"] - means["eval"])
    assert first["attack_accuracy_train"] == pytest.approx(means["train"])
    low, high = first["difference_interval"]
    assert 0 < low < first["difference"] < high and first["p"] < 0.05 <= second["p"]
    (sentence,) = conclusion.sentences
    assert "frozen up to conv2" in sentence and "leaks more" in sentence


def test_where_both_leak_alike_nothing_is_claimed():
    claimed = 0
    for seed in range(20):
        conclusion = FrozenBatchnorm().conclude(runs(seed, {"conv2": 0.0, "conv4": 0.0}))
        claimed += "is not shown at any freeze point" not in conclusion.sentences[0]
    assert claimed <= 3  # a twentieth of studies, and luck


def test_a_single_seed_and_a_missing_half_conclude_nothing():
    conclusion = FrozenBatchnorm().conclude(runs(1, {"conv2": 2.0}, seeds=1))
    assert conclusion.sentences == (ONE_SEED,) and conclusion.rows[0]["p"] == 1.0
    half = [run for run in runs(1, {"conv2": 2.0}) if run.settings[BATCHNORM] == "eval"]
    assert FrozenBatchnorm().conclude(half).rows == ()


@pytest.mark.parametrize(("seeds", "sentence"), [(SEEDS, ONE_PERSON), (1, ONE_SEED)])
def test_a_single_person_concludes_nothing(seeds, sentence):
    made = [dataclasses.replace(run, rates=run.rates[:1]) for run in runs(1, {"conv2": 2.0}, seeds)]
    conclusion = FrozenBatchnorm().conclude(made)
    (row,) = conclusion.rows
    assert conclusion.sentences == (sentence,)
    assert row["difference"] is row["p"] is None and "difference_interval" not in row
    own = [run.rates.mean() for run in made if run.settings[BATCHNORM] == "train"]
    assert row["attack_accuracy_train"] == np.mean(own)
