from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError

from sweeper.engine.machines.cluster import Node, _check_workers, allot, cluster, start_here
from sweeper.engine.machines.resources import ProcessResources, fitting
from sweeper.study.study import Resources
from trainables.errors import ConfigError, TrialError


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
    found = allot(Resources(**resources), [Node(cpus, gpus)])
    assert (found.cpus, found.gpus, found.concurrent) == expected
    assert found.concurrent * found.cpus <= cpus and found.concurrent * found.gpus <= gpus


@pytest.mark.parametrize(
    ("resources", "nodes", "expected"),
    [
        ({}, [(4, 0), (4, 0)], (1, 0, 8)),
        ({"concurrent": 1}, [(4, 0), (8, 0)], (8, 0, 1)),
        ({"concurrent": 2}, [(4, 0), (8, 0)], (4, 0, 2)),
        ({"concurrent": 3}, [(6, 0), (4, 0)], (3, 0, 3)),
        ({"cpus_per_trial": 3}, [(4, 0), (4, 0)], (3, 0, 2)),
        ({}, [(8, 1), (8, 1)], (2, 0.25, 8)),
        ({"concurrent": 3}, [(8, 1), (8, 1)], (4, 0.5, 3)),
        ({"concurrent": 2}, [(16, 0), (4, 2)], (2, 1, 2)),
        ({"gpus_per_trial": 0.6}, [(8, 1), (8, 1)], (8, 0.6, 2)),
        ({"gpus_per_trial": 0.1}, [(16, 1), (16, 0)], (1, 0.1, 10)),
        ({}, [(16, 0), (4, 2)], (1, 0.5, 4)),
        ({"gpus_per_trial": 0}, [(2, 0), (4, 1)], (1, 0, 6)),
    ],
)
def test_a_trial_fits_on_one_machine_of_several(resources, nodes, expected):
    nodes = [Node(*node) for node in nodes]
    found = allot(Resources(**resources), nodes)
    assert (found.cpus, found.gpus, found.concurrent) == expected
    assert found.fits(nodes) and Node(found.node_cpus, found.node_gpus) in nodes
    each = (min(n.cpus / found.cpus, n.gpus / found.gpus if found.gpus else 99) for n in nodes)
    assert sum(int(round(slots, 9)) for slots in each) >= found.concurrent


@pytest.mark.parametrize(
    ("share", "nodes", "expected"),
    [
        (0.6, [(16, 4)], (4, 4)),  # one on each GPU, though the sum of the shares would hold six
        (0.4, [(16, 2)], (4, 4)),
        (0.3, [(64, 8)], (2, 24)),
        (0.75, [(32, 4), (8, 2)], (4, 6)),
        (0.33333, [(6, 2)], (1, 6)),
        (2, [(16, 5)], (8, 2)),
    ],
)
def test_a_share_of_a_gpu_lies_on_one_gpu(share, nodes, expected):
    nodes = [Node(*node) for node in nodes]
    found = allot(Resources(gpus_per_trial=share), nodes)
    assert (found.cpus, found.concurrent) == expected
    assert fitting(found.processes, nodes, 99) == found.concurrent


@pytest.mark.parametrize(
    ("resources", "nodes", "expected"),
    [
        ({"concurrent": 8}, [(2, 0)], (1, 0, 2)),
        ({"concurrent": 8}, [(2, 1)], (1, 0.5, 2)),
        ({"concurrent": 8, "gpus_per_trial": 0.25}, [(16, 1)], (4, 0.25, 4)),
        ({"concurrent": 8, "cpus_per_trial": 3}, [(8, 0), (4, 0)], (3, 0, 3)),
        ({"concurrent": 150}, [(200, 1)], (2, 0.01, 100)),  # the least share there is, and not none
        ({"concurrent": 2}, [(0.5, 0)], (1, 0, 1)),
        ({"concurrent": 8, "attack_shards": 2}, [(5, 0)], (1, 0, 2)),
        ({"concurrent": 8, "attack_shards": 2, "gpus_per_trial": 2}, [(16, 4)], (4, 1, 2)),
        ({"concurrent": 8, "attack_shards": "auto"}, [(2, 4)], (1, 1, 2)),  # of as many processes as it said
        ({"concurrent": 8, "attack_shards": 2, "cpus_per_shard": 4}, [(16, 0)], (1, 0, 3)),
    ],
)
def test_no_more_at_once_than_fit_whatever_a_study_for_a_bigger_machine_says(resources, nodes, expected):
    nodes = [Node(*node) for node in nodes]
    found = allot(Resources(**resources), nodes)
    assert (found.cpus, found.gpus, found.concurrent) == expected
    assert found.concurrent == max(1, fitting(found.processes, nodes, 999))


def test_more_than_there_is_cannot_be_had():
    with pytest.raises(ConfigError, match="cpus_per_trial must be at most the 2 cores"):
        allot(Resources(cpus_per_trial=3), [Node(2, 0)])
    with pytest.raises(ConfigError, match="cpus_per_trial must be at most the 4 cores of the largest"):
        allot(Resources(cpus_per_trial=5), [Node(4, 0), Node(2, 0)])
    with pytest.raises(ConfigError, match="gpus_per_trial must be at most the 0 GPUs"):
        allot(Resources(gpus_per_trial=1), [Node(2, 0)])
    with pytest.raises(ConfigError, match="at most the 4 cores of the largest machine that has the GPUs"):
        allot(Resources(cpus_per_trial=5, gpus_per_trial=1), [Node(8, 0), Node(4, 1)])


