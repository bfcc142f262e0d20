import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack
from trainables.attacks.optim.descent import Journal, descend
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.method import LENGTH, knobs_marked
from trainables.screening import beaten, run_screened, shortened
from trainables.storage.resume import Resume
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "images_per_identity": 6}
TRIAL = {
    "image_size": 32,
    "private": {**FACES, "population": "private", "identities": 3},
    "public": {**FACES, "population": "public", "identities": 3},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 4, "epochs": 1},
    "attack": {"kind": "gmi", "iterations": 6, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}
OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def config(**changes):
    return load_trial({**TRIAL, **changes})


def test_a_short_attack_has_a_share_of_the_steps():
    whole = config().attack_plans["gmi"]
    short, long = shortened(config(), 0.25)
    assert long == whole
    assert short.attack == dataclasses.replace(whole.attack, iterations=2)
    assert short.prior == whole.prior
    assert shortened(config(), 0.01)[0].attack.iterations == 1


def test_one_start_is_enough_where_the_long_attack_begins_anew(monkeypatch):
    monkeypatch.setattr(ATTACKS["gmi"], "is_prefix_of_longer", False)
    short, _ = shortened(config(), 0.5)
    assert (short.attack.iterations, short.attack.restarts) == (3, 1)


@pytest.mark.parametrize(
    "attack",
    [
        {"kind": "gmi", "iterations": 6, "restarts": 2},
        {"kind": "lomma_gmi", "iterations": 7, "restarts": 2, "students": []},
        {
            "kind": "kedmi",
            "iterations": 6,
            "restarts": 2,
            "prior": {"kind": "kedmi", "width": 4, "epochs": 1, "batch_size": 4},
        },
        {
            "kind": "plg",
            "iterations": 6,
            "restarts": 2,
            "prior": {"kind": "plg", "width": 4, "iterations": 2, "critic_steps": 1, "batch_size": 4},
        },
    ],
    ids=lambda attack: attack["kind"],
)
def test_the_long_attack_goes_on_where_the_short_one_ended(tmp_path, attack):
    """It finds what it finds when it is run by itself, to the last bit."""
    screened = run_screened(
        config(attack=attack),
        rivals=[],
        objectives=OBJECTIVES,
        share=0.5,
        store=Store(tmp_path / "a"),
    )
    assert not list((tmp_path / "a" / "attack").glob("*.unfinished"))
    plain = run_trial(config(attack=attack), store=Store(tmp_path / "b"))
    assert screened.values == plain.values
    assert screened.history["attack"] == plain.history["attack"]
    found, alone = (
        torch.load(Path(result.artifacts["attack"]) / "reconstructions.pt", weights_only=True)
        for result in (screened, plain)
    )
    assert found["images"].equal(alone["images"])
    assert found["latents"].equal(alone["latents"])


def test_steps_that_were_done_are_not_done_again(tmp_path):
    """Descents of 3 and then of 7 steps take 7 steps in all where the second finds what the first left."""
    taken = []

    def step(state, iteration):
        taken.append(iteration)
        value = state["x"] + 1
        return {"x": value}, (value.sum(), value.sum())

    resume = Resume(tmp_path)
    for iterations in (3, 7):
        last, losses = descend(step, {"x": torch.zeros(2)}, 2, iterations, (), Journal(resume=resume))
    assert taken == list(range(7))
    assert last["x"].tolist() == [7.0, 7.0]
    assert losses[:, 0].tolist() == [float(i + 1) for i in range(7)]
    descend(step, {"x": torch.zeros(2)}, 2, 2, (), Journal(resume=resume))
    assert taken[7:] == [0, 1]  # what is left lies beyond the end: begin anew


