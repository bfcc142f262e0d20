"""Fresh measurements as they are kept: what is handed out, what is stored of it, and which of them count."""

import copy
import math
import re

import optuna
import pytest

from sweeper.search.confirmation_log import Confirmation, Item, confirmation_name, stored_confirmation
from sweeper.search.reading import open_storage
from trainables.errors import ConfigError
from trainables.storage.store import content_key

OTHER = [{"kind": "other"}]
JUDGE = ("seeds", "judge")


def items(*pairs, changes=None):
    """Return an item for each (member, replicate); its document and its assignment tell which one it is."""
    return [
        Item(member, seed, {"x": member / 10, "replicate": seed}, {"x": member / 10}, changes or {})
        for member, seed in pairs
    ]


FOUR = items((0, 2), (1, 2), (0, 3), (1, 3))


def fresh(accuracy, attack, **more):
    return {
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "metrics": {"knn_distance": 2.5},
        "history": {"target": [1, 2, 3]},
        "params": {"x": 0.1},
        **more,
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Return a database's URL and its storage: a new one for each test, opened often, takes seconds."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log') / 'optuna.db'}"
    return url, open_storage(url)


@pytest.fixture
def url(database, monkeypatch):
    monkeypatch.setattr("sweeper.search.confirmation_log.open_storage", {database[0]: database[1]}.get)
    return database[0]


@pytest.fixture
def name(request):
    """Return the name of the test's own study."""
    return re.sub(r"\W", "-", request.node.name)


@pytest.fixture
def opened(url, name, cheap):
    """Return a maker of confirmations of the study."""

    def make(planned=FOUR, attacks=(), *fresh_parts, **changes):
        return Confirmation(cheap(name=name, **changes), url, planned, list(attacks), *fresh_parts)

    return make


@pytest.fixture
def counted(url, name):
    """Return how the study is said to be attacked, and per trial the accuracies that count."""

    def read():
        attacks, results = stored_confirmation(url, name)
        return attacks, {
            member: [result["values"]["test_accuracy"] for result in found]
            for member, found in results.items()
        }

    return read


def finish(source, accuracy=0.8, attack=0.4):
    """Tell `source` the same of everything that it hands out; return the numbers."""
    numbers = []
    while (request := source.ask()) is not None:
        assert source.tell(request.number, fresh(accuracy, attack)) == ""
        numbers.append(request.number)
    return numbers


def test_each_measurement_is_handed_out_once_with_its_own_document(opened):
    source = opened()
    requests = [source.ask() for _ in range(4)]
    assert source.ask() is None and not source.finished
    assert [request.number for request in requests] == [0, 1, 2, 3]
    assert [request.name for request in requests][1:3] == ["trial 1, seed 2", "trial 0, seed 3"]
    assert [request.document for request in requests] == [item.document for item in FOUR]
    assert [request.assignment for request in requests] == [item.assignment for item in FOUR]
    for done, request in enumerate(requests, 1):
        assert source.tell(request.number, fresh(0.8, 0.4)) == ""
        assert (source.complete, source.finished) == (done, done == 4)


def test_a_killed_confirmation_goes_on_and_more_seeds_are_added(opened, counted):
    first = opened()
    request = first.ask()
    first.ask()  # two were running when the driver died, one had ended
    first.tell(request.number, fresh(0.8, 0.4))
    again = opened()
    assert (again.complete, again.budget, again.finished) == (1, 4, False)
    assert finish(again) == [1, 2, 3] and again.complete == 4
    more = opened([*FOUR, *items((0, 4), (1, 4))])
    assert (more.complete, more.budget) == (4, 6) and finish(more) == [4, 5]
    assert counted() == ([], {0: [0.8] * 3, 1: [0.8] * 3})


def test_what_is_kept_is_the_result_without_its_history_and_with_what_was_fresh(opened, url, name):
    """An objective may be among the metrics: its value is kept where those of objectives are."""
    objectives = {"attack_accuracy": "minimize", "knn_distance": "maximize"}
    (item,) = planned = items((7, 3), changes={"judge_seed": 1})
    source = opened(planned, OTHER, JUDGE, objectives=objectives)
    told = fresh(0.8, 0.4, seconds={"target": 9.0})
    before = copy.deepcopy(told)
    assert source.tell(source.ask().number, told) == ""
    assert told == before
    attacks, results = stored_confirmation(url, name)
    assert attacks == OTHER
    assert results == {
        7: [
            {
                "values": {"test_accuracy": 0.8, "attack_accuracy": 0.4, "knn_distance": 2.5},
                "metrics": {"knn_distance": 2.5},
                "params": {"x": 0.1},
                "seconds": {"target": 9.0},
                "replicate": item.replicate,
                "changes": item.changes,
                "fresh": ["seeds", "judge"],
            }
        ]
    }
    stored = optuna.load_study(study_name=f"{name}/confirm", storage=url)
    assert [way.name.lower() for way in stored.directions] == list(objectives.values())
    assert [trial.values for trial in stored.trials] == [[0.4, 2.5]]