def test_whether_a_machine_is_left_that_could_run_a_trial():
    found = allot(Resources(cpus_per_trial=3), [Node(4, 0), Node(2, 0)])
    assert found.fits([Node(3, 0)])
    assert not found.fits([Node(2, 0), Node(2, 0)]) and not found.fits([])
    spread = allot(Resources(attack_shards=3, cpus_per_trial=1), [Node(2, 0), Node(1, 0)])
    assert spread.fits([Node(1, 0)] * 3) and not spread.fits([Node(2, 0)])


@pytest.mark.parametrize(
    ("resources", "nodes", "processes", "concurrent"),
    [
        ({"attack_shards": 2}, [(2, 0)], [(1, 0)] * 2, 1),
        ({"attack_shards": 2}, [(16, 0)], [(4, 0)] * 2, 2),
        ({"attack_shards": 3}, [(2, 0), (2, 0)], [(1, 0)] * 3, 1),
        ({"attack_shards": 2, "concurrent": 3}, [(12, 0)], [(2, 0)] * 2, 3),
        ({"attack_shards": "auto"}, [(16, 0)], [(4, 0)], 4),
        ({"attack_shards": "auto"}, [(16, 4)], [(1, 0.25)], 16),  # trials share GPUs: none has one whole
        ({"attack_shards": "auto", "concurrent": 1}, [(16, 4)], [(4, 1)] * 4, 1),
        ({"attack_shards": "auto", "concurrent": 2}, [(16, 4)], [(4, 1)] * 2, 2),
        ({"attack_shards": "auto", "concurrent": 1}, [(4, 2), (4, 2)], [(2, 1)] * 4, 1),
        ({"attack_shards": "auto", "concurrent": 3}, [(16, 4)], [(5, 1)], 3),
        ({"attack_shards": "auto", "gpus_per_trial": 2}, [(16, 4)], [(4, 1)] * 2, 2),
        ({"attack_shards": "auto", "gpus_per_trial": 0}, [(16, 4)], [(4, 0)], 4),
        ({"attack_shards": 4, "gpus_per_trial": 2, "concurrent": 1}, [(16, 4)], [(4, 0.5)] * 4, 1),
        (
            {"attack_shards": 3, "gpus_per_trial": 0.5, "gpus_per_shard": 1, "cpus_per_shard": 0.5},
            [(4, 4)],
            [(1, 0.5), (0.5, 1), (0.5, 1)],
            1,
        ),
        (
            {"attack_shards": 3, "cpus_per_shard": 0.5, "concurrent": 1},
            [(2, 0)],
            [(1, 0), (0.5, 0), (0.5, 0)],
            1,
        ),
    ],
)
def test_what_the_processes_of_a_sharded_attack_get(resources, nodes, processes, concurrent):
    found = allot(Resources(**resources), [Node(*node) for node in nodes])
    assert found.processes == [ProcessResources(*one) for one in processes]
    assert found.concurrent == concurrent


def test_shards_that_do_not_fit_are_named_before_any_work():
    with pytest.raises(ConfigError, match="attack_shards 3 makes a trial need 3 cores and 0 GPUs"):
        allot(Resources(attack_shards=3), [Node(2, 0)])
    with pytest.raises(ConfigError, match="smaller cpus_per_shard or gpus_per_shard"):
        allot(Resources(attack_shards=2, gpus_per_shard=1), [Node(8, 0)])


def test_ray_that_does_not_start_is_tried_again_and_then_one_error(monkeypatch):
    request = []

    def init(**options):
        request.append(options["address"])
        if len(request) != 2:
            raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 3.0}}])
    with cluster(None) as nodes:
        assert nodes == [Node(3, 0)]
    assert request == ["local"] * 2
    with (
        pytest.raises(TrialError, match="did not start on this machine, 3 times: The current node timed out"),
        cluster(None),
    ):
        pass
    assert len(request) == 5


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_cluster_whose_workers_die_as_they_start_is_one_error(monkeypatch, mode):
    killed = []
    actor = SimpleNamespace(answer=SimpleNamespace(remote=lambda: None))

    def get(*_, **__):
        raise RayActorError()

    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setattr("ray.remote", lambda **_: lambda cls: SimpleNamespace(remote=lambda: actor))
    monkeypatch.setattr("ray.get", get)
    monkeypatch.setattr("ray.kill", killed.append)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    with pytest.raises(ConfigError, match=r"workers on the Ray cluster at .* they die") as told:
        _check_workers("10.0.0.1:6379")
    assert ("RAY_AUTH_MODE=disabled" in str(told.value)) == (mode == "token")
    assert killed == [actor]


@pytest.mark.parametrize(
    ("error", "expected", "tries", "message"),
    [
        (
            ValueError("validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /x"),
            ConfigError,
            1,
            r"short temporary folder.*107 bytes.*RAY_TMPDIR",
        ),
        (
            PermissionError(13, "Permission denied", "/nowhere/ray"),
            TrialError,
            1,
            "Permission denied.*RAY_TMPDIR",
        ),
        (RuntimeError("The raylet died"), TrialError, 3, r"3 times: The raylet died; see its logs"),
        (TimeoutError("timed out after 30 seconds"), TrialError, 3, "when the machine is less busy"),
    ],
)
def test_ray_that_does_not_start_says_why_and_what_helps(error, expected, tries, message, monkeypatch):
    import ray

    calls = []

    def init(**options):
        calls.append(options)
        raise error

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(expected, match=message) as caught:
        start_here()
    assert len(calls) == tries
    assert ("less busy" in str(caught.value)) == isinstance(error, TimeoutError)
