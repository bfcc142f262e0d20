"""Fresh measurements of a study, put together: figures by hand, for seeds that are known."""

import pytest
from records import as_study

from sweeper.results.confirmed import with_confirmation

POINT = {"test_accuracy": 0.0, "attack_accuracy": 1.0}


def trial(number, accuracy, attacked, **more):
    return {"number": number, "values": {"test_accuracy": accuracy, "attack_accuracy": attacked}, **more}


def seed(replicate, accuracy, attacked, **more):
    return {
        "replicate": replicate,
        "values": {"test_accuracy": accuracy, "attack_accuracy": attacked},
        "interval": {"attack_accuracy": [attacked - 0.1, attacked + 0.1], "validation_accuracy": [0.5, 0.6]},
        "metrics": {"validation_accuracy": 0.55},
        "fresh": ["seeds", "judge"],
        **more,
    }


@pytest.fixture
def records():
    trials = [trial(0, 0.9, 0.5), trial(1, 0.6, 0.2), trial(2, 0.5, 0.4), trial(3, 1, 0, state="failed")]
    return as_study({"trials": trials, "reference_point": POINT})


def test_means_of_fresh_seeds_stand_beside_what_was_searched(records):
    results = {
        1: [seed(8, 0.4, 0.2), seed(6, 0.8, 0.4), seed(7, 0.6, 0.3)],
        0: [seed(6, 0.8, 0.6), seed(7, 0.9, 0.7)],
        3: [seed(6, 1.0, 0.0)],  # has no result that counts any more
    }
    found = with_confirmation(records, [{"kind": "kedmi"}], results)
    assert [t.confirmed is None for t in found.trials] == [False, False, True, True]
    first, second = found.trials[0].confirmed, found.trials[1].confirmed
    assert first.values == pytest.approx({"test_accuracy": 0.85, "attack_accuracy": 0.65})
    assert second.values == pytest.approx({"test_accuracy": 0.6, "attack_accuracy": 0.3})
    assert (first.seeds, second.seeds, found.confirmed.seeds) == (2, 3, 2)
    assert [replicate.replicate for replicate in second.replicates] == [6, 7, 8]
    assert set(first.interval) == set(POINT)  # of the accuracy by its two seeds; no other figure's
    low, high = second.interval["attack_accuracy"]
    assert low < 0.2 and high > 0.4
    assert [dict(t.values) for t in found.trials] == [dict(t.values) for t in records.trials]
    assert list(first.fresh) == list(found.confirmed.fresh) == ["seeds", "judge"]
    assert found.confirmed.attacks == [{"kind": "kedmi"}]
    # (0.85, 0.65) and (0.6, 0.3) against (0, 1), the failed trial left out
    assert found.confirmed.hypervolume == pytest.approx(0.85 * 0.35 + 0.6 * 0.35)


@pytest.mark.parametrize(
    ("results", "sure"),
    [
        ({0: [(0.9, 0.5), (0.9, 0.5)], 1: [(0.6, 0.2), (0.6, 0.2)]}, [1.0, 1.0, None]),
        ({0: [(0.9, 0.5), (0.9, 0.5)], 1: [(0.8, 0.6), (0.8, 0.6)]}, [1.0, 0.0, None]),
        ({2: [(0.8, 0.6), (0.82, 0.62)], 0: [(0.9, 0.5)]}, [1.0, None, 0.0]),  # told by their numbers
        ({0: [(0.9, 0.5)], 1: [(0.8, 0.6)]}, None),  # how seeds vary is not known
    ],
)
def test_how_sure_a_member_is_counts_confirmed_trials_alone(records, results, sure):
    fresh = {n: [seed(6 + k, *row) for k, row in enumerate(rows)] for n, rows in results.items()}
    found = with_confirmation(records, [], fresh)
    told = [t.confirmed and t.confirmed.front_probability for t in found.trials[:3]]
    assert told == (sure or [None] * 3)


@pytest.mark.parametrize("results", [{}, {3: [seed(6, 1.0, 0.0)]}, {17: [seed(6, 0.5, 0.5)]}])
def test_without_fresh_measurements_nothing_changes(records, results):
    assert with_confirmation(records, None, results) is records
