"""KEDMI's GAN against the released code's losses and training loop, and its published sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images, as_float
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.nn.inversion_discriminator import MinibatchLayer
from trainables.priors.kedmi import (
    KEDMIPrior,
    generator_loss,
    inversion_steps,
    label_loss,
    realism_loss,
    soft_labels,
)
from trainables.runtime.progress import silent

GOLDEN = Path(__file__).parents[2] / "golden"


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as arrays:
        return {key: torch.as_tensor(arrays[key]) for key in arrays.files}


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_losses_on_known_numbers():
    logits = torch.tensor([[1, 2, 3], [-4, -1, 0], [0.5, 0.5, 0.5]]).double()
    fake = torch.tensor([[-2, 0, 1]]).double()
    asked = torch.tensor([[2, 0, -2], [0, 1, 0], [3, 3, 0]]).double()
    labelling = label_loss(logits, asked.softmax(1))
    telling = realism_loss(logits.logsumexp(1), fake.logsumexp(1))
    features = torch.tensor([[1, 2], [3, 0]]).double(), torch.tensor([[0, 0], [1, 5]]).double()
    made = generator_loss(*features, logits)
    for found, expected in ((labelling, 1.70253370), (telling, 0.91650464), (made, 1.50025758)):
        assert found.item() == pytest.approx(expected, abs=1e-6)


class Recorded(nn.Module):
    """The trace's discriminator: a tanh layer, the minibatch layer, a linear layer."""

    def __init__(self, g: dict[str, Tensor]) -> None:
        super().__init__()
        self.hidden, self.head = affine(g["D_U"], g["D_u"]), affine(g["D_V"], g["D_v"])
        self.minibatch = MinibatchLayer(*g["D_M"].shape)
        self.minibatch.load_state_dict({"weight": g["D_M"]})

    def features(self, images: Tensor) -> Tensor:
        return self.hidden(images.flatten(1)).tanh()

    def logits(self, features: Tensor) -> Tensor:
        return self.head(self.minibatch(features))

    def named(self) -> dict[str, Tensor]:
        return {
            "D_U": self.hidden.weight.T,
            "D_u": self.hidden.bias,
            "D_V": self.head.weight.T,
            "D_v": self.head.bias,
            "D_M": self.minibatch.weight,
        }


