"""What every prior must keep, whatever it is. A new one needs an entry in `SMALL`."""

import pytest
import torch
from small_priors import CLASSES, READ, SIZE, SMALL, public, victim

from trainables.priors import PRIORS
from trainables.priors.base import restore, state
from trainables.runtime.run import Run

pytestmark = pytest.mark.parametrize("name", PRIORS)


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
    same = all(torch.equal(a, b) for a, b in zip(first, weights(train(name, seed=1)), strict=True))
    assert same == (name in READ)


def test_saved_weights_restore(name, tmp_path):
    networks = train(name)
    torch.save(state(networks), tmp_path / "prior.pt")
    saved = torch.load(tmp_path / "prior.pt", weights_only=True)
    restored = restore(SMALL[name].build(SIZE, CLASSES), saved)
    assert all(torch.equal(a, b) for a, b in zip(weights(networks), weights(restored), strict=True))
    assert not restored.generator.training
