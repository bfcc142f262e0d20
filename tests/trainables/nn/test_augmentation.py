"""Random views: each change alone, against plain pixels."""

import math

import pytest
import torch

from trainables.nn.augmentation import (
    AUGMENTATION_DRAWS,
    CHANCE_DRAWS,
    MOVE_DRAWS,
    random_affine,
    random_augmentation,
    random_chances,
    random_move,
    uniform,
)

NAMES = ("area", "across", "down", "bright", "contrast", "flip", "angle", "turn", "jitter")
SURE = 20.0  # a standard normal number so large that it stands for 1


def draws(**chosen: float) -> torch.Tensor:
    """Draws of a view that changes nothing, but for `chosen`."""
    plain = {"area": SURE, "flip": SURE, "turn": SURE, "jitter": -SURE} | chosen
    return torch.tensor([[plain.get(name, 0.0) for name in NAMES]])


def picture() -> torch.Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def ramp(size: int = 40) -> torch.Tensor:
    """An image whose value is its place across: -1 .. 1 as 0 .. 1."""
    steps = (torch.arange(size) + 0.5) / size
    return steps.expand(1, 3, size, size).contiguous()


def test_there_is_a_name_for_every_draw():
    assert len(NAMES) == AUGMENTATION_DRAWS


def test_nothing_drawn_is_nothing_changed():
    torch.testing.assert_close(random_augmentation(picture(), draws()), picture(), atol=1e-5, rtol=0)


def test_flip():
    torch.testing.assert_close(
        random_augmentation(picture(), draws(flip=-SURE)), picture().flip(3), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("bright", "contrast"), [(SURE, 0.0), (-SURE, 0.0), (0.0, SURE), (SURE, -SURE)])