def test_what_bounds_nothing_is_refused():
    twice = [TRIAL["attack"], {**TRIAL["attack"], "iterations": 8}]
    assert shortened(config(attack=twice), 0.5)[0].attack.iterations == 3  # the worst is no better than any
    with pytest.raises(ConfigError, match=r"expects suite 'worst'.*got 'mean' of 2 attacks"):
        shortened(config(attack=twice, suite="mean"), 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endless(Attack):
    kind = "endless"
    threat_model = "white-box"
    iterations: int = 8  # not marked as its length


def test_an_attack_without_a_length_is_refused():
    plan = dataclasses.replace(config().attack[0], attack=Endless())
    expected = "one of the knobs iterations, .* to shorten; got endless"
    with pytest.raises(ConfigError, match=expected):
        shortened(dataclasses.replace(config(), attack=(plan,)), 0.5)


def test_every_attack_says_how_long_it_is():
    assert all(knobs_marked(attack, LENGTH) for attack in ATTACKS.values())


@pytest.mark.parametrize(
    ("best", "reason"),
    [
        ({"test_accuracy": 0.7, "attack_accuracy": 0.3}, "trial 4 dominates it even so"),
        ({"test_accuracy": 0.8, "attack_accuracy": 0.3}, "trial 4 dominates it even so"),
        ({"test_accuracy": 0.8, "attack_accuracy": 0.2}, ""),  # as good is not better
        ({"test_accuracy": 0.81, "attack_accuracy": 0.9}, ""),
        ({"test_accuracy": 0.1, "attack_accuracy": 0.19}, ""),
    ],
)
def test_a_trial_is_beaten_by_what_is_as_good_in_all_and_better_in_one(best, reason):
    rivals = [{"number": 4, "values": {"test_accuracy": 0.8, "attack_accuracy": 0.2}}]
    assert beaten(best, rivals, OBJECTIVES) == reason
    assert beaten(best, [], OBJECTIVES) == ""


def test_a_missed_constraint_beats_too():
    best = {"test_accuracy": 0.7, "attack_accuracy": 0.3}
    assert beaten(best, [], OBJECTIVES, [("test_accuracy", ">=", 0.8)]) == "misses test_accuracy >= 0.8"
    assert beaten(best, [], OBJECTIVES, [("test_accuracy", ">=", 0.7)]) == ""
    assert beaten(best, [], OBJECTIVES, [("attack_accuracy", "<=", 0.25)]) == "misses attack_accuracy <= 0.25"


def front(rows):
    return {
        i for i, (a, p) in enumerate(rows) if not any(b >= a and q <= p and (b, q) != (a, p) for b, q in rows)
    }


@pytest.mark.parametrize("seed", range(5))
def test_no_member_of_the_front_is_lost(seed):
    """Trials come one after another, each screened against those that were attacked in full before."""
    draw = np.random.default_rng(seed)
    accuracy = draw.random(60).round(2)
    long = np.clip(accuracy - 0.3 + draw.exponential(0.2, 60), 0, 1).round(2)
    low = long * draw.random(60)
    rivals, skipped = [], 0
    for i in range(60):
        best = {"test_accuracy": accuracy[i], "attack_accuracy": low[i]}
        if beaten(best, rivals, OBJECTIVES):
            skipped += 1
            continue
        values = {"test_accuracy": accuracy[i], "attack_accuracy": long[i]}
        rivals.append({"number": i, "values": values})
    kept = [rival["number"] for rival in rivals]
    found = front([(accuracy[i], long[i]) for i in kept])
    assert {kept[i] for i in found} == front(list(zip(accuracy, long, strict=True)))
    assert skipped > 10


def test_a_beaten_trial_is_not_attacked_in_full(tmp_path):
    store = Store(tmp_path)
    stages = []

    def report(stage, done, total, **metrics):
        stages.append(stage)

    rivals = [{"number": 7, "values": {"test_accuracy": 1.1, "attack_accuracy": -0.1}}]
    found = run_screened(
        config(), rivals=rivals, objectives=OBJECTIVES, share=0.5, store=store, report=report
    )
    assert found.screening["reason"] == "trial 7 dominates it even so"
    assert len(list((tmp_path / "attack").glob("*/result.json"))) == 1
    assert "short attack" in stages and "attack" not in stages
    assert found.seconds.keys() == {"target", "screening"}
    assert found.values == {
        "test_accuracy": found.screening["test_accuracy"],
        "attack_accuracy": found.screening["attack_accuracy"],
    }
    assert not any(name.startswith("attack") for name in found.metrics)
    # not beaten: the same target goes on to the long attack, and the result is that of a plain trial
    whole = run_screened(config(), rivals=[], objectives=OBJECTIVES, share=0.5, store=store)
    assert whole.screening["reason"] == ""
    assert whole.screening["attack_accuracy"] == found.values["attack_accuracy"]
    assert whole.seconds["screening"] == found.seconds["screening"]
    assert len(list((tmp_path / "target").glob("*/result.json"))) == 1
    plain = run_trial(config(), store=store)
    seconds = {**plain.seconds, "screening": found.seconds["screening"]}
    assert whole == dataclasses.replace(plain, seconds=seconds, screening=whole.screening)


def test_a_screened_trial_says_what_it_read_and_whether_training_lost_it(tmp_path, monkeypatch):
    lost = "trainables.trial_result.lost_pretraining"
    monkeypatch.setattr(lost, lambda config, reached, probed, tested: [f"lost {probed}"])
    near = {**FACES, "population": "near", "identities": 3}
    trial = config(pretraining={"kind": "dataset", "epochs": 1, "data": near})
    store = Store(tmp_path)
    plain = run_trial(trial, store=store)
    assert "pretraining" in plain.data and plain.warnings[-1] != "lost None"
    whole = run_screened(trial, rivals=[], objectives=OBJECTIVES, share=0.5, store=store)
    seconds = {**plain.seconds, "screening": whole.seconds["screening"]}
    assert whole == dataclasses.replace(plain, seconds=seconds, screening=whole.screening)
    rivals = [{"number": 7, "values": {"test_accuracy": 1.1, "attack_accuracy": -0.1}}]
    beaten = run_screened(trial, rivals=rivals, objectives=OBJECTIVES, share=0.5, store=store)
    assert beaten.screening["reason"] and beaten.data == plain.data
    assert beaten.warnings[-1] == plain.warnings[-1]


def test_a_search_on_validation_images_screens_by_them(tmp_path):
    """The rival is beaten on test images, which the search does not see, and better on validation images."""
    objectives = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    rivals = [{"number": 7, "values": {"validation_accuracy": 1.1, "attack_accuracy": -0.1}}]
    store = Store(tmp_path)
    found = run_screened(config(), rivals=rivals, objectives=objectives, share=0.5, store=store)
    assert found.screening["reason"] == "trial 7 dominates it even so"
    assert found.metrics["validation_accuracy"] <= 1.0
    limits = [("validation_accuracy", ">=", 1.01)]
    missed = run_screened(config(), rivals=[], objectives=objectives, limits=limits, share=0.5, store=store)
    assert missed.screening["reason"] == "misses validation_accuracy >= 1.01"
