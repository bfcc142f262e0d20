"""The generator that GANs share, and the average of its weights."""

import pytest
import torch

from trainables.errors import ConfigError
from trainables.nn.dcgan import check_size, generator, update_ema


def test_published_size():
    assert sum(weight.numel() for weight in generator(100, 64, 64).parameters()) == 5_142_083


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_shapes_and_range(image_size):
    images = generator(7, 2, image_size)(torch.randn(3, 7))
    assert images.shape == (3, 3, image_size, image_size)
    assert images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize("image_size", [0, 1, 16, 31, 48, 100])
def test_sizes_that_do_not_fit(image_size):
    with pytest.raises(ConfigError, match=f"prior 'x' expects .* power of two from 32; got {image_size}"):
        check_size("x", image_size)


def test_the_average_follows_weights_and_statistics():
    average, moving = generator(3, 2, 32), generator(3, 2, 32)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    moving(torch.randn(4, 3))  # moves the batch norms' statistics
    update_ema(average, moving, 0.9)
    for name, value in average.state_dict().items():
        theirs = moving.state_dict()[name]
        wanted = 0.9 * before[name] + 0.1 * theirs if value.is_floating_point() else theirs
        torch.testing.assert_close(value, wanted, msg=name)
