import json
import math

import numpy as np
import pytest
from scipy import stats

from sweeper.search.replicates import combine, run_replicates
from sweeper.statistics.intervals import interval_over
from sweeper.study.objectives import measured


def one(replicate, accuracy, attack, **changes):
    return {
        "replicate": replicate,
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "interval": {"attack_accuracy": [attack - 0.1, attack + 0.2]},
        "metrics": {"knn_distance": 4.0 * attack, "chance": 0.1},
        "seconds": {"target": 10.0 + replicate, "attack": 5.0},
        "attacks": {
            name: {
                "kind": name,
                "interval": [top - 0.1, top + 0.1],
                "metrics": {"attack_accuracy_top1": top},
                "seconds": {"attack": 2.5},
            }
            for name, top in (("gmi", attack), ("kedmi", attack / 2))
        },
        "strongest": "gmi",
        "trained_params": 7,
        "history": {"target": [{"loss": 1.0}]},
        "artifacts": {"target": f"store/{replicate}"},
        "warnings": ["weak judge"],
        **changes,
    }


def test_values_are_means_seconds_sums_and_the_rest_the_first():
    found = combine([one(3, 0.8, 0.4), one(4, 0.9, 0.2, warnings=["weak judge", "odd"])])
    json.dumps(found, allow_nan=False)
    assert found["values"] == pytest.approx({"test_accuracy": 0.85, "attack_accuracy": 0.3})
    assert found["metrics"]["knn_distance"] == pytest.approx(1.2)
    assert found["seconds"] == {"target": 27.0, "attack": 10.0}
    assert measured(found, "train_seconds") == 13.5  # of one target, whatever the number of seeds
    assert found["attacks"]["kedmi"]["metrics"]["attack_accuracy_top1"] == pytest.approx(0.15)
    assert found["attacks"]["gmi"]["seconds"] == {"attack": 5.0}
    assert found["artifacts"] == {"target": "store/3"} and "replicate" not in found
    assert [r["replicate"] for r in found["replicates"]] == [3, 4]
    assert found["replicates"][1]["values"] == {"test_accuracy": 0.9, "attack_accuracy": 0.2}
    assert found["warnings"] == ["weak judge", "odd"]


def test_the_strongest_attack_is_so_on_average():
    second = one(1, 0.8, 0.2)
    second["attacks"]["kedmi"]["metrics"]["attack_accuracy_top1"] = 0.9
    assert combine([one(0, 0.8, 0.4), second])["strongest"] == "kedmi"


