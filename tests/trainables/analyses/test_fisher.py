"""Squared gradients of single samples, beside one backward pass for each."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainables.analyses import fisher
from trainables.analyses.fisher import gradients_by_vmap, squared_gradient_norms
from trainables.training.classifier import build_classifier


def cross_entropy(logits, labels):
    return functional.cross_entropy(logits, labels, reduction="none")


def one_by_one(network, loss, inputs, goals):
    """Return the truth: a backward pass for every sample."""
    parameters = dict(network.named_parameters())
    rows = {name: [] for name in parameters}
    for number in range(len(goals)):
        given = network(*(each[number : number + 1] for each in inputs))
        value = loss(given, goals[number : number + 1]).sum()
        gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        for name, gradient in zip(rows, gradients, strict=True):
            rows[name].append(0.0 if gradient is None else gradient.double().square().sum().item())
    return {name: torch.tensor(row, dtype=torch.float64) for name, row in rows.items()}


class Scaled(nn.Module):
    """Parameters that no rule knows: a scale of its own, a layer that runs twice, a weight used by two."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5, 1.5, -1.0]))
        self.twice = nn.Conv2d(3, 3, 3, padding=1)
        self.grouped = nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3)
        self.bare = nn.Conv2d(6, 4, 1, stride=2)
        self.norm = nn.GroupNorm(2, 4)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.unused = nn.Linear(2, 2)

    def forward(self, images):
        x = self.twice(self.twice(images * self.scale.view(1, 3, 1, 1)).relu())
        x = self.norm(self.bare(self.grouped(x).relu_())).mean((2, 3))
        return self.second(self.first(x).tanh())


class Tokens(nn.Module):
    """A linear layer over places, and attention, whose projection runs without being called."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, images):
        x = self.norm(self.embed(images.flatten(2).transpose(1, 2)))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1))


@pytest.mark.parametrize("build", [Scaled, Tokens])
def test_every_kind_of_parameter_is_exact(build):
    torch.manual_seed(0)
    network = build().double().eval()
    images, labels = torch.rand(5, 3, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    truth = one_by_one(network, cross_entropy, [images], labels)
    for size in (2, 5):
        norms = squared_gradient_norms(network, {"ce": cross_entropy}, [images], labels, batch_size=size)
        assert list(norms["ce"]) == [name for name, _ in network.named_parameters()]
        for name, values in norms["ce"].items():
            assert values.tolist() == pytest.approx(truth[name].tolist(), rel=1e-9, abs=1e-20), name


@pytest.mark.parametrize("rule", [fisher._by_places, fisher._one_by_one, fisher._unfolded])
@pytest.mark.parametrize(
    "knobs",
    [
        {"kernel_size": 1},
        {"kernel_size": 1, "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2, "groups": 4, "bias": False},
    ],
)
def test_every_way_through_a_convolution_is_exact(rule, knobs, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(fisher, "_UNFOLDED", 500)  # some samples at a time
    layer = nn.Conv2d(4, 8, **knobs).double()
    x = torch.rand(5, 4, 6, 9, dtype=torch.float64, requires_grad=True)
    outputs = layer(x)
    goals = torch.rand_like(outputs)
    rows = {name: [] for name, _ in layer.named_parameters()}
    for sample in range(len(x)):
        loss = (layer(x[sample : sample + 1]) - goals[sample]).square().sum()
        gradients = torch.autograd.grad(loss, list(layer.parameters()))
        for name, gradient in zip(rows, gradients, strict=True):
            rows[name].append(gradient.square().sum().item())
    found = rule(layer, x.detach(), 2 * (outputs - goals).detach())
    found = found if isinstance(found, dict) else {"weight": found}
    for name, values in found.items():
        assert values.tolist() == pytest.approx(rows[name], rel=1e-10), name


def test_layers_of_few_places_go_by_places_and_others_do_not():
    few, many = torch.rand(2, 128, 8, 8), torch.rand(2, 3, 64, 64)
    wide, first = nn.Conv2d(128, 128, 3, padding=1), nn.Conv2d(3, 64, 7, stride=2, padding=3)
    assert fisher._is_small(wide, few, wide(few))
    assert not fisher._is_small(first, many, first(many))


@pytest.mark.parametrize("architecture", ["small_cnn", "resnet18", "vgg16_bn"])
def test_networks_of_the_registry_are_exact(architecture):
    """In double precision, so that a sample near a kink of a rectifier stays on its side."""
    network = build_classifier(architecture, 4, 32, "none", seed=0).double().eval()
    for number, module in enumerate(network.modules()):
        if isinstance(module, nn.BatchNorm2d):  # as after training
            noise = torch.Generator().manual_seed(number)
            module.running_mean.normal_(0, 0.1, generator=noise)
            module.running_var.uniform_(0.5, 2, generator=noise)
    network.requires_grad_(True)  # the bias too that stays 0
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1])
    truth = one_by_one(network, cross_entropy, [images], labels)
    network.stages.requires_grad_(False)  # frozen layers are measured like the others
    losses = {"ce": cross_entropy, "sum": lambda logits, labels: logits.square().sum(1)}
    norms = squared_gradient_norms(network, losses, [images], labels)
    network.requires_grad_(True)
    second = one_by_one(network, losses["sum"], [images], labels)
    for name in truth:
        assert norms["ce"][name].tolist() == pytest.approx(truth[name].tolist(), rel=1e-7), name
        assert norms["sum"][name].tolist() == pytest.approx(second[name].tolist(), rel=1e-7), name
    assert all(parameter.grad is None for parameter in network.parameters())


def test_vmap_alone_says_the_same():
    network = build_classifier("small_cnn", 4, 32, "none", seed=0).double().eval()
    images, labels = torch.rand(3, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 3, 1])
    names = [name for name, _ in network.named_parameters()]
    by_vmap = gradients_by_vmap(network, {"ce": cross_entropy}, [images], labels, names)["ce"]
    norms = squared_gradient_norms(network, {"ce": cross_entropy}, [images], labels)["ce"]
    for name in names:
        assert by_vmap[name].tolist() == pytest.approx(norms[name].tolist(), rel=1e-9)


def test_a_loss_that_does_not_reach_a_layer_has_none_of_it(monkeypatch):
    monkeypatch.setattr(fisher, "gradients_by_vmap", None)  # the slow way is not taken for zeros
    network = build_classifier("small_cnn", 4, 32, "none", seed=0).double().eval()
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    network.stages.requires_grad_(False)
    goals = torch.zeros(2, 128, dtype=torch.float64)
    losses = {"l1": lambda features, goals: (features - goals).abs().sum(1)}
    norms = squared_gradient_norms(
        network, losses, [images], goals, forward=lambda network: network.features
    )["l1"]
    assert norms["head.weight"].tolist() == [0, 0] and norms["head.bias"].tolist() == [0, 0]
    assert network.head.weight.requires_grad and not network.stages.conv1[0].weight.requires_grad
    assert (norms["stages.conv6.0.weight"] > 0).all()
