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
    labels = torch.arange(2).repeat_interleave(64)
    batches = list(by_identity(labels, 64, 4, generator()))
    assert [labels[batch].bincount().tolist() for batch in batches] == [[32, 32], [32, 32]]


def plain_steps(count: int, batch_size: int) -> int:
    return len(list(shuffled(count, batch_size, generator())))


def people(sizes) -> torch.Tensor:
    """Return labels of people with so many images each, in random order."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return labels[torch.randperm(len(labels), generator=generator())]


TWELVE = [16, 21, 28, 37, 49, 65, 86, 113, 150, 198, 262, 655]
LFW = [530, 236, 121, 109, 77, 71, 60, 55, 53, 52, 49, 48, 44, 42, 42, 41, 41, 39, 37, 37, 36, 35, 34, 33]
UNBALANCED = {
    "twelve people": (TWELVE, 64, 4),
    "24 people of a news archive": (LFW, 64, 4),
    "one person has nine tenths": ([900, *[10] * 10], 64, 4),
    "two people": ([100, 20], 64, 4),
    "fewer images than a batch": ([5, 9, 4], 64, 4),
    "groups of two": ([3, 200, 50, 7, 11], 16, 2),
    "groups of one": ([3, 200, 50, 7, 11], 16, 1),
    "a rest in every group": ([27] * 40, 64, 4),
    "few people with many images": ([64] * 3, 64, 4),
}


@pytest.mark.parametrize(("sizes", "batch_size", "each"), UNBALANCED.values(), ids=UNBALANCED)
def test_by_identity_takes_as_many_steps_as_shuffling_and_sees_nearly_all(sizes, batch_size, each):
    labels = people(sizes)
    batches = list(by_identity(labels, batch_size, each, generator()))
    assert len(batches) == plain_steps(len(labels), batch_size)
    assert all(len(batch) <= batch_size for batch in batches)
    plain = len(torch.cat(list(shuffled(len(labels), batch_size, generator()))))
    assert len(torch.cat(batches).unique()) >= 0.95 * plain
    for batch in batches:
        assert all(count % each == 0 for count in labels[batch].bincount().tolist())


def test_by_identity_spreads_a_large_identity_over_the_pass():
    labels = people(TWELVE)
    counts = torch.stack(
        [labels[batch].bincount(minlength=12) for batch in by_identity(labels, 64, 4, generator())]
    )
    assert (counts > 0).sum(1).min() >= 6  # as many people as there are images for, in every batch
    halves = counts[:, -1].tensor_split(2)
    assert abs(halves[0].double().mean() - halves[1].double().mean()) < 4


def test_by_identity_shows_everybody_within_a_few_passes():
    """More people with few images than places: who is left out of a pass is drawn anew each time."""
    labels = people([*[200] * 4, *[1] * 300])
    draw = generator()
    passes = [torch.cat(list(by_identity(labels, 64, 4, draw))) for _ in range(60)]
    assert len(labels[torch.cat(passes)].unique()) == 304


def test_by_identity_draws_exhausted_people_again_where_groups_are_larger_than_batches():
    labels = people([8, 8])
    batches = list(by_identity(labels, 4, 8, generator()))
    assert [len(batch) for batch in batches] == [8] * plain_steps(16, 4)
    assert len(torch.cat(batches).unique()) == 16


def test_by_identity_repeats_no_image_within_a_group():
    labels = people([27] * 10)
    for batch in by_identity(labels, 40, 4, generator()):
        assert len(batch.unique()) == len(batch)


def published_pass(labels, batch_size, each, generator):
    """BiDO's sampler, most groups left first: it ends when too few people for a batch have a group left."""
    groups = []
    for label in labels.unique().tolist():
        own = (labels == label).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=generator)]
        groups.append(list(torch.split(own[: len(own) // each * each], each)))
    left = torch.tensor([len(group) for group in groups], dtype=torch.float64)
    while int((left > 0).sum()) >= batch_size // each:
        chosen = (left + torch.rand(len(groups), generator=generator)).topk(batch_size // each).indices
        left[chosen] -= 1
        yield torch.cat([groups[i].pop() for i in chosen.tolist()])


@pytest.mark.parametrize(
    ("number", "images", "batch_size", "each"), [(40, 24, 64, 4), (10, 12, 20, 4), (30, 7, 8, 1)]
)
def test_by_identity_is_the_published_sampler_where_that_drops_nothing(number, images, batch_size, each):
    labels = people([images] * number)
    ours = list(by_identity(labels, batch_size, each, generator()))
    published = list(published_pass(labels, batch_size, each, generator()))
    assert len(ours) == len(published)
    assert all(torch.equal(a, b) for a, b in zip(ours, published, strict=True))


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


def test_mirrored_images_are_flipped():
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    index, flips = torch.tensor([4, 0, 4, 2]), torch.tensor([True, False, False, True])
    seen = take_batch(pixels, index, BatchAugmentation(flips, torch.zeros(4, 2, dtype=torch.int64)))
    for row, (source, flip) in enumerate(zip(index.tolist(), flips.tolist(), strict=True)):
        assert torch.equal(seen[row], pixels[source].flip(-1) if flip else pixels[source])


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
