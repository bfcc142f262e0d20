import colorsys

import pytest
import torch
from torchvision.transforms.v2 import functional

from trainables.training.batches import draw_augmentation
from trainables.training.variation import (
    BRIGHTNESS,
    CONTRAST,
    HUE,
    SATURATION,
    Variation,
    draw_cutout,
    draw_resize_jitter,
    enlarge,
    recolour,
    turn_hue,
    vary,
)


def pictures(count=3, size=20):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_window_is_cut_out_and_enlarged_as_torchvision_does():
    images = pictures()
    windows = torch.tensor([[0.0, 0.0, 20.0], [2.0, 5.0, 14.0], [3.0, 0.0, 17.0]])
    for image, seen, (top, left, side) in zip(
        images, enlarge(images, windows), windows.int().tolist(), strict=True
    ):
        expected = functional.resized_crop(image, top, left, side, side, [20, 20], antialias=True)
        torch.testing.assert_close(seen, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "amount", "reference"),
    [
        (BRIGHTNESS, 1.2, functional.adjust_brightness),
        (BRIGHTNESS, 0.8, functional.adjust_brightness),
        (CONTRAST, 1.2, functional.adjust_contrast),
        (CONTRAST, 0.8, functional.adjust_contrast),
        (SATURATION, 1.1, functional.adjust_saturation),
        (HUE, 0.1, functional.adjust_hue),
        (HUE, -0.07, functional.adjust_hue),
    ],
)
def test_colours_change_as_torchvision_does(change, amount, reference):
    images = pictures()
    changed = recolour(images, change, torch.full((3, 1, 1, 1), amount, dtype=torch.float64))
    torch.testing.assert_close(changed, reference(images, amount), rtol=0, atol=1e-3)  # its grey has 3 digits
    assert not torch.allclose(changed, images, atol=1e-2)


def test_hue_turns_round_the_circle():
    colours = pictures(1, 4)
    colours[0, :, 0, 0] = 0.5  # grey has none
    turned = turn_hue(colours, torch.tensor(0.3, dtype=torch.float64).view(1, 1, 1, 1))
    for row in range(4):
        for column in range(4):
            hue, saturation, value = colorsys.rgb_to_hsv(*colours[0, :, row, column].tolist())
            expected = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
            assert turned[0, :, row, column].tolist() == pytest.approx(expected, abs=1e-12)
    torch.testing.assert_close(turned[0, :, 0, 0], colours[0, :, 0, 0])


def test_each_image_has_its_own_amount_in_the_order_drawn():
    images = pictures(2)
    colours = torch.tensor([[1.2, 0.8, 1.1, 0.1], [0.8, 1.2, 0.9, -0.1]])
    seen = vary(images, Variation(colours=colours, order=(HUE, CONTRAST, SATURATION, BRIGHTNESS)))
    for row in (0, 1):
        alone = images[row : row + 1]
        for change in (HUE, CONTRAST, SATURATION, BRIGHTNESS):
            alone = recolour(alone, change, colours[row, change].double().view(1, 1, 1, 1))
        torch.testing.assert_close(seen[row], alone[0])


def test_drawn_windows_and_colours_are_those_of_the_published_training():
    variation = draw_resize_jitter(5000, 64, torch.Generator().manual_seed(0))
    top, left, side = variation.windows.unbind(1)
    share = (side / 64) ** 2
    assert share.min() >= 0.84 and share.max() <= 1 and share.mean() == pytest.approx(0.925, abs=0.01)
    for first in (top, left):
        assert first.min() == 0 and bool((first + side <= 64).all()) and bool((first == first.round()).all())
    assert (top + side == 64).any()
    for column, (low, high) in enumerate([(0.8, 1.2), (0.8, 1.2), (0.9, 1.1), (-0.1, 0.1)]):
        drawn = variation.colours[:, column]
        assert low <= drawn.min() < low + 0.01 and high - 0.01 < drawn.max() <= high
    assert sorted(variation.order) == [0, 1, 2, 3]


def test_cutout_leaves_out_a_square_anywhere():
    images = torch.ones(400, 3, 16, 16)
    seen = vary(images, draw_cutout(400, 16, torch.Generator().manual_seed(0)))
    grey = (seen == 0.5).all(1)
    assert bool(((seen == 0.5) | (seen == 1)).all())
    assert grey.sum((1, 2)).max() == 16 and grey.sum((1, 2)).min() <= 8  # cut at an edge
    assert bool(grey.any(0).all())
    first = grey[int(grey.sum((1, 2)).argmax())]
    assert first.any(0).sum() == 4 == first.any(1).sum()


@pytest.mark.parametrize("augmentation", ["flip_cutout", "resize_jitter_flip"])
def test_half_of_the_varied_images_are_mirrored(augmentation):
    views = draw_augmentation(2000, 32, augmentation, torch.Generator().manual_seed(0))
    assert 0.45 < views.flips.float().mean() < 0.55 and not views.shifts.any()
    assert views.variation is not None


def test_no_variation_returns_the_images_themselves():
    images = pictures()
    assert vary(images, None) is images
