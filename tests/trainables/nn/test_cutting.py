"""Networks cut by the order in which they run, whatever the order in which their layers were registered."""

import threading
import time

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainables.nn.cutting import CuttingError, cut


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.second(functional.relu(self.first(x)))


class Shuffled(nn.Module):
    """Registered backwards, with a skip over two of its own layers and a functional pool."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.token = nn.Parameter(torch.randn(1, 6, 1, 1))
        self.blocks = nn.Sequential(Residual(6), Residual(6))
        self.right = nn.Conv2d(6, 6, 1)
        self.left = nn.Conv2d(6, 6, 1)
        self.norm = nn.BatchNorm2d(6)
        self.stem = nn.Conv2d(3, 6, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x, mask=None):
        x = functional.relu(self.norm(self.stem(x)), inplace=True)
        x = x + self.right(self.left(x))
        x = self.blocks(x + self.token)
        return self.fc(x.mean((2, 3)))


def run(chain, network, images):
    x = images
    for stage in chain.stages.values():
        x = stage(x)
    return network.get_submodule(chain.head)(chain.neck(x))


def test_stages_follow_execution_and_no_skip_is_halved():
    network = Shuffled()
    chain = cut(network)
    assert list(chain.stages) == ["stem", "left", "blocks_0", "blocks_1"]
    weights = {name: sorted(key for key, _ in part.named_parameters()) for name, part in chain.stages.items()}
    assert weights["stem"] == ["norm.bias", "norm.weight", "stem.bias", "stem.weight"]
    assert weights["left"] == ["left.bias", "left.weight", "right.bias", "right.weight", "token"]
    assert chain.head == "fc" and not list(chain.neck.parameters())
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(run(chain, network, images), network(images), atol=1e-6)


def test_training_still_moves_batch_statistics_and_no_stage_changes_its_input():
    network = Shuffled()
    chain = cut(network)
    network.train()
    for part in chain.stages.values():
        part.train()
    x = torch.rand(4, 3, 8, 8)
    for part in chain.stages.values():
        before = x.clone()
        y = part(x)
        assert torch.equal(x, before)
        x = y
    assert network.norm.num_batches_tracked == 1


def test_the_weights_are_those_of_the_network_under_their_own_names():
    network = Shuffled()
    state = nn.ModuleDict(cut(network).stages).state_dict()
    names = [key.split(".", 1)[1] for key in state]
    assert sorted(names) == sorted(k for k in network.state_dict() if not k.startswith(("fc", "unused")))


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.fc = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(self.first(x)) if x.sum() > 0 else self.fc(x)


class NoLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.second(self.first(x)).mean((2, 3))


class OneBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.fc = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x + self.second(self.first(x)))


class BareNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.fc = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)

    def forward(self, x):
        x = self.first(x)
        norm = self.norm
        x = functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, self.training
        )
        return self.fc(x)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Deciding(), "cannot be traced"),
        (NoLinear(), "last layer is not a linear one"),
        (OneBlock(), "nowhere does a single tensor pass"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), "no layer before its last has weights"),
        (BareNorm(), "a batch norm that is no layer of its own"),
    ],
)
def test_what_cannot_be_cut_says_why(network, reason):
    with pytest.raises(CuttingError, match=reason):
        cut(network)


def test_another_thread_runs_its_own_network_meanwhile():
    other, images, results, done = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.rand(2, 3), [], False

    def work():
        while not done:
            try:
                results.append(other(images))
            except Exception as error:
                results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            cut(Shuffled())
    finally:
        done = True
        thread.join()
    assert len(results) > 1
    assert [result for result in results if not isinstance(result, torch.Tensor)] == []
