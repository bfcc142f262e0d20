import dataclasses

import numpy as np
import pytest
from simulated_runs import Simulation
from toy_study import TOY

from sweeper.analyses.base import ONE_PERSON, ONE_SEED
from sweeper.analyses.runs import POINT
from sweeper.analyses.threat_models import ThreatModels
from sweeper.study.loading import parse_study
from trainables.config import load_trial

STUDY = parse_study(TOY, "toy")
ATTACKS = {"map": "white-box", "rlb": "scores", "brep": "labels"}


def study(attack, prior=None):
    trial = {**TOY["trial"], "attack": attack, **({"prior": prior} if prior else {})}
    return parse_study({**TOY, "trial": trial}, "toy")


def test_a_threat_model_that_the_study_lacks_is_filled_up():
    derived = ThreatModels(seeds=2).derive(STUDY)
    own, *added = derived.trial["attack"]
    assert own == TOY["trial"]["attack"]
    assert [(attack["kind"], attack["preset"]) for attack in added] == [("rlb", "cpu"), ("brep", "cpu")]
    assert derived.name == "toy_threat_models" and derived.budget == 7 and derived.search.replicates == 2
    plans = load_trial(derived.trial).attack
    assert [plan.attack.threat_model for plan in plans] == ["white-box", "scores", "labels"]
    black = ThreatModels().derive(study([{"kind": "brep", "iterations": 3}])).trial["attack"]
    assert [attack["kind"] for attack in black] == ["brep", "map", "rlb"] and black[0]["iterations"] == 3
    assert black[1]["prior"] == {"kind": "eigenfaces"}


def test_a_prior_that_sees_too_much_is_not_lent():
    seeing = study([{"kind": "kedmi", "iterations": 3}], {"kind": "kedmi", "width": 4, "epochs": 1})
    attacks = ThreatModels().derive(seeing).trial["attack"]
    assert [attack.get("prior", {}).get("kind") for attack in attacks] == [None, None, "eigenfaces"]
    assert [attack["kind"] for attack in attacks] == ["kedmi", "rlb", "brep"]


def runs(seed, falls, seeds=3):
    """Return runs in which each attack falls by `falls` on the probit scale, all on the same targets."""
    simulation, made = Simulation(seed), []
    for point in ("none", "conv2"):
        for number in range(seeds):
            shift = 0.15 * simulation.dice.standard_normal()
            run = simulation.run({POINT: point}, number, 0.8, 0.0)
            attacks = {
                name: simulation.rates(0.4 + shift - (fall if point != "none" else 0.0))
                for name, fall in falls.items()
            }
            made.append(dataclasses.replace(run, attacks=attacks, threat_models=ATTACKS))
    return made


def test_falls_are_those_of_the_people_and_differ_where_they_do():
    found = 0
    for seed in range(10):
        made = runs(seed, {"map": 1.6, "rlb": 0.0, "brep": 0.0})
        conclusion = ThreatModels().conclude(made)
        rows = {row["compared"]: row for row in conclusion.rows}
        assert list(rows) == [
            *("gradients", "scores", "labels"),
            *("gradients less scores", "gradients less labels", "scores less labels"),
        ]
        mean = {
            (name, point): np.mean([run.attacks[name] for run in made if run.point == point])
            for name in ATTACKS
            for point in ("none", "conv2")
        }
        fall = {name: mean[name, "none"] - mean[name, "conv2"] for name in ATTACKS}
        assert rows["gradients"]["fall"] == pytest.approx(fall["map"])
        assert rows["gradients less labels"]["fall"] == pytest.approx(fall["map"] - fall["brep"])
        assert rows["scores"]["undefended"] == pytest.approx(mean["rlb", "none"])
        low, high = rows["gradients"]["fall_interval"]
        assert low < fall["map"] < high
        told = " ".join(conclusion.sentences)
        found += (
            "attacks that see gradients: their accuracy falls by" in told
            and "attacks that see labels: that freezing changes their accuracy is not shown" in told
            and "see gradients fall by" in told
        )
    assert found >= 8


def test_equal_falls_are_not_called_different():
    claimed = 0
    for seed in range(20):
        conclusion = ThreatModels().conclude(runs(seed, {"map": 0.8, "rlb": 0.8, "brep": 0.8}))
        claimed += "that the fall differs between threat models is not shown" not in conclusion.sentences[-1]
    assert claimed <= 3  # a twentieth of studies, and luck


def test_several_attacks_of_a_threat_model_count_as_their_mean():
    made = runs(0, {"map": 1.0, "rlb": 0.0, "brep": 0.0})
    twice = [
        dataclasses.replace(
            run,
            attacks={**run.attacks, "gmi": np.zeros_like(run.rates)},
            threat_models={**ATTACKS, "gmi": "white-box"},
        )
        for run in made
    ]
    once, halved = (ThreatModels().conclude(each).rows[0] for each in (made, twice))
    assert halved["undefended"] == pytest.approx(once["undefended"] / 2)


def test_without_seeds_or_without_the_undefended_target_nothing_is_concluded():
    falls = {"map": 2.0, "rlb": 0.0, "brep": 0.0}
    assert ThreatModels().conclude(runs(0, falls, seeds=1)).sentences == (ONE_SEED,)
    frozen = [run for run in runs(0, falls) if run.point != "none"]
    assert "undefended target is missing" in ThreatModels().conclude(frozen).sentences[0]


@pytest.mark.parametrize(("seeds", "sentence"), [(3, ONE_PERSON), (1, ONE_SEED)])
def test_with_one_person_nothing_is_concluded(seeds, sentence):
    made = [
        dataclasses.replace(run, rates=run.rates[:1], attacks={n: own[:1] for n, own in run.attacks.items()})
        for run in runs(0, {"map": 2.0, "rlb": 0.0, "brep": 0.0}, seeds)
    ]
    conclusion = ThreatModels().conclude(made)
    assert conclusion.sentences == (sentence,)
    rows = {row["compared"]: row for row in conclusion.rows}
    assert list(rows) == ["gradients", "scores", "labels"]  # of which the figures are known
    found = np.mean([run.attacks["map"] for run in made if run.point == "conv2"])
    assert rows["gradients"]["frozen"] == pytest.approx(found)
    assert all(row["fall"] is row["p"] is None and "fall_interval" not in row for row in rows.values())
