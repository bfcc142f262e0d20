import pytest

from sweeper.engine.machines.resources import Node, ProcessResources, fitting


@pytest.mark.parametrize(
    ("trial", "nodes", "expected"),
    [
        ([(1, 0)], [(2, 0)], 2),
        ([(1, 0), (1, 0)], [(2, 0)], 1),
        ([(1, 0), (1, 0)], [(1, 0), (1, 0)], 1),  # a trial may lie on two machines
        ([(2, 0), (1, 0)], [(2, 0), (2, 0)], 1),
        ([(1, 0), (2, 0)], [(2, 0)], 0),
        ([(1, 1), (1, 1)], [(8, 4)], 2),
        ([(1, 0.6), (1, 0.6)], [(8, 2)], 1),  # 1.2 of two GPUs
        ([(1, 0.6), (1, 0.6), (1, 0.6)], [(8, 2)], 0),  # 1.8 of two, but no GPU has 0.6 left
        ([(1, 0.6), (1, 0.4)], [(8, 2)], 2),
        ([(1, 0.33), (1, 0.33), (1, 0.33)], [(8, 1)], 1),
        ([(1, 0.25), (1, 1)], [(8, 2)], 1),
        ([(1, 2)], [(8, 3)], 1),
        ([(1, 2), (1, 0.5)], [(8, 3)], 1),
        ([(1, 1)], [(8, 0)], 0),
    ],
)
def test_how_many_trials_fit(trial, nodes, expected):
    assert fitting([ProcessResources(*one) for one in trial], [Node(*one) for one in nodes], 9) == expected


def test_never_more_than_wanted():
    assert fitting([ProcessResources(1, 0)], [Node(100, 0)], 3) == 3
