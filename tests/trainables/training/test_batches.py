"""Which images meet in a batch, and how shifts and mirrors show them."""

import pytest
import torch
from torch.nn import functional

from trainables.training.batches import (
    BatchAugmentation,
    by_identity,
    draw_augmentation,
    endless,
    no_augmentation,
    shuffled,
    take_batch,
)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_shuffled_passes_once_and_drops_the_rest():
    batches = list(shuffled(23, 5, generator()))
    assert [len(batch) for batch in batches] == [5] * 4
    assert len(torch.cat(batches).unique()) == 20


def test_shuffled_keeps_few_images_together():
    (batch,) = shuffled(3, 64, generator())
    assert sorted(batch.tolist()) == [0, 1, 2]


def test_endless_passes_again_and_again():
    batches = endless(7, 3, generator())
    index = torch.cat([next(batches) for _ in range(14)])  # six passes
    passes = index.split(7)
    assert all(sorted(each.tolist()) == list(range(7)) for each in passes)
    assert any(not torch.equal(each, passes[0]) for each in passes[1:])


def test_endless_repeats_few_images_within_a_batch():
    batch = next(endless(2, 5, generator()))
    assert sorted(batch.tolist()[:4]) == [0, 0, 1, 1] and len(batch) == 5


def test_by_identity_fills_batches_with_distinct_identities():
    labels = torch.arange(10).repeat_interleave(12)[torch.randperm(120, generator=generator())]
    batches = list(by_identity(labels, 20, 4, generator()))
    for batch in batches:
        counts = labels[batch].bincount(minlength=10)
        assert sorted(counts.tolist()) == [0] * 5 + [4] * 5
    used = torch.cat(batches)
    assert len(used) == len(used.unique()) == 120


def test_by_identity_repeats_images_of_a_small_identity():
    labels = torch.tensor([0] * 8 + [1] * 3)
    (batch,) = by_identity(labels, 8, 4, generator())
    assert labels[batch].bincount().tolist() == [4, 4]
    assert batch[labels[batch] == 1].unique().numel() == 3


def test_by_identity_with_fewer_identities_than_a_batch_takes():
    labels = torch.arange(2).repeat_interleave(8)
    assert [len(batch) for batch in by_identity(labels, 64, 4, generator())] == [8, 8]


def test_by_identity_skips_labels_without_images():
    labels = torch.tensor([0, 0, 2, 2])
    (batch,) = by_identity(labels, 4, 2, generator())
    assert sorted(batch.tolist()) == [0, 1, 2, 3]


def test_same_generator_same_batches():
    labels = torch.arange(6).repeat_interleave(5)
    for make in (lambda g: shuffled(30, 7, g), lambda g: by_identity(labels, 8, 2, g)):
        first, second = (torch.cat(list(make(generator()))) for _ in range(2))
        assert torch.equal(first, second)


@pytest.mark.parametrize("augmentation", ["none", "flip", "crop_flip"])
def test_draws_stay_in_range(augmentation):
    views = draw_augmentation(1000, 32, augmentation, generator())
    share = views.flips.double().mean().item()
    assert share == 0 if augmentation == "none" else 0.4 < share < 0.6
    reach = views.shifts.abs().max().item()
    assert reach == (4 if augmentation == "crop_flip" else 0)


def test_unvaried_shows_the_images():
    pixels = torch.randint(0, 256, (6, 3, 8, 8), dtype=torch.uint8)
    index = torch.tensor([4, 0, 4])
    assert torch.equal(take_batch(pixels, index, no_augmentation(3)), pixels[index])


def test_shift_and_mirror_equal_padding_cropping_and_flipping():
    pixels = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    views = BatchAugmentation(torch.tensor([True, False, True]), torch.tensor([[2, -1], [0, 2], [-2, 1]]))
    index = torch.tensor([3, 1, 0])
    seen = take_batch(pixels, index, views)
    assert seen.dtype == torch.uint8
    for row, (source, flip, (down, right)) in enumerate(
        zip(index.tolist(), views.flips.tolist(), views.shifts.tolist(), strict=True)
    ):
        padded = functional.pad(pixels[source : source + 1].float(), (2, 2, 2, 2), mode="reflect")[0]
        crop = padded[:, 2 + down : 18 + down, 2 + right : 18 + right]
        assert torch.equal(seen[row].float(), crop.flip(-1) if flip else crop)