def test_follows_the_released_training_loop():
    g = golden("02b_kedmi_gan_losses_a.npz")
    hidden = nn.Sequential(nn.Flatten(), affine(g["T_W1"], g["T_b1"]), nn.Tanh())
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"]))
    generator = nn.Sequential(affine(g["G_A"], g["G_a"]), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
    discriminator = Recorded(g)
    draws = iter(g["z_draws"])
    batches = (
        (labelled, target(labelled).softmax(1).detach(), unlabelled, matched)
        for labelled, unlabelled, matched in zip(g["x_label"], g["x_unlabel"], g["x_unlabel2"], strict=True)
    )
    steps = inversion_steps(
        generator,
        discriminator,
        batches,
        lambda count: next(draws),
        learning_rate=float(g["lr"]),
        critic_steps=int(g["n_critic"]),
    )
    losses = []
    for step in steps:
        losses.append(step)
        if len(losses) == 1:
            for name, value in discriminator.named().items():
                torch.testing.assert_close(value, g[f"afterstep1_{name}"], atol=1e-5, rtol=1e-4, msg=name)
    assert next(draws, None) is None
    labelling, telling = (torch.stack([step[i] for step in losses]).double() for i in (0, 1))
    torch.testing.assert_close(labelling, g["loss_label"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(telling, g["loss_unlabel"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(labelling + telling, g["loss_D"], atol=1e-4, rtol=1e-4)
    made = torch.stack([step[2] for step in losses if step[2] is not None]).double()
    torch.testing.assert_close(made, g["loss_G"], atol=1e-4, rtol=1e-4)
    final = discriminator.named() | {"G_A": generator[0].weight.T, "G_a": generator[0].bias}
    for name, value in final.items():
        torch.testing.assert_close(value, g[f"final_{name}"], atol=1e-4, rtol=1e-3, msg=name)


def test_published_sizes():
    networks = KEDMIPrior().build(64, classes=1000)
    assert size(networks.generator) == 5_142_083
    convolutions = (3 * 64 + 64 * 128 + 128 * 256) * 25 + 256 * 256 * 9 + 3 * (64 + 128 + 256 + 256)
    minibatch, head = 4096 * 64 * 50, (4096 + 64 + 1) * 1000
    assert size(networks.discriminator) == convolutions + minibatch + head == 18_888_936


def faces(count: int = 12) -> Images:
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    return Images(
        pixels=pixels,
        labels=torch.zeros(count, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(count))),
    )


def victim(classes: int = 5) -> Classifier:
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout())
    return Classifier({"conv": stage}, nn.Flatten(), nn.Linear(64, classes))


def train(target: Classifier, images: Images | None = None, **options):
    knobs = {"width": 2, "latent_size": 6, "epochs": 2, "batch_size": 5, "critic_steps": 2}
    how = {"seed": 0, "device": "cpu", "report": silent, "target": target} | {
        key: options.pop(key) for key in ("seed", "report") if key in options
    }
    return KEDMIPrior(**(knobs | options)).train(faces() if images is None else images, **with_run(how))


def test_labels_are_those_of_the_target_in_eval_mode():
    target = victim().train()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    networks = train(target)
    assert target.training and all(torch.equal(before[k], v) for k, v in target.state_dict().items())
    assert networks.discriminator.head.out_features == 5
    pixels = faces(300).pixels
    with torch.no_grad():
        torch.testing.assert_close(soft_labels(target.eval(), pixels), target(as_float(pixels)).softmax(1))


def test_the_target_teaches_the_discriminator():
    """After many steps the discriminator gives images the labels that the target gives them."""
    target = victim(3)
    with torch.no_grad():
        target.head.weight *= 10
    networks = train(target, faces(8), width=8, epochs=60, batch_size=8, learning_rate=2e-3)
    images = as_float(faces(8).pixels)
    logits = networks.discriminator.logits(networks.discriminator.features(images))
    wanted = target.eval()(images).softmax(1)
    assert label_loss(logits, wanted) < label_loss(wanted.mean(0).log().expand_as(wanted), wanted)


def test_progress_and_seeds():
    reports = []
    first = train(victim(), report=lambda *a, **m: reports.append((*a, set(m))))
    assert reports[-1] == ("prior", 4, 4, {"critic_loss"})
    noisy = MID(bottleneck=6).prepare(victim())
    pairs = [(first, train(victim())), (train(noisy), train(noisy))]
    z = torch.randn(2, 6)
    for one, again in pairs:
        assert torch.equal(one.generator(z), again.generator(z))
    assert not torch.equal(first.generator(z), train(victim(), seed=1).generator(z))
    assert not torch.equal(first.generator(z), pairs[1][0].generator(z))  # another target, another prior


def test_averaging_changes_the_generator_alone():
    plain, averaged = (train(victim(), averaging=decay, critic_steps=1, epochs=4) for decay in (0.0, 0.5))
    z = torch.randn(2, 6)
    assert not torch.equal(plain.generator(z), averaged.generator(z))
    for ours, theirs in zip(
        plain.discriminator.parameters(), averaged.discriminator.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_target_is_needed():
    with pytest.raises(ConfigError, match="expects a Classifier as its target; got NoneType"):
        train(None)


@pytest.mark.parametrize("image_size", [16, 48, 100])
def test_sizes_that_do_not_fit(image_size):
    with pytest.raises(ConfigError, match=f"prior 'kedmi' expects .* from 32; got {image_size}"):
        KEDMIPrior().build(image_size)


@pytest.mark.parametrize("knob", ["latent_size", "width", "epochs", "critic_steps", "learning_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        KEDMIPrior(**{knob: 0})