def test_colours(bright, contrast):
    added = {SURE: 0.2, -SURE: -0.2, 0.0: 0.0}[bright]
    times = {SURE: 1.2, -SURE: 0.8, 0.0: 1.0}[contrast]
    expected = ((picture() + added).clamp(0, 1) * times).clamp(0, 1)
    changed = random_augmentation(picture(), draws(bright=bright, contrast=contrast))
    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=0)
    kept = random_augmentation(
        picture(), draws(bright=bright, contrast=contrast, jitter=SURE), jitter_share=0.5
    )
    torch.testing.assert_close(kept, picture(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("across", "start"), [(-SURE, 0.0), (SURE, 1 - math.sqrt(0.8)), (0.0, None)])
def test_the_smallest_crop_has_four_fifths_of_the_area(across, start):
    side = math.sqrt(0.8)
    start = (1 - side) / 2 if start is None else start
    view = random_augmentation(ramp(), draws(area=-SURE, across=across))
    inner = slice(2, -2)  # beyond the outer pixels' centres an image has no slope
    torch.testing.assert_close(view[..., inner], start + side * ramp()[..., inner], atol=1e-4, rtol=0)
    assert random_augmentation(ramp().mT, draws(area=-SURE, down=across))[0, 0, 20, 0] == pytest.approx(
        start + side * ramp()[0, 0, 0, 20].item(), abs=1e-4
    )


def test_rotation_turns_by_five_degrees_and_leaves_black_corners():
    size = 40
    view = random_augmentation(ramp(size), draws(turn=-SURE, angle=SURE))[0, 0]
    x = y = (torch.arange(size) + 0.5) * 2 / size - 1
    angle = math.radians(5)
    inside = slice(6, -6)
    expected = (math.cos(angle) * x[None, :] - math.sin(angle) * y[:, None] + 1) / 2
    torch.testing.assert_close(view[inside, inside], expected[inside, inside], atol=1e-4, rtol=0)
    # the pixel's place in the crop lies outside of it at two opposite ends of each side
    gone = (math.cos(angle) * x[None, :] - math.sin(angle) * y[:, None]).abs() > 1
    assert gone.any() and (view[gone] == 0).all()


def test_uniform_numbers():
    drawn = uniform(torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    assert drawn.min() >= 0 and drawn.max() <= 1
    quantiles = drawn.quantile(torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(quantiles, torch.tensor([0.1, 0.5, 0.9]), atol=0.02, rtol=0)


def test_a_row_has_its_own_view_and_gradients_flow():
    images = picture().repeat(3, 1, 1, 1).requires_grad_(True)
    numbers = torch.randn(3, AUGMENTATION_DRAWS, generator=torch.Generator().manual_seed(1))
    together = random_augmentation(images, numbers)
    torch.testing.assert_close(
        together[1:2], random_augmentation(images[1:2], numbers[1:2]), atol=1e-6, rtol=0
    )
    (gradient,) = torch.autograd.grad(together[0].sum(), images)
    assert gradient[0].abs().sum() > 0 and gradient[1:].abs().sum() == 0


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize(
    ("flip", "across", "down"), [(False, -2, 1), (True, 2, 0), (True, -1, -2), (False, 0, 0)]
)
def test_a_move_mirrors_and_shifts_by_whole_pixels(size, flip, across, down):
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(size))

    def normal(step: int) -> float:
        """A number that lands in the middle of `step`'s fifth of [0, 1]."""
        return torch.special.ndtri(torch.tensor((step + 2.5) / 5)).item()

    numbers = torch.tensor([[-9.0 if flip else 9.0, normal(across), normal(down)]])
    view = random_move(image, numbers, 2)
    columns = (torch.arange(size) + across).clamp(0, size - 1)
    if flip:
        columns = (size - 1 - torch.arange(size) + across).clamp(0, size - 1)
    rows = (torch.arange(size) + down).clamp(0, size - 1)
    torch.testing.assert_close(view, image[:, :, rows][:, :, :, columns], atol=1e-4, rtol=0)


def test_moves_use_every_step_and_no_more():
    ramp_of_columns = torch.arange(9.0).expand(1, 1, 9, 9).repeat(4000, 3, 1, 1)
    numbers = torch.randn(4000, MOVE_DRAWS, generator=torch.Generator().manual_seed(0))
    centre = random_move(ramp_of_columns, numbers, 3)[:, 0, 4, 4].round()
    shares = torch.bincount(centre.long(), minlength=9) / 4000
    assert shares[0] == shares[8] == 0
    torch.testing.assert_close(shares[1:8], torch.full((7,), 1 / 7), atol=0.03, rtol=0)


def affine_draws(**chosen: float) -> torch.Tensor:
    """Draws of a picture as it is, but for `chosen`, at places in [0, 1]."""
    names = ("share", "aspect", "across", "down", "flip", "angle")
    plain = {"share": 1.0, "aspect": 0.5, "across": 0.5, "down": 0.5, "flip": 1.0, "angle": 0.5} | chosen
    places = torch.tensor([[plain[name] for name in names]], dtype=torch.float64)
    return torch.special.ndtri(places.clamp(1e-9, 1 - 1e-9)).float()


def test_an_affine_view_of_everything_is_the_picture():
    torch.testing.assert_close(
        random_affine(picture(), affine_draws(), 0.5, 10), picture(), atol=1e-4, rtol=0
    )
    mirrored = random_affine(picture(), affine_draws(flip=0.0), 0.5, 10)
    torch.testing.assert_close(mirrored, picture().flip(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("aspect", "ratio"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_an_affine_crop_has_its_area_and_aspect(aspect, ratio):
    """Of a ramp, values at both ends of the view tell how wide the crop is."""
    view = random_affine(ramp(), affine_draws(share=0.0, aspect=aspect), 0.36, 10)
    step = (view[0, 0, 20, 30] - view[0, 0, 20, 10]) / 20 * 40  # width of the view in the ramp
    assert step.item() == pytest.approx((0.36 * ratio) ** 0.5, rel=1e-3)
    upright = random_affine(ramp().transpose(2, 3), affine_draws(share=0.0, aspect=aspect), 0.36, 10)
    step = (upright[0, 0, 30, 20] - upright[0, 0, 10, 20]) / 20 * 40
    assert step.item() == pytest.approx((0.36 / ratio) ** 0.5, rel=1e-3)


def test_an_affine_crop_is_within_the_picture():
    for across in (0.0, 1.0):
        view = random_affine(ramp(), affine_draws(share=0.0, across=across), 0.25, 10)
        ends = view[0, 0, 20, [0, -1]]
        expected = torch.tensor([0.0, 0.5]) + across * 0.5
        torch.testing.assert_close(ends, expected, atol=0.02, rtol=0)


def test_an_affine_view_is_turned_by_its_angle():
    size = 40
    view = random_affine(ramp(size), affine_draws(angle=1.0), 0.5, 10)[0, 0]
    x = y = (torch.arange(size) + 0.5) * 2 / size - 1
    angle = math.radians(10)
    expected = (math.cos(angle) * x[None, :] - math.sin(angle) * y[:, None] + 1) / 2
    inside = slice(8, -8)
    torch.testing.assert_close(view[inside, inside], expected[inside, inside], atol=1e-3, rtol=0)


def chances(**chosen: float) -> torch.Tensor:
    """Return the draws of `random_chances` whose uniform numbers are `chosen`, and 1/2 or "no" elsewhere."""
    names = ("share", "aspect", "across", "down", "crop", "flip", "angle", "turn")
    usual = dict.fromkeys(names, 0.5) | {"crop": 0.9, "flip": 0.9, "turn": 0.9}
    values = torch.tensor([[(usual | chosen)[name] for name in names]], dtype=torch.float64)
    return math.sqrt(2) * torch.erfinv(2 * values - 1)


def test_chances_that_are_not_taken_change_nothing():
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    seen = random_chances(image, chances(share=0.01, angle=0.99), area=0.5, degrees=30)
    assert torch.allclose(seen, image, atol=1e-12)


def test_chances_mirror_turn_and_crop():
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    mirrored = random_chances(image, chances(flip=0.1), area=0.5, degrees=30)
    assert torch.allclose(mirrored, image.flip(3), atol=1e-12)
    turned = random_chances(image, chances(turn=0.1, angle=1 - 1e-12), area=0.5, degrees=90)
    both = [torch.rot90(image, times, (2, 3)) for times in (1, 3)]
    assert any(torch.allclose(turned, quarter, atol=1e-6) for quarter in both)
    slanted = random_chances(torch.ones_like(image), chances(turn=0.1, angle=1 - 1e-12), 0.5, 45)
    assert slanted[0, 0, 0, 0] == slanted[0, 0, -1, -1] == 0 and slanted[0, 0, 8, 8] == 1
    # a quarter of the area at the left end of the middle: 8 x 8 pixels, enlarged twice
    cropped = random_chances(image, chances(crop=0.1, share=1e-12, across=1e-12), area=0.25, degrees=0)
    window = image[..., 4:12, :8]
    truth = torch.nn.functional.interpolate(window, (16, 16), mode="bilinear", align_corners=False)
    assert torch.allclose(cropped[..., 1:-1, 1:-1], truth[..., 1:-1, 1:-1], atol=1e-5)


def test_each_chance_is_taken_half_of_the_time():
    image = torch.rand(1, 3, 8, 8).expand(2000, -1, -1, -1)
    draws = torch.randn(2000, CHANCE_DRAWS, generator=torch.Generator().manual_seed(0))
    unchanged = (random_chances(image, draws, 0.5, 30) - image).abs().flatten(1).amax(1) < 1e-4
    assert unchanged.double().mean().item() == pytest.approx(1 / 8, abs=0.03)
    images = torch.rand(50, 3, 8, 8, requires_grad=True)
    random_chances(images, draws[:50], 0.5, 30).sum().backward()
    assert images.grad.isfinite().all() and images.grad.any()
