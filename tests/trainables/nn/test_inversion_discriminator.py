"""The minibatch layer against the released code; shapes, and realism within groups."""

from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.nn.inversion_discriminator import InversionDiscriminator, MinibatchLayer

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(("rows", "named"), [(5, "out"), (2, "out_first2"), (1, "out_first1")])
def test_minibatch_layer_follows_the_released_code(rows, named):
    with np.load(GOLDEN / "02a_kedmi_minibatch_layer_a.npz") as arrays:
        g = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    layer = MinibatchLayer(*g["M"].shape)
    layer.load_state_dict({"weight": g["M"]})
    x = g["x"][:rows].requires_grad_(True)
    out = layer(x)
    torch.testing.assert_close(out, g[named], atol=1e-6, rtol=1e-5)
    if rows == 5:
        found = torch.autograd.grad((out * g["cotangent"]).sum(), (x, layer.weight))
        torch.testing.assert_close(found[0], g["grad_x"], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(found[1], g["grad_M"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_shapes(image_size):
    discriminator = InversionDiscriminator(2, image_size, 5)
    images = torch.rand(4, 3, image_size, image_size)
    features = discriminator.features(images)
    assert features.shape == (4, 16 * 2 * image_size // 16)
    assert discriminator.logits(features).shape == (4, 5)
    assert discriminator(images).shape == (4,)


def near_discriminator() -> InversionDiscriminator:
    """One whose images lie near enough to each other for the minibatch layer to matter."""
    torch.manual_seed(0)
    discriminator = InversionDiscriminator(2, 32, 5)
    with torch.no_grad():
        discriminator.minibatch.weight *= 0.01
    return discriminator


def test_realism_is_that_of_a_group():
    discriminator, images = near_discriminator(), torch.rand(7, 3, 32, 32)
    apart = torch.cat([discriminator(part) for part in images.split(3)])
    torch.testing.assert_close(discriminator(images, 3), apart)
    alone = torch.cat([discriminator(images[i : i + 1]) for i in range(7)])
    torch.testing.assert_close(discriminator(images, 1), alone)
    assert not torch.allclose(discriminator(images), apart, atol=1e-4)
    assert not torch.allclose(apart, alone, atol=1e-4)
    swapped = discriminator(images[[3, 4, 5, 0, 1, 2, 6]], 3)
    torch.testing.assert_close(swapped, apart[[3, 4, 5, 0, 1, 2, 6]])
