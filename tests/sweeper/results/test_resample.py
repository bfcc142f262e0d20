import numpy as np
import pytest
from records import as_trial

from sweeper.results import resample as module
from sweeper.results.resample import redraw, seed_errors

OBJECTIVES = ["test_accuracy", "attack_accuracy"]


def trial(accuracy, attacked, **changes):
    return as_trial({"values": {"test_accuracy": accuracy, "attack_accuracy": attacked}, **changes})


def replicates(points):
    return [
        {"replicate": seed, "values": dict(zip(OBJECTIVES, point, strict=True))}
        for seed, point in enumerate(points)
    ]


def interval(low, high):
    return {"interval": {"attack_accuracy": [low, high]}}


def test_stored_verdicts_are_preferred(monkeypatch):
    rates = [np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0])]
    monkeypatch.setattr(module, "per_identity", lambda trials: rates)
    trials = [trial(0.9, 0.5, **interval(0.1, 0.9)), trial(0.8, 0.25, **interval(0.0, 0.8))]
    found = redraw(trials, OBJECTIVES)
    assert found.basis == "identities"
    assert found.tables.measured.tolist() == [[0.9, 0.5], [0.8, 0.25]]
    assert found.tables.once[:, 0, 1].std() > 0


@pytest.mark.parametrize(
    "rates",
    [[None, np.array([0.5])], [np.array([0.5]), np.array([0.0, 0.5])]],
    ids=["one missing", "unequal"],
)
def test_without_all_verdicts_intervals_are_drawn_from(monkeypatch, rates):
    monkeypatch.setattr(module, "per_identity", lambda trials: rates)
    found = redraw([trial(0.9, 0.5, **interval(0.4, 0.6)), trial(0.8, 0.25)], OBJECTIVES)
    assert found.basis == "intervals"
    assert (found.tables.once[:, 1] == [0.8, 0.25]).all()  # no interval, no spread
    assert found.tables.once[:, 0, 1].std() == pytest.approx(0.1 / 1.96, rel=0.1)


def test_nothing_known_is_nothing_drawn():
    assert redraw([trial(0.9, 0.5)], OBJECTIVES) is None
    assert redraw([], OBJECTIVES) is None


def test_the_error_over_seeds_is_pooled():
    groups = [[(0.9, 0.5), (0.8, 0.3)], [(0.5, 0.1), (0.7, 0.1), (0.6, 0.1)], [(0.4, 0.4)]]
    trials = [trial(0, 0, replicates=replicates(group)) for group in groups]
    squares = sum(np.var(np.array(group), axis=0, ddof=0) * len(group) for group in groups)
    pooled = np.sqrt(squares / (1 + 2) / 2.5)  # degrees of freedom; seeds a trial, of those with several
    assert seed_errors(trials, OBJECTIVES) == pytest.approx(pooled)
    assert seed_errors([trial(0.9, 0.5)], OBJECTIVES) is None


def test_replicates_add_their_seeds_to_the_identities(monkeypatch):
    monkeypatch.setattr(module, "per_identity", lambda trials: [np.full(10, 0.5)])
    seeds = replicates([(0.9, 0.6), (0.7, 0.4)])
    found = redraw([trial(0.8, 0.5, replicates=seeds)], OBJECTIVES)
    assert found.basis == "identities and seeds"
    assert found.tables.once[:, 0].std(axis=0) == pytest.approx([0.1, 0.1], rel=0.1)  # 0.2 / sqrt 2 / sqrt 2
