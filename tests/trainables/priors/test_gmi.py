"""GMI's WGAN-GP against the released training loop, published sizes and a hand-computed penalty."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.priors.gmi import GMIPrior, adversarial_steps, critic_loss
from trainables.runtime.run import Run

GOLDEN = Path(__file__).parents[2] / "golden" / "01b_gmi_gan_a.npz"


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


def size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_follows_the_released_training_loop():
    with np.load(GOLDEN) as arrays:
        g = {name: torch.as_tensor(arrays[name]) for name in arrays.files}
    generator = nn.Sequential(affine(g["init_G_A"], g["init_G_a"]), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
    score = affine(g["init_D_d"].unsqueeze(1), g["init_D_d0"].unsqueeze(0))
    critic = nn.Sequential(
        nn.Flatten(), affine(g["init_D_W"], g["init_D_w"]), nn.Tanh(), score, nn.Flatten(0)
    )
    draws, alphas = iter(g["z_draws"]), iter(g["alpha"])
    losses = list(
        adversarial_steps(
            generator,
            critic,
            iter(g["x"]),
            lambda count: next(draws),
            lambda count: next(alphas),
            learning_rate=float(g["lr"]),
            critic_steps=int(g["n_critic"]),
        )
    )
    assert next(draws, None) is None and next(alphas, None) is None
    critic_losses = torch.stack([loss for loss, _ in losses]).double()
    generator_losses = torch.stack([loss for _, loss in losses if loss is not None]).double()
    torch.testing.assert_close(critic_losses, g["loss_D"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(generator_losses, g["loss_G"], atol=1e-4, rtol=1e-4)
    final = {
        "G_A": generator[0].weight.T,
        "G_a": generator[0].bias,
        "D_W": critic[1].weight.T,
        "D_w": critic[1].bias,
        "D_d": critic[3].weight[0],
        "D_d0": critic[3].bias[0],
    }
    for name, value in final.items():
        torch.testing.assert_close(value, g[f"final_{name}"], atol=1e-4, rtol=1e-4, msg=name)


def test_published_sizes():
    networks = GMIPrior().build(64)
    assert size(networks.generator) == 5_142_083
    assert size(networks.discriminator) == 4_316_545


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_shapes_and_range(image_size):
    prior = GMIPrior(width=2, latent_size=7)
    networks = prior.build(image_size)
    images = networks.generator(torch.randn(3, 7))
    assert images.shape == (3, 3, image_size, image_size)
    assert images.min() >= 0 and images.max() <= 1
    assert networks.discriminator(images).shape == (3,)
    assert networks.latent_size == 7


def test_penalty_of_a_critic_with_a_known_slope():
    """D = 3 x1 + 4 x2 has slope 5 everywhere, so the penalty is (5 - 1)^2 = 16, times 10."""

    class Plane(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * x[:, 0, 0, 0] + 4 * x[:, 1, 0, 0]

    real, fake = torch.rand(2, 5, 3, 4, 4).unbind(0)
    loss = critic_loss(Plane(), real, fake, torch.rand(5, 1, 1, 1))
    gap = Plane()(fake).mean() - Plane()(real).mean()
    torch.testing.assert_close(loss, gap + 160)


def test_a_generator_step_comes_after_every_nth_critic_step():
    prior = GMIPrior(width=2, latent_size=4)
    networks = prior.build(32)
    batches = iter(torch.rand(7, 4, 3, 32, 32))
    steps = adversarial_steps(
        networks.generator,
        networks.discriminator,
        batches,
        lambda count: torch.randn(count, 4),
        lambda count: torch.rand(count, 1, 1, 1),
        learning_rate=1e-4,
        critic_steps=3,
    )
    assert [generator_loss is not None for _, generator_loss in steps] == [False, False, True] * 2 + [False]


def faces(count: int = 12) -> Images:
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    return Images(
        pixels=pixels,
        labels=torch.zeros(count, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(count))),
    )


def test_more_images_in_a_batch_than_there_are():
    reports = []
    prior = GMIPrior(width=2, epochs=3, batch_size=64, critic_steps=2)
    prior.train(faces(5), run=Run(seed=0, report=lambda *a, **m: reports.append((*a, m))))
    assert reports[-1][:3] == ("prior", 3, 3)
    assert set(reports[-1][3]) == {"critic_loss"}


@pytest.mark.parametrize("image_size", [16, 48, 100])
def test_sizes_that_do_not_fit(image_size):
    with pytest.raises(ConfigError, match=f"power of two from 32; got {image_size}"):
        GMIPrior().build(image_size)


def test_progress_ends_at_its_total():
    reports = []
    prior = GMIPrior(width=2, epochs=2, batch_size=5, critic_steps=3)
    networks = prior.train(faces(), run=Run(seed=0, report=lambda *a, **_: reports.append(a)))
    assert reports[-1] == ("prior", 4, 4)
    assert not networks.generator.training
    again = prior.train(faces(), run=Run(seed=0))
    other = prior.train(faces(), run=Run(seed=1))
    z = torch.randn(2, 100)
    assert torch.equal(networks.generator(z), again.generator(z))
    assert not torch.equal(networks.generator(z), other.generator(z))


def test_averaging_is_off_by_default_and_changes_the_generator_alone():
    knobs = {"width": 2, "latent_size": 5, "epochs": 3, "batch_size": 4, "critic_steps": 1}
    plain, averaged = (
        GMIPrior(averaging=decay, **knobs).train(faces(), run=Run(seed=0)) for decay in (0.0, 0.5)
    )
    z = torch.randn(2, 5)
    assert not torch.equal(plain.generator(z), averaged.generator(z))
    for ours, theirs in zip(
        plain.discriminator.parameters(), averaged.discriminator.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)  # the training itself does not see the average
    with pytest.raises(ValueError, match="averaging"):
        GMIPrior(averaging=1.0)