@pytest.mark.parametrize("accuracy", [math.nan, math.inf, None])
def test_a_measurement_without_its_figures_is_named_and_tried_again(opened, counted, accuracy):
    source = opened(items((5, 2), (6, 2)))
    reason = source.tell(source.ask().number, fresh(accuracy, 0.5))
    assert reason == f"objectives must be finite numbers; got {{'test_accuracy': {accuracy}}}"
    source.fail(source.ask().number, {}, "out of memory")
    assert source.failures == [f"trial 5 under seed 2: {reason}", "trial 6 under seed 2: out of memory"]
    assert source.finished and source.complete == 0
    assert counted() == (None, {})
    again = opened(items((5, 2), (6, 2)))
    assert again.complete == 0 and finish(again) == [0, 1]


@pytest.mark.parametrize("other", [(OTHER,), ([], JUDGE), (OTHER, JUDGE)])
def test_other_attacks_or_other_fresh_parts_are_another_measurement(opened, counted, other):
    finish(opened(), accuracy=0.8)
    harder = opened(FOUR[:2], *other)
    assert harder.complete == 0
    finish(harder, accuracy=0.7)
    assert counted() == (other[0], {0: [0.7], 1: [0.7]})
    assert opened().finished  # asked for without them, those count again
    assert counted() == ([], {0: [0.8, 0.8], 1: [0.8, 0.8]})
    assert opened(FOUR, *other).complete == 2  # and neither is lost
    assert counted() == (other[0], {0: [0.7], 1: [0.7]})


def test_the_parts_that_are_fresh_stand_in_any_attack_alone(opened, counted):
    """Measured under both attacks, with other parts fresh each time: each pair of the two is its own."""
    for attacks, parts, accuracy in (([], ("seeds",), 0.1), (OTHER, JUDGE, 0.2), ([], JUDGE, 0.3)):
        assert opened(FOUR, attacks, parts).complete == 0
        finish(opened(FOUR, attacks, parts), accuracy)
        assert counted() == (attacks, {0: [accuracy] * 2, 1: [accuracy] * 2})


def test_a_confirmation_counts_once_something_is_measured(opened, counted):
    """One that was stopped before, or failed throughout, leaves the one before as it was."""
    finish(opened())
    before = counted()
    other = opened(FOUR, OTHER, ("judge",))
    request = other.ask()
    assert counted() == before
    other.fail(request.number, {}, "out of memory")
    assert counted() == before
    other.tell(other.ask().number, fresh(0.6, 0.4))
    assert counted() == (OTHER, {1: [0.6]})


def test_one_of_an_older_version_had_other_seeds_alone(opened, counted):
    source = opened(FOUR[:2])
    for item in FOUR[:2]:
        result = fresh(0.8, 0.4, replicate=item.replicate)
        attributes = {"member": item.member, "attacks": content_key(attacks=[]), "result": result}
        source._optuna.add_trial(optuna.trial.create_trial(values=[0.8, 0.4], user_attrs=attributes))
    source._optuna.set_user_attr("attacks", [])
    assert counted() == ([], {0: [0.8], 1: [0.8]})
    assert opened(FOUR[:2]).finished
    assert opened(FOUR[:2], [], ("judge",)).complete == 0


def test_a_seed_that_was_measured_twice_counts_once(opened, counted):
    """As by two drivers, of which neither knew of the other: the first that ended is the one that stays."""
    both = opened(), opened()
    for source, accuracy in zip(both, (0.7, 0.9), strict=True):
        source.tell(source.ask().number, fresh(accuracy, 0.4))
    assert counted() == ([], {0: [0.7]})
    assert opened().complete == 1


def test_a_study_that_was_never_confirmed_has_no_measurements(opened, url, name):
    assert stored_confirmation(url, name) == (None, {})
    opened()
    assert stored_confirmation(url, name) == (None, {})


def test_no_study_of_a_user_has_the_name_of_its_measurements(cheap):
    with pytest.raises(ConfigError, match="name must be letters"):
        cheap(name=confirmation_name("cheap"))
