import dataclasses

import pytest
from simulated_runs import Simulation
from toy_study import TOY

from search_spaces.defenses import BRANCHES
from search_spaces.space import decode, grid
from sweeper.analyses.base import ONE_PERSON, ONE_SEED
from sweeper.analyses.defenses import TARGET, Defenses
from sweeper.analyses.runs import POINT
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.errors import ConfigError


def study(**target):
    trial = {**TOY["trial"], "target": {**TOY["trial"]["target"], **target}}
    trial["defense"] = {"kind": "mid", "beta": 0.5}  # weights that no other defense has
    return parse_study({**TOY, "trial": trial}, "toy")


def cases(derived):
    return {
        raw[TARGET]: load_trial(derived.document(decode(derived.domains, raw)))
        for raw in grid(derived.domains)
    }


def test_every_defense_that_fits_stands_beside_stopped_undefended_targets():
    derived = Defenses(epochs=(1, 2, 4), seeds=2).derive(study(epochs=4))
    made = cases(derived)
    assert derived.name == "toy_defenses" and derived.budget == len(made) and derived.search.replicates == 2
    kept = {name: case.target.kept_epoch for name, case in made.items() if name.startswith("undefended")}
    assert kept == {"undefended": None, "undefended, epoch 1": 1, "undefended, epoch 2": 2}
    assert {made[name].defense.kind for name in kept} == {"none"}  # after epoch 4 it is the whole recipe
    assert made["frozen to conv3"].target.freeze_point == "conv3"
    assert made["frozen to conv3"].defense.kind == "none"
    both = made["bido, frozen to conv3"]
    assert (both.defense.kind, both.target.freeze_point, both.target.kept_epoch) == ("bido", "conv3", None)
    assert made["mid"].defense.beta != 0.5  # the published weight, not the study's
    kinds = {case.defense.kind for case in made.values()}
    assert kinds <= set(BRANCHES) and {"none", "bido", "mid", "ssd"} <= kinds
    assert "rolss" not in kinds  # small_cnn has no skip connections


def test_defenses_and_freeze_points_can_be_named():
    made = cases(Defenses(defenses=("mid",), freeze_points=("conv2",), epochs=(1, 2)).derive(study(epochs=4)))
    assert list(made) == [
        *("undefended", "undefended, epoch 1", "undefended, epoch 2"),
        *("frozen to conv2", "mid", "mid, frozen to conv2"),
    ]
    with pytest.raises(ConfigError, match=r"got 'midd'.*mid"):
        Defenses(defenses=("midd",)).derive(study(epochs=4))
    with pytest.raises(ConfigError, match="skip"):
        Defenses(defenses=("rolss",)).derive(study(epochs=4))


ACCURACY = {"undefended": 0.9, "undefended, epoch 2": 0.8, "undefended, epoch 1": 0.6}


def runs(seed, scores, seeds=3):
    """Return runs of undefended targets whose attack follows accuracy, and of others by (accuracy, score)."""
    simulation = Simulation(seed)
    plain = {name: (accuracy, 2 * accuracy - 1) for name, accuracy in ACCURACY.items()}
    made = []
    for name, (accuracy, score) in {**plain, **scores}.items():
        for number in range(seeds):
            noisy = score + 0.15 * simulation.dice.standard_normal()
            run = simulation.run({POINT: "none"}, number, accuracy, noisy)
            made.append(dataclasses.replace(run, settings={TARGET: name}))
    return made


def test_each_is_held_against_the_most_accurate_one_that_is_no_more_accurate():
    scores = {"mid": (0.85, 0.6), "bido": (0.95, 0.8), "midre": (0.6, 0.2), "loft": (0.5, -1.0)}
    conclusion = Defenses().conclude(runs(0, scores))
    rows = {row["target"]: row for row in conclusion.rows}
    assert {name: rows[name]["against"] for name in scores} == {
        "mid": "undefended, epoch 2",
        "bido": "undefended",
        "midre": "undefended, epoch 1",
        "loft": None,
    }
    own, other = rows["mid"]["attack_accuracy"], rows["undefended, epoch 2"]["attack_accuracy"]
    assert rows["mid"]["difference"] == pytest.approx(own - other)
    low, high = rows["mid"]["difference_interval"]
    assert low < own - other < high
    assert rows["loft"]["p"] is None and "compared with none: loft" in conclusion.sentences[-1]


def test_a_defense_that_does_more_is_found_and_one_that_leaks_more_too():
    found = worse = 0
    for seed in range(10):
        scores = {"mid": (0.85, -1.2), "bido": (0.9, 2.4), "ssd": (0.8, 0.6)}
        told = Defenses().conclude(runs(seed, scores)).sentences
        found += any(text.startswith("mid: leaks less than undefended, epoch 2") for text in told)
        worse += any(text.startswith("bido: leaks more than undefended,") for text in told)
    assert found >= 8 and worse >= 8


def test_a_defense_that_is_a_worse_classifier_alone_is_not_praised():
    claimed = 0
    for seed in range(20):
        scores = dict.fromkeys(("mid", "bido", "midre", "loft"), (0.8, 0.6))
        told = Defenses().conclude(runs(seed, scores)).sentences
        claimed += not told[-1].startswith("that a defense leaks less than an undefended")
    assert claimed <= 3  # a twentieth of studies, and luck


def test_with_one_seed_nothing_is_concluded():
    assert Defenses().conclude(runs(0, {"mid": (0.85, -2.0)}, seeds=1)).sentences == (ONE_SEED,)


@pytest.mark.parametrize(("seeds", "sentence"), [(3, ONE_PERSON), (1, ONE_SEED)])
def test_with_one_person_nothing_is_concluded(seeds, sentence):
    scores = {"mid": (0.85, -2.0), "loft": (0.5, -1.0)}
    made = [dataclasses.replace(run, rates=run.rates[:1]) for run in runs(0, scores, seeds)]
    conclusion = Defenses().conclude(made)
    rows = {row["target"]: row for row in conclusion.rows}
    assert conclusion.sentences == (sentence,) and set(rows) == {*ACCURACY, *scores}
    assert (rows["mid"]["against"], rows["mid"]["test_accuracy"]) == ("undefended, epoch 2", 0.85)
    assert all(row["difference"] is row["p"] is None for row in rows.values())
    assert not any("difference_interval" in row for row in rows.values())
