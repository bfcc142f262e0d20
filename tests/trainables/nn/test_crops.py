"""Random resized crops: distribution, geometry, and agreement with torchvision's transform."""

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from trainables.nn.crops import Crop, apply_crop, centre, draw_crops, resize


def drawn(count: int, size: int, scale, ratio, seed: int = 0, **options) -> list[Crop]:
    return draw_crops(count, size, scale, ratio, torch.Generator().manual_seed(seed), **options)


def test_windows_have_the_asked_share_and_shape():
    crops = drawn(500, 200, (0.5, 0.9), (0.8, 1.2))
    shares = [crop.height * crop.width / 200**2 for crop in crops]
    shapes = [crop.width / crop.height for crop in crops]
    assert min(shares) > 0.49 and max(shares) < 0.91
    assert min(shapes) > 0.79 and max(shapes) < 1.21
    for crop in crops:
        assert 0 <= crop.top <= 200 - crop.height and 0 <= crop.left <= 200 - crop.width
    # uniform shares up to those that do not fit (wide or tall ones of nearly the whole image)
    assert sum(shares) / 500 == pytest.approx(0.7, abs=0.02)
    assert sum(map(math.log, shapes)) / 500 == pytest.approx(math.log(0.8 * 1.2) / 2, abs=0.02)


def test_every_place_is_drawn():
    crops = drawn(300, 10, (0.64, 0.64), (1.0, 1.0))
    assert {(crop.height, crop.width) for crop in crops} == {(8, 8)}
    assert {(crop.top, crop.left) for crop in crops} == {(i, j) for i in range(3) for j in range(3)}


def test_squares_of_the_whole_image():
    assert set(drawn(5, 17, (1.0, 1.0), (1.0, 1.0))) == {Crop(0, 0, 17, 17)}


@pytest.mark.parametrize(
    ("ratio", "wanted"), [((4.0, 4.0), Crop(7, 0, 5, 20)), ((0.25, 0.25), Crop(0, 7, 20, 5))]
)
def test_windows_that_never_fit_become_the_largest_in_the_middle(ratio, wanted):
    assert set(drawn(3, 20, (1.0, 1.0), ratio)) == {wanted}


def test_a_seed_gives_its_crops_and_a_longer_list_begins_with_a_shorter():
    first, again, other = (drawn(6, 64, (0.5, 0.9), (0.8, 1.2), seed) for seed in (0, 0, 1))
    assert first == again and first != other
    assert drawn(3, 64, (0.5, 0.9), (0.8, 1.2)) == first[:3]


def test_half_are_mirrored_where_asked():
    crops = drawn(400, 64, (0.5, 0.9), (0.8, 1.2), flips=True)
    assert 150 < sum(crop.flip for crop in crops) < 250
    assert not any(crop.flip for crop in drawn(50, 64, (0.5, 0.9), (0.8, 1.2)))


@pytest.mark.parametrize("flip", [False, True])
def test_what_a_crop_shows_is_what_torchvision_shows(flip):
    images = torch.rand(2, 3, 20, 20)
    wanted = reference.resized_crop(images, 2, 5, 9, 12, [16, 16], antialias=True)
    wanted = reference.horizontal_flip(wanted) if flip else wanted
    torch.testing.assert_close(apply_crop(images, Crop(2, 5, 9, 12, flip), 16), wanted)


@pytest.mark.parametrize("size", [8, 13, 20, 30])
def test_resizing_is_torchvisions(size):
    images = torch.rand(2, 3, 20, 20)
    torch.testing.assert_close(resize(images, size), reference.resize(images, [size, size], antialias=True))


@pytest.mark.parametrize("size", [1, 7, 8, 20])
def test_the_middle_is_torchvisions(size):
    images = torch.rand(2, 3, 20, 20)
    assert torch.equal(centre(images, size), reference.center_crop(images, [size, size]))


def test_a_gradient_reaches_only_what_is_seen():
    images = torch.rand(1, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(apply_crop(images, Crop(2, 3, 4, 4), 4).sum(), images)
    assert (gradient != 0).nonzero().tolist() == [[0, 0, i, j] for i in range(2, 6) for j in range(3, 7)]