def test_the_interval_by_hand():
    seeds = stats.t.ppf(0.975, 1) * np.std([0.4, 0.2], ddof=1) / math.sqrt(2)
    low, high = interval_over([0.4, 0.2], [[0.3, 0.6], [0.1, 0.4]], -9, 9)
    assert (low, high) == pytest.approx((0.3 - math.hypot(0.1, seeds), 0.3 + math.hypot(0.2, seeds)))
    assert interval_over([0.4, 0.2], [[0.3, 0.6], [0.1, 0.4]], 0, 1) == (0.0, 1.0)  # what two seeds say
    assert interval_over([0.4], [[0.3, 0.6]]) == pytest.approx((0.3, 0.6))  # one seed: its own interval
    assert interval_over([0.4], [None]) is None
    low, high = interval_over([0.4, 0.2], [None, None])
    assert (low, high) == pytest.approx((0.3 - seeds, 0.3 + seeds))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Success of identity i under seed j depends on both. The truth is the mean over all of either."""
    draw = np.random.default_rng(0)
    identities, seeds, restarts, rounds = 60, 4, 2, 1500
    truth = stats.norm.cdf(-0.3 / math.sqrt(1 + 1.0**2 + 0.3**2))  # of Phi(-0.3 + a_i + b_j)
    covered = naive = 0
    z = stats.norm.ppf(0.975)
    for _ in range(rounds):
        easy, lucky = draw.normal(0, 1.0, (identities, 1)), draw.normal(0, 0.3, (1, seeds))
        rate = stats.norm.cdf(-0.3 + easy + lucky)
        shares = draw.binomial(restarts, rate) / restarts
        means = shares.mean(0)
        errors = z * shares.std(0, ddof=1) / math.sqrt(identities)
        ends = [(m - e, m + e) for m, e in zip(means, errors, strict=True)]
        low, high = interval_over(means.tolist(), ends, 0, 1)
        covered += low <= truth <= high
        half = z * shares.std(ddof=1) / math.sqrt(shares.size)  # as if all were independent
        naive += abs(means.mean() - truth) <= half
    assert 0.94 <= covered / rounds <= 0.995
    assert naive / rounds < 0.75


def test_replicates_run_one_after_another_under_their_numbers():
    seen, told = [], []

    def run(trial, *, store_root, device, report):
        seen.append((trial["replicate"], trial["seed"], store_root, device))
        report("target", 1, 2, loss=0.5)
        return one(0, 0.5 + 0.1 * trial["replicate"], 0.2)

    def report(stage, done, total, **metrics):
        told.append((stage, done, total, metrics))

    trial = {"seed": 9, "replicate": 2}
    found = run_replicates(trial, run=run, count=2, store_root="s", device="cpu", report=report)
    assert seen == [(2, 9, "s", "cpu"), (3, 9, "s", "cpu")]
    assert told == [
        ("target, seed 1 of 2", 1, 2, {"loss": 0.5}),
        ("target, seed 2 of 2", 1, 2, {"loss": 0.5}),
    ]
    assert found["values"]["test_accuracy"] == pytest.approx(0.75)
    assert [r["replicate"] for r in found["replicates"]] == [2, 3]
    assert trial == {"seed": 9, "replicate": 2}


def test_an_interval_ends_where_the_figure_does_and_not_before():
    """A distance may lie anywhere above 0, and of a figure without a name among metrics nothing is known."""
    figures = {"knn_distance": (3.0, 1.0), "test_accuracy": (0.9, 0.7), "of_a_plugin": (-1.0, 2.0)}
    rows = [one(seed, 0.0, 0.0, values={k: v[seed] for k, v in figures.items()}) for seed in (0, 1)]
    found = combine(rows)["interval"]
    for name, ends in {"knn_distance": (0, 99), "test_accuracy": (0, 1), "of_a_plugin": (-99, 99)}.items():
        mean, half = np.mean(figures[name]), stats.t.ppf(0.975, 1) * np.std(figures[name], ddof=1) / 2**0.5
        expected = (max(ends[0], mean - half), min(ends[1], mean + half))
        assert found[name] == pytest.approx(expected)
    assert found["knn_distance"][1] > 14 and found["of_a_plugin"][0] < -18


def test_a_figure_that_one_seed_lacks_is_dropped():
    odd = one(1, 0.8, 0.4, metrics={"chance": float("nan")})
    assert set(combine([one(0, 0.8, 0.4), odd])["metrics"]) == {"chance", "train_seconds"}


def test_a_verified_accuracy_has_the_interval_of_its_seeds_and_no_other():
    name = "attack_accuracy_verified"

    def verified(replicate, figure):
        document = one(replicate, 0.8, 0.4)
        document["metrics"][name] = document["attacks"]["gmi"]["metrics"][name] = figure
        document["interval"][name] = document["attacks"]["gmi"]["verified"] = [figure - 0.1, figure + 0.1]
        return document

    rows = [verified(0, 0.3), verified(1, 0.2)]
    combined = combine(rows)
    expected = interval_over([0.3, 0.2], [[0.2, 0.4], [0.1, 0.3]], 0.0, 1.0)
    assert combined["interval"][name] == pytest.approx(list(expected))
    assert combined["attacks"]["gmi"]["verified"] == pytest.approx(list(expected))
    assert combined["metrics"][name] == pytest.approx(0.25)
    assert "verified" not in combined["attacks"]["kedmi"]
    old = one(2, 0.8, 0.4)  # of an older version, which did not measure it
    mixed = combine([*rows, old])
    assert name not in mixed["interval"] and name not in mixed["metrics"]
    assert mixed["attacks"]["gmi"]["verified"] is None
