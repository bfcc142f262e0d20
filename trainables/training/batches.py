"""Which training images meet in a batch, and how each is varied."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trainables.runtime.upload import upload
from trainables.training.variation import Variation, draw_cutout, draw_resize_jitter

Augmentation = Literal["none", "flip", "crop_flip", "flip_cutout", "resize_jitter_flip"]


def shuffled(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches (B,) that pass once over 0 .. count-1; a partial last batch is dropped.

    With fewer images than a batch holds, the one batch holds them all.
    """
    size = min(batch_size, count)
    order = torch.randperm(count, generator=generator)
    for first in range(0, count - size + 1, size):
        yield order[first : first + size]


def poisson(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches in which each of 0 .. count-1 is with probability batch_size / count, by itself.

    As many as `shuffled` yields. A batch may have any size, 0 too; `batch_size` is what to expect.
    """
    size = min(batch_size, count)
    for _ in range(count // size):
        yield (torch.rand(count, generator=generator) < size / count).nonzero().flatten()


def endless(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches (batch_size,) for ever: pass after pass over 0 .. count-1, each in a new order.

    A batch may hold the end of a pass and the beginning of the next.
    """
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch_size:
            waiting = torch.cat((waiting, torch.randperm(count, generator=generator)))
        yield waiting[:batch_size]
        waiting = waiting[batch_size:]


def share_of_pass(count: int, batch_size: int) -> float:
    """Return the share of `count` images that `shuffled` shows in a pass, in (0, 1]."""
    size = min(batch_size, count)
    return count // size * size / count


def by_identity(
    labels: Tensor, batch_size: int, images_per_identity: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Yield index batches of batch_size // images_per_identity groups, each so many images of one identity.

    As many batches as `shuffled` yields. Each identity's images are shuffled and cut into groups; the last
    group is filled up with images seen before, and so is the group of an identity with too few images. The
    groups of a batch are of different identities as far as groups last: those with most left go first, and
    one that has more groups left than there are batches comes several times in a batch, so that nearly every
    image is seen. (BiDO's training on CelebA: 16 identities x 4 images. Its sampler ends the pass instead
    when few identities have a group left, which on unbalanced data drops most images.)
    """
    own = [(labels == label).nonzero().flatten() for label in range(int(labels.max()) + 1)]
    own = [index for index in own if len(index)]
    groups = [_groups(index, images_per_identity, generator) for index in own]
    left = torch.tensor([len(group) for group in groups], dtype=torch.float64)
    places = min(max(1, batch_size // images_per_identity), int(left.sum()))
    turns = torch.arange(places, dtype=torch.float64)
    for batches in range(len(labels) // min(batch_size, len(labels)), 0, -1):
        if left.sum() < places:  # groups larger than a batch: another pass
            groups = [_groups(index, images_per_identity, generator) for index in own]
            left = torch.tensor([len(group) for group in groups], dtype=torch.float64)
        urgency = left[:, None] - batches * turns  # of an identity's first, second, ... group in this batch
        urgency[:, 0] += torch.rand(len(groups), generator=generator)
        urgency[turns >= left[:, None]] = -math.inf
        chosen = urgency.flatten().topk(places).indices // places
        left -= chosen.bincount(minlength=len(groups))
        yield torch.cat([groups[i].pop() for i in chosen.tolist()])


def _groups(own: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
    """Return the images `own` of one identity, shuffled, in groups of `size`; a filled up one comes first.

    Groups are taken from the end, so that those with images seen before come last.
    """
    if len(own) < size:
        own = own.repeat(-(-size // len(own)))[:size]
    own = own[torch.randperm(len(own), generator=generator)]
    full = len(own) // size * size
    groups = list(torch.split(own[:full], size))
    if full < len(own):
        groups.insert(0, torch.cat((own[full:], own[: size - len(own) + full])))
    return groups


@dataclass(frozen=True)
class BatchAugmentation:
    """Augmentation of each image of a batch.

    flips: bool (B,), mirrored or not.  shifts: int64 (B, 2), rows and columns in pixels.
    variation: what is done to the images beyond that, see `vary`; None for nothing.
    """

    flips: Tensor
    shifts: Tensor
    variation: Variation | None = None


def no_augmentation(count: int) -> BatchAugmentation:
    """Return views that show `count` images as they are."""
    return BatchAugmentation(torch.zeros(count, dtype=torch.bool), torch.zeros(count, 2, dtype=torch.int64))


def draw_augmentation(
    count: int, size: int, augmentation: Augmentation, generator: torch.Generator
) -> BatchAugmentation:
    """Draw views: mirrored with probability 1/2, shifted by up to size/8 pixels each way; on the CPU.

    Or mirrored, and varied as `draw_cutout` or `draw_resize_jitter` say.
    """
    if augmentation == "none":
        return no_augmentation(count)
    flips = torch.rand(count, generator=generator) < 0.5
    still = torch.zeros(count, 2, dtype=torch.int64)
    if augmentation == "flip":
        return BatchAugmentation(flips, still)
    if augmentation == "flip_cutout":
        return BatchAugmentation(flips, still, draw_cutout(count, size, generator))
    if augmentation == "resize_jitter_flip":
        return BatchAugmentation(flips, still, draw_resize_jitter(count, size, generator))
    return BatchAugmentation(
        flips, torch.randint(-(size // 8), size // 8 + 1, (count, 2), generator=generator)
    )


def take_batch(pixels: Tensor, index: Tensor, views: BatchAugmentation) -> Tensor:
    """Return the images `index` of pixels (N, 3, S, S), mirrored and shifted as `views` say, (B, 3, S, S).

    Where a shift leaves the image, the image is mirrored at its border.
    """
    where = pixels.device
    chosen = pixels[upload(index, where)]
    if not bool(views.shifts.any()):
        if not bool(views.flips.any()):
            return chosen
        return torch.where(upload(views.flips, where)[:, None, None, None], chosen.flip(3), chosen)
    size = pixels.shape[-1]
    place = torch.arange(size)
    rows = _inside(place + views.shifts[:, :1], size)
    columns = _inside(torch.where(views.flips[:, None], place.flip(0), place) + views.shifts[:, 1:], size)
    at = (rows[:, :, None] * size + columns[:, None, :]).flatten(1)
    flat = upload(at, where)[:, None].expand(-1, pixels.shape[1], -1)
    return chosen.flatten(2).gather(2, flat).reshape(chosen.shape)


def _inside(place: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - place.abs()).abs()
