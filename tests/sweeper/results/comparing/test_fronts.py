"""Which trials count: by their state, their figures, their constraints, and what the search saw."""

import math
import random

import numpy as np
import pytest
from records import as_study

from sweeper.results.comparing.fronts import counted, eligible, finished, front, values

SEARCHED = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}


def trial(number, accuracy, attacked, **more):
    figures = {"test_accuracy": accuracy, "attack_accuracy": attacked}
    return {"number": number, "values": figures, "feasible": True, **more}


def numbers(trials):
    return [trial.number for trial in trials]


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf, None, "0.5"])
def test_a_trial_without_a_finite_figure_of_every_objective_is_not_finished(figure):
    record = as_study({"trials": [trial(0, 0.5, 0.5), trial(1, 0.9, figure), trial(2, figure, 0.1)]})
    assert numbers(finished(record)) == numbers(front(record)) == [0]


@pytest.mark.parametrize("state", ["failed", "running", "screened"])
def test_a_trial_that_is_not_complete_counts_nowhere(state):
    record = as_study({"trials": [trial(0, 0.5, 0.5), trial(1, 0.9, 0.1, state=state)]})
    assert [numbers(those(record)) for those in (finished, eligible, counted, front)] == [[0]] * 4


def test_one_that_misses_a_constraint_is_finished_and_keeps_nobody_off_the_front():
    missing = trial(1, 0.9, 0.1, feasible=False)
    unknown = trial(2, 0.8, 0.6, feasible=None)  # of a study without constraints
    record = as_study({"trials": [trial(0, 0.5, 0.5), missing, unknown]})
    assert numbers(finished(record)) == [0, 1, 2]
    assert numbers(eligible(record)) == numbers(counted(record)) == [0, 2]
    assert numbers(front(record)) == [2, 0]


@pytest.mark.parametrize("first", ["test_accuracy", "attack_accuracy"])
@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_who_nobody_beats_the_best_in_the_first_objective_first(first, seed):
    draw = random.Random(seed)
    rows = [trial(n, draw.randint(0, 6) / 6, draw.randint(0, 6) / 6) for n in range(12)]
    way = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    objectives = {name: way[name] for name in (first, *way)}
    record = as_study({"trials": rows, "objectives": objectives})

    def beats(one, other):
        better = [
            one["test_accuracy"] - other["test_accuracy"],
            other["attack_accuracy"] - one["attack_accuracy"],
        ]
        return min(better) >= 0 and max(better) > 0

    expected = {
        row["number"] for row in rows if not any(beats(other["values"], row["values"]) for other in rows)
    }
    members = front(record)
    assert set(numbers(members)) == expected
    along = [member.values[first] for member in members]
    assert along == sorted(along, reverse=first == "test_accuracy")
    table = [[row["values"][name] for name in objectives] for row in rows]
    assert np.array_equal(values(record), table)  # all that count, in the order of the objectives


def test_what_the_search_saw_chooses_and_what_is_reported_is_told():
    """By validation images 0 is beaten by 1; by test images it is the other way round."""
    rows = [
        trial(0, 0.9, 0.5, searched={"validation_accuracy": 0.6, "attack_accuracy": 0.5}),
        trial(1, 0.8, 0.5, searched={"validation_accuracy": 0.7, "attack_accuracy": 0.5}),
        trial(2, 0.95, 0.6, searched={"validation_accuracy": 0.8, "attack_accuracy": 0.6}),
    ]
    record = as_study({"trials": rows, "searched": SEARCHED})
    assert numbers(front(record)) == [2, 1]
    assert numbers(counted(record)) == [2, 1]  # 0 was not chosen, and looks good by chance
    assert values(record).tolist() == [[0.95, 0.6], [0.8, 0.5]]
    tested = as_study({"trials": rows})
    assert numbers(counted(tested)) == [0, 1, 2] and numbers(front(tested)) == [2, 0]


def test_a_study_without_results_has_an_empty_table():
    assert values(as_study({"trials": []})).shape == (0, 2)
