from itertools import product

import numpy as np
import pytest

from sweeper.statistics.hypervolume import hypervolume
from sweeper.statistics.pareto import dominated_share, non_dominated

DIRECTIONS = {1: ("minimize",), 2: ("maximize", "minimize"), 3: ("maximize", "minimize", "minimize")}


def better(row, other, directions):
    """Return whether `row` dominates `other`, by the definition."""
    gains = [(a - b) if d == "maximize" else (b - a) for a, b, d in zip(row, other, directions, strict=True)]
    return all(g >= 0 for g in gains) and any(g > 0 for g in gains)


def brute_front(values, directions):
    return [not any(better(other, row, directions) for other in values) for row in values]


def brute_volume(values, directions, reference):
    """Count the cells of the grid through all coordinates whose best corner some row reaches."""
    sign = np.array([-1.0 if d == "maximize" else 1.0 for d in directions])
    costs, corner = np.asarray(values) * sign, np.asarray(reference) * sign
    edges = [np.unique(np.append(np.minimum(costs[:, k], corner[k]), corner[k])) for k in range(len(corner))]
    total = 0.0
    for cell in product(*(range(len(e) - 1) for e in edges)):
        low = np.array([e[i] for e, i in zip(edges, cell, strict=True)])
        high = np.array([e[i + 1] for e, i in zip(edges, cell, strict=True)])
        if (costs <= low).all(axis=1).any():
            total += float((high - low).prod())
    return total


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_front_and_volume_match_brute_force(objectives, seed):
    draw = np.random.default_rng(seed)
    values = draw.random((14, objectives))
    if seed % 2:
        values = values.round(1)  # ties and duplicates
    directions = DIRECTIONS[objectives]
    reference = [0.1 if d == "maximize" else 0.9 for d in directions]
    assert non_dominated(values, directions).tolist() == brute_front(values, directions)
    volume = hypervolume(values, directions, reference)
    assert volume == pytest.approx(brute_volume(values, directions, reference), abs=1e-12)


@pytest.mark.parametrize("objectives", [2, 3])
def test_volume_matches_optuna(objectives):
    optuna = pytest.importorskip("optuna._hypervolume")
    costs = np.random.default_rng(3).random((30, objectives))
    corner = np.full(objectives, 0.8)
    ours = hypervolume(costs, ["minimize"] * objectives, corner)
    kept = costs[(costs <= corner).all(axis=1)]
    assert ours == pytest.approx(optuna.compute_hypervolume(kept, corner))


def test_a_square_by_hand():
    values = [[0.5, 0.25], [0.75, 0.5]]
    assert hypervolume(values, DIRECTIONS[2], [0.0, 1.0]) == pytest.approx(0.5 * 0.75 + 0.25 * 0.5)
    assert hypervolume([], DIRECTIONS[2], [0.0, 1.0]) == 0.0
    assert hypervolume([[0.0, 0.2]], DIRECTIONS[2], [0.0, 1.0]) == 0.0
    assert hypervolume([[1.0, 0.0]], DIRECTIONS[2], [0.0, 1.0]) == 1.0


def test_one_objective_is_a_length():
    assert hypervolume([[0.2], [0.7]], ["maximize"], [0.1]) == pytest.approx(0.6)
    assert non_dominated([[0.2], [0.7], [0.7]], ["maximize"]).tolist() == [False, True, True]


def test_rows_without_a_result_count_for_nothing():
    nan, inf = float("nan"), float("inf")
    values = [[0.5, 0.5], [nan, 0.0], [inf, 0.0], [0.9, nan], [0.5, 0.5]]
    assert non_dominated(values, DIRECTIONS[2]).tolist() == [True, False, False, False, True]
    assert hypervolume(values, DIRECTIONS[2], [0.0, 1.0]) == pytest.approx(0.25)
    assert non_dominated(np.empty((0, 2)), DIRECTIONS[2]).tolist() == []


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_dominated_share_is_that_counted_row_by_row(objectives, seed):
    """Over few levels, so that rows are often equal in one objective and better in another."""
    a, b = np.random.default_rng(seed).integers(0, 4, (2, 9, objectives)).astype(float)
    directions = DIRECTIONS[objectives]
    own = [row for row in a if not any(better(other, row, directions) for other in a)]
    expected = np.mean([any(better(other, row, directions) for other in b) for row in own])
    assert dominated_share(a, b, directions) == pytest.approx(expected)


def test_dominated_share():
    a = [[0.9, 0.5], [0.5, 0.1], [0.1, 0.9]]  # the last is not on a's front
    b = [[0.95, 0.4], [0.5, 0.1]]
    assert dominated_share(a, b, DIRECTIONS[2]) == 0.5  # equal rows do not dominate each other
    assert dominated_share(b, a, DIRECTIONS[2]) == 0.0
    assert dominated_share([], b, DIRECTIONS[2]) == 0.0
    assert dominated_share(a, [], DIRECTIONS[2]) == 0.0


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="maximize or minimize; got 'max'"):
        non_dominated([[1.0]], ["max"])


def test_four_objectives():
    values = np.random.default_rng(4).random((9, 4))
    directions = ("maximize", "minimize", "minimize", "maximize")
    reference = [0.0, 1.0, 1.0, 0.0]
    assert non_dominated(values, directions).tolist() == brute_front(values, directions)
    expected = brute_volume(values, directions, reference)
    assert hypervolume(values, directions, reference) == pytest.approx(expected, abs=1e-12)


def test_two_thousand_trials_take_moments():
    from time import process_time

    values = np.random.default_rng(0).random((2000, 3))
    start = process_time()  # whatever else the machine does
    hypervolume(values, DIRECTIONS[3], [0.0, 1.0, 1.0])
    assert process_time() - start < 5


def test_a_front_of_thousands_is_found_in_moments():
    from time import process_time

    share = np.linspace(0, 1, 2000)
    values = np.stack([share, share], axis=1)  # accuracy is bought with leaks: all are on the front
    start = process_time()
    assert non_dominated(values, DIRECTIONS[2]).all()
    assert dominated_share(values, values, DIRECTIONS[2]) == 0.0
    assert process_time() - start < 2
