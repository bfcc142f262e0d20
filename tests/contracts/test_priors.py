"""What every prior must keep, whatever it is. A new one needs an entry in `SMALL`."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.priors import PRIORS
from trainables.priors.base import Prior, restore, state
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.run import Run

TINY = {"width": 2, "latent_size": 6, "batch_size": 4, "critic_steps": 2}
SMALL: dict[str, Prior] = {
    "gmi": GMIPrior(epochs=2, **TINY),
    "kedmi": KEDMIPrior(epochs=2, **TINY),
    "stylegan2": StyleGAN2Prior(width=2, widest=4, latent_size=6, epochs=2, batch_size=4),
    "plg": PLGPrior(iterations=2, top=3, **TINY),
    "lokt": LOKTPrior(
        iterations=2,
        warmup=1,
        surrogates=("small_cnn",),
        images_per_class=2,
        surrogate_epochs=1,
        epoch_images=4,
        surrogate_batch=4,
        **TINY,
    ),
}
SIZE, CLASSES = 32, 3

pytestmark = pytest.mark.parametrize("name", PRIORS)


def public() -> Images:
    pixels = torch.randint(0, 256, (9, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.manual_seed(0))
    files = tuple(f"{number}.png" for number in range(9))
    return Images(pixels=pixels, labels=torch.zeros(9, dtype=torch.int64), names=("all",), files=files)


def victim() -> Classifier:
    """A target for the priors that are made for one."""
    torch.manual_seed(0)
    target = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, CLASSES))
    return target.eval()


def train(name: str, seed: int = 0):
    target = victim() if SMALL[name].needs_target else None
    return SMALL[name].train(public(), run=Run(seed=seed), target=target)


def weights(networks):
    return [value for part in state(networks).values() for value in part.values()]


def test_says_what_it_is(name):
    assert PRIORS[name].kind == name and PRIORS[name].summary and PRIORS[name].source
    assert isinstance(SMALL[name], PRIORS[name])


def test_shapes_and_range(name):
    networks = train(name)
    images = networks.generator(torch.randn(3, networks.latent_size))
    assert images.shape == (3, 3, SIZE, SIZE) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1
    scores = networks.discriminator(images)
    assert scores.shape == (3,) and torch.isfinite(scores).all()


def test_is_ready_for_an_attack(name):
    networks = train(name)
    for network in (networks.generator, networks.discriminator):
        assert not network.training
        assert not any(weight.requires_grad for weight in network.parameters())
    latents = torch.randn(3, networks.latent_size, requires_grad=True)
    (gradient,) = torch.autograd.grad(networks.discriminator(networks.generator(latents)).sum(), latents)
    assert torch.isfinite(gradient).all() and (gradient.abs().sum(1) > 0).all()


def test_an_image_does_not_depend_on_its_batch(name):
    networks = train(name)
    latents = torch.randn(4, networks.latent_size)
    together, alone = networks.generator(latents), networks.generator(latents[2:3])
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=1e-5)


def test_same_seed_same_weights(name):
    torch.manual_seed(5)
    first = weights(train(name))
    torch.manual_seed(6)  # what others drew before does not matter
    assert all(torch.equal(a, b) for a, b in zip(first, weights(train(name)), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, weights(train(name, seed=1)), strict=True))


def test_saved_weights_restore(name, tmp_path):
    networks = train(name)
    torch.save(state(networks), tmp_path / "prior.pt")
    saved = torch.load(tmp_path / "prior.pt", weights_only=True)
    restored = restore(SMALL[name].build(SIZE, CLASSES), saved)
    assert all(torch.equal(a, b) for a, b in zip(weights(networks), weights(restored), strict=True))
    assert not restored.generator.training
