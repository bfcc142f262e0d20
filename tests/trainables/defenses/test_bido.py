"""BiDO's loss against the authors' double-precision run, against an anchor, and under freezing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.defenses.bido import BiDO
from trainables.errors import ConfigError

GOLDEN = Path(__file__).parents[2] / "golden" / "08b_bido_full_loss_a.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def network(golden: dict[str, np.ndarray]) -> tuple[Classifier, dict[str, nn.Parameter]]:
    """Return the recorded net (two convolutions, a hidden layer, a head) and its weights by recorded name."""
    k1, k2, w, v = (golden[name] for name in ("net_k1", "net_k2", "net_W", "net_V"))
    first = nn.Conv2d(k1.shape[1], k1.shape[0], 3, padding=1)
    second = nn.Conv2d(k2.shape[1], k2.shape[0], 3, stride=2, padding=1)
    hidden, head = nn.Linear(*w.shape), nn.Linear(*v.shape)
    stages = {
        "h1": nn.Sequential(first, nn.Tanh()),
        "h2": nn.Sequential(second, nn.Tanh()),
        "h3": nn.Sequential(nn.Flatten(), hidden, nn.Tanh()),
    }
    classifier = Classifier(stages, nn.Identity(), head, hooks=("h1", "h2", "h3")).double()
    weights = {
        "k1": first.weight,
        "c1": first.bias,
        "k2": second.weight,
        "c2": second.bias,
        "W": hidden.weight,
        "b": hidden.bias,
        "V": head.weight,
        "v": head.bias,
    }
    with torch.no_grad():
        for name, weight in weights.items():
            value = torch.from_numpy(golden[f"net_{name}"])
            weight.copy_(value.T if name in ("W", "V") else value)
    return classifier, weights


@pytest.mark.parametrize("measure", ["HSIC", "COCO"])
@pytest.mark.parametrize("kind", ["linear", "gaussian"])
def test_authors_loss_and_gradients(golden, measure, kind):
    case = f"{measure}_{kind}"
    defense = BiDO(
        measure=measure.lower(),
        lambda_x=float(golden[f"{case}_lambda_x"]),
        lambda_y=float(golden[f"{case}_lambda_y"]),
        label_kernel=kind,
    )
    classifier, weights = network(golden)
    images, labels = torch.from_numpy(golden["x"]).double(), torch.from_numpy(golden["y"])
    trace = {}
    logits = classifier(images, 0, trace)
    loss = defense.loss(logits, labels, images, trace)
    loss.backward()
    assert loss.item() == pytest.approx(golden[f"{case}_total64"].item(), abs=1e-6)
    for name, weight in weights.items():
        expected = golden[f"{case}_grad64_{name}"]
        ours = (weight.grad.T if name in ("W", "V") else weight.grad).numpy()
        assert np.allclose(ours, expected, rtol=0, atol=1e-6 * max(1, np.abs(expected).max())), name


@pytest.mark.parametrize(
    ("defense", "expected"),
    [
        (BiDO(lambda_x=0.05, lambda_y=0.5), -0.351390313127),
        (BiDO(measure="coco", lambda_x=5, lambda_y=50), -4.52580424107),
    ],
)
def test_anchor_of_one_hook(defense, expected):
    x = torch.tensor([[0.0, 1, 2], [1, 0, 1], [2, 2, 0], [3, 1, 1]])
    z = torch.tensor([[1.0, 0], [0, 1], [2, 1], [1, 3]])
    labels = torch.tensor([0, 0, 1, 1])
    logits = torch.zeros(4, 2)
    term = defense.loss(logits, labels, x, {"z": z}) - defense.loss(logits, labels, x, {})
    assert term.item() == pytest.approx(expected, rel=1e-6)


def test_spectral_norm_changes_coco_only():
    x, z = torch.rand(8, 12), torch.rand(8, 5)
    labels, logits = torch.arange(8) // 2, torch.zeros(8, 4)
    losses = {
        (measure, norm): BiDO(measure=measure, coco_norm=norm).loss(logits, labels, x, {"z": z}).item()
        for measure in ("hsic", "coco")
        for norm in ("frobenius", "spectral")
    }
    assert losses["hsic", "frobenius"] == losses["hsic", "spectral"]
    assert losses["coco", "frobenius"] != losses["coco", "spectral"]


def by_definition(knobs, images, hidden, labels):
    """Return the dependence terms of one hook, with numpy: Gretton et al., 2005, Fukumizu et al., 2007."""
    rows, sigma = len(labels), knobs["sigma"]
    one_hot = np.eye(4)[labels]

    def gram(given):
        squared = ((given.reshape(rows, -1)[:, None] - given.reshape(rows, -1)[None]) ** 2).mean(2)
        return np.exp(-squared / (2 * sigma**2))

    def dependence(a, b):
        centring = np.eye(rows) - 1 / rows
        a, b = centring @ a @ centring, centring @ b @ centring
        if knobs["measure"] == "coco":
            norm = 2 if knobs["coco_norm"] == "spectral" else "fro"
            return np.sqrt(np.linalg.norm(a @ b, norm)) / rows
        a, b = (kernel @ np.linalg.inv(kernel + 1e-5 * rows * np.eye(rows)) for kernel in (a, b))
        return np.trace(a @ b)

    of_labels = {
        "linear": one_hot @ one_hot.T,
        "gaussian": gram(one_hot),
        "imq": 1 / np.sqrt(1 + ((one_hot[:, None] - one_hot[None]) ** 2).sum(2)),
    }[knobs["label_kernel"]]
    own = gram(hidden)
    term = knobs["lambda_x"] * dependence(own, gram(images))
    return term - knobs["lambda_y"] * dependence(own, of_labels)


@pytest.mark.parametrize("weights", [(5.0, 50.0), (5.0, 0.0), (0.0, 50.0)])
@pytest.mark.parametrize("sigma", [5.0, 0.8])
@pytest.mark.parametrize("kernel", ["linear", "gaussian", "imq"])
@pytest.mark.parametrize("dependence", [("hsic", "frobenius"), ("coco", "frobenius"), ("coco", "spectral")])
def test_every_knob_is_where_the_definition_has_it(dependence, kernel, sigma, weights):
    rng = np.random.default_rng(0)
    images, hidden = rng.random((8, 3, 2, 2)), rng.normal(size=(8, 5))
    labels = np.repeat(np.arange(4), 2)
    knobs = {"measure": dependence[0], "coco_norm": dependence[1], "label_kernel": kernel, "sigma": sigma}
    knobs |= {"lambda_x": weights[0], "lambda_y": weights[1]}
    trace = {"z": torch.from_numpy(hidden)}
    zeros, indices, pixels = torch.zeros(8, 4), torch.from_numpy(labels), torch.from_numpy(images)
    defense = BiDO(**knobs)
    ours = defense.loss(zeros, indices, pixels, trace) - defense.loss(zeros, indices, pixels, {})
    assert ours.item() == pytest.approx(by_definition(knobs, images, hidden, labels), rel=1e-7)


def test_needs_hooks():
    bare = Classifier({"a": nn.Flatten()}, nn.Identity(), nn.Linear(12, 2))
    with pytest.raises(ConfigError, match="hooks"):
        BiDO().prepare(bare)


@pytest.mark.parametrize(
    "knobs", [{"lambda_x": -1}, {"lambda_y": -0.1}, {"sigma": 0}, {"images_per_identity": 0}]
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        BiDO(**knobs)
