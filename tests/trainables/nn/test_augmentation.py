"""Random views: each change alone, against plain pixels."""

import math

import pytest
import torch

from trainables.nn.augmentation import (
    AUGMENTATION_DRAWS,
    MOVE_DRAWS,
    random_augmentation,
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
