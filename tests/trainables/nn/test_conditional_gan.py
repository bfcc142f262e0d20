"""The conditional GAN: labels in latents, class norms, the projection, sizes."""

import pytest
import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.nn.conditional_gan import (
    ClassBatchNorm,
    ConditionalGenerator,
    ProjectionDiscriminator,
    Trunk,
    check_size,
    gan_steps,
    random_latents,
    with_labels,
)


def small(classes: int = 3) -> ConditionalGenerator:
    torch.manual_seed(0)
    generator = ConditionalGenerator(5, 2, 32, classes).eval()
    with torch.no_grad():
        for norm in generator.modules():
            if isinstance(norm, ClassBatchNorm):
                norm.shift.weight.normal_()
    return generator


def test_a_class_norm_is_a_batch_norm_per_class():
    norm, x, labels = ClassBatchNorm(2, 3), torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 0, 1])
    plain = nn.BatchNorm2d(3, affine=False)
    torch.testing.assert_close(norm(x, labels), plain(x))  # starts without scale and shift
    with torch.no_grad():
        norm.scale.weight[1], norm.shift.weight[1] = 2.0, 3.0
    changed = norm(x, labels)
    expected = nn.BatchNorm2d(3, affine=False)(x)
    torch.testing.assert_close(changed[labels == 0], expected[labels == 0])
    torch.testing.assert_close(changed[labels == 1], 2 * expected[labels == 1] + 3)


def test_the_last_number_of_a_latent_is_its_label():
    generator, z = small(), torch.randn(1, 5)
    images = [generator(with_labels(z, torch.tensor([label]))) for label in range(3)]
    assert not torch.allclose(images[0], images[1]) and not torch.allclose(images[1], images[2])
    for number, label in ((0.4, 0), (0.6, 1), (-7.0, 0), (99.0, 2)):
        latent = torch.cat((z, torch.tensor([[number]])), 1)
        assert torch.equal(generator(latent), images[label])


def test_random_latents_carry_their_labels():
    latents, labels = random_latents(200, 5, 3, torch.Generator().manual_seed(0), "cpu")
    assert latents.shape == (200, 6) and torch.equal(latents[:, 5], labels.float())
    assert set(labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("size", [32, 64])
def test_sizes(size):
    images = ConditionalGenerator(5, 2, size, 3)(torch.randn(2, 6))
    assert images.shape == (2, 3, size, size) and images.min() >= 0 and images.max() <= 1
    trunk = Trunk(2, size)
    assert trunk(images).shape == (2, trunk.size) and trunk.size == 2 * size // 4


def test_the_score_is_a_projection():
    critic = ProjectionDiscriminator(2, 32, 4).eval()
    x, labels = torch.rand(3, 3, 32, 32), torch.tensor([0, 3, 1])
    feature = critic.trunk(x)
    plain = feature @ critic.score.weight[0] + critic.score.bias
    torch.testing.assert_close(critic(x), plain)
    expected = plain + (feature * critic.embedding.weight[labels]).sum(1)
    torch.testing.assert_close(critic(x, labels), expected)


def test_the_discriminators_layers_have_spectral_norm_one():
    critic = ProjectionDiscriminator(2, 32, 4).train()
    for _ in range(100):
        critic(torch.rand(2, 3, 32, 32), torch.tensor([0, 1]))  # every forward refines the estimate
    critic.eval()
    for layer in (critic.score, critic.embedding, *critic.trunk.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item()
            assert norm == pytest.approx(1, abs=0.05)


def test_the_published_order_of_steps():
    done = []
    steps = gan_steps(
        2,
        3,
        lambda n: done.append(f"g{n}") or torch.zeros(()),
        lambda n: done.append(f"c{n}") or torch.ones(()),
    )
    for number, losses in enumerate(steps, start=1):
        done.append(f"r{number}")
        assert losses == (0, 1)
    assert done == ["g1", "c1", "c1", "c1", "r1", "g2", "c2", "c2", "c2", "r2"]


@pytest.mark.parametrize("size", [16, 48, 0])
def test_impossible_sizes(size):
    with pytest.raises(ConfigError, match=f"prior 'plg' expects an image_size .* got {size}"):
        check_size("plg", size)
