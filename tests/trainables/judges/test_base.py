"""What judges share: a function worked through in parts, and the share of images it names rightly."""

import pytest
import torch

from trainables.datasets.base import Images
from trainables.judges.base import outputs, top1


def red(images: torch.Tensor) -> torch.Tensor:
    """Return the mean red of images in [0, 1], (N, 1)."""
    return images[:, 0].mean((1, 2)).unsqueeze(1)


@pytest.mark.parametrize("size", [1, 4, 10, 256])
def test_parts_give_what_the_whole_gives(size):
    pixels = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).repeat(1, 3, 2, 2)
    seen = []

    def function(images):
        seen.append(len(images))
        return red(images)

    found = outputs(function, pixels, "cpu", size=size)
    torch.testing.assert_close(found, torch.arange(10).view(10, 1) / 255)
    assert sum(seen) == 10 and max(seen) == min(size, 10)


def test_outputs_keep_no_gradients():
    weight = torch.ones(1, requires_grad=True)
    pixels = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    assert not outputs(lambda images: red(images) * weight, pixels, "cpu").requires_grad


def test_top1_is_the_share_of_highest_logits_that_are_the_label():
    pixels = torch.zeros(5, 3, 2, 2, dtype=torch.uint8)
    pixels[torch.arange(5), torch.tensor([0, 1, 2, 0, 1])] = 255  # the brightest channel is the guess
    images = Images(
        pixels=pixels,
        labels=torch.tensor([0, 1, 2, 1, 2]),  # three of five are as guessed
        names=("red", "green", "blue"),
        files=tuple("abcde"),
    )
    assert top1(lambda batch: batch.mean((2, 3)), images, "cpu") == pytest.approx(0.6)
