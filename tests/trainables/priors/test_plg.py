"""PLG-MI's GAN: its pseudo-labels and losses against plain computations, and that the target guides it."""

import pytest
import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle
from trainables.priors.plg import PLGPrior, hinge, pseudo_labels
from trainables.runtime.run import Run


class Means(nn.Module):
    """Images (n, 3, S, S) -> the means of their colours (n, 3)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def colours() -> Classifier:
    """A target whose class is the strongest colour."""
    target = Classifier({"mean": Means()}, nn.Identity(), nn.Linear(3, 3))
    with torch.no_grad():
        target.head.weight.copy_(20 * torch.eye(3))
        target.head.bias.zero_()
    return target.eval()


def public(count: int = 40) -> Images:
    drawn = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 32, 32)
    pixels = (drawn * 255).to(torch.uint8).contiguous()
    files = tuple(str(number) for number in range(count))
    return Images(pixels=pixels, labels=torch.zeros(count, dtype=torch.int64), names=("all",), files=files)


def test_a_class_gets_the_images_that_are_most_like_it():
    images, target = public(), colours()
    index, labels = pseudo_labels(target, images, 4, torch.Generator(), "cpu")
    assert labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    p = target(images.pixels.float() / 255).softmax(1)
    for label in range(3):
        best = p[:, label].sort(descending=True).indices[:4]
        assert set(index[labels == label].tolist()) == set(best.tolist())


def test_with_few_images_all_stand_for_every_class():
    index, labels = pseudo_labels(colours(), public(3), 30, torch.Generator(), "cpu")
    assert (
        sorted(index.tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        and labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    )


def test_hinge_on_a_hand_computed_case():
    assert hinge(torch.tensor([0.3]), torch.tensor([-0.2])).item() == pytest.approx(1.5)
    assert hinge(torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])).item() == pytest.approx(0.5 + 1.0)


def test_the_generator_learns_what_the_target_calls_a_class():
    knobs = {"latent_size": 4, "width": 2, "top": 10, "critic_steps": 1, "batch_size": 8, "guidance": 5.0}
    prior = PLGPrior(iterations=50, learning_rate=5e-3, **knobs)
    target = Classifier({"mean": Means()}, nn.Identity(), nn.Linear(3, 2)).eval()
    with torch.no_grad():  # more red than blue, or the other way round
        target.head.weight.copy_(torch.tensor([[20.0, 0, 0], [0, 0, 20.0]]))
        target.head.bias.zero_()
    networks = prior.train(public(), run=Run(seed=0), target=target)
    labels = torch.arange(2).repeat(30)
    latents = torch.cat((torch.randn(60, 4), labels[:, None].float()), 1)
    with torch.no_grad():
        hits = (target(networks.generator(latents)).argmax(1) == labels).float().mean()
    assert networks.latent_size == 5 and networks.generator.classes == 2
    assert hits > 0.9  # a half by chance


def test_gradients_of_the_target_are_needed():
    for target in (None, LabelOracle(colours(), "cpu")):
        with pytest.raises(ConfigError, match="expects a Classifier as its target"):
            PLGPrior().train(public(), run=Run(seed=0), target=target)


@pytest.mark.parametrize("knob", ["latent_size", "width", "top", "iterations", "batch_size", "learning_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        PLGPrior(**{knob: 0})
