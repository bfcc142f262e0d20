import pytest

from sweeper.cluster import allot
from sweeper.study import Resources
from trainables.errors import ConfigError


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "expected"),
    [
        ({}, 2, 0, (1, 0, 2)),
        ({}, 16, 0, (4, 0, 4)),
        ({}, 16, 1, (4, 0.25, 4)),
        ({}, 2, 1, (1, 0.5, 2)),
        ({}, 16, 2, (2, 0.25, 8)),
        ({"concurrent": 3}, 16, 1, (5, 0.33, 3)),
        ({"concurrent": 1}, 16, 2, (16, 1, 1)),
        ({"cpus_per_trial": 8}, 16, 0, (8, 0, 2)),
        ({"gpus_per_trial": 0.5}, 16, 1, (8, 0.5, 2)),
        ({"gpus_per_trial": 0}, 16, 1, (4, 0, 4)),
    ],
)
def test_what_a_trial_gets(resources, cpus, gpus, expected):
    found = allot(Resources(**resources), cpus, gpus)
    assert (found.cpus, found.gpus, found.concurrent) == expected
    assert found.concurrent * found.cpus <= cpus and found.concurrent * found.gpus <= gpus


def test_more_than_there_is_cannot_be_had():
    with pytest.raises(ConfigError, match="cpus_per_trial must be at most the 2 cores"):
        allot(Resources(cpus_per_trial=3), 2, 0)
    with pytest.raises(ConfigError, match="gpus_per_trial must be at most the 0 GPUs"):
        allot(Resources(gpus_per_trial=1), 2, 0)
