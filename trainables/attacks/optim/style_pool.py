"""Pools of styles, their scores and bounds, and resumable work in chunks, for attacks in style space."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import all_chunks, in_chunks
from trainables.attacks.optim.styles import StyleGenerator
from trainables.nn.crops import Crop, apply_crop
from trainables.runtime.run import Run
from trainables.storage.resume import Resume

DECAYS = (0.1, 0.1)  # of Adam's moments in PPA and its kin: hardly any memory


def sample_styles(generator: StyleGenerator, latent_size: int, count: int, *, kind: str, run: Run) -> Tensor:
    """Return the styles of a pool of random latents, float32 (count, W), on the CPU.

    The latents are one stream of the run and the attack's `kind`: a larger pool begins with the smaller.
    """
    latents = torch.randn(count, latent_size, generator=run.stream(kind, "pool"))

    def work(first: int, stop: int) -> Tensor:
        return generator.style(latents[first:stop].to(run.device))

    return all_chunks(count, 4096, work)


def best(scores: Tensor, count: int) -> Tensor:
    """Return the rows of the `count` largest scores (M, N) of each column, best first: int64 (count, N)."""
    return scores.topk(count, dim=0).indices


def style_bounds(styles: Tensor, spread: float) -> tuple[Tensor, Tensor]:
    """Return the least and largest usual styles, (W,) each, of styles (M, W) (MIRROR's "P space").

    The mapping network ends in a leaky ReLU of slope 0.2, before which styles are about normal: there the
    bounds are the mean plus and minus `spread` standard deviations (over M).
    """
    before = functional.leaky_relu(styles, 5.0)  # undoes the slope of 0.2
    mean, deviation = before.mean(0), before.std(0, correction=0)
    low, high = (functional.leaky_relu(mean + sign * spread * deviation, 0.2) for sign in (-1, 1))
    return low, high


def visible(generator: StyleGenerator, images: Tensor, clip: bool) -> Tensor:
    """Return what targets see of whole `images`, (n, 3, S, S), clipped to [0, 1] or not."""
    return generator.view(images.clamp(0, 1) if clip else images)


def mirrored_scores(target: Classifier, images: Tensor, noise: Iterator[Tensor]) -> Tensor:
    """Return the mean softmax over each image (n, 3, S, S) and its mirror image, (n, K)."""
    scores = []
    for view in (images, images.flip(3)):
        with head_noise(target, next(noise)):
            scores.append(target(view).softmax(1))
    mean: Tensor = (scores[0] + scores[1]) / 2
    return mean


def crop_scores(
    target: Classifier,
    images: Tensor,
    labels: Tensor,
    crops: Sequence[Crop],
    noise: Iterator[Tensor],
    size: int,
) -> Tensor:
    """Return the mean softmax of each image's label over `crops` resized to `size`, (n,)."""
    total = images.new_zeros(len(images))
    for crop in crops:
        with head_noise(target, next(noise)):
            seen = target(apply_crop(images, crop, size)).softmax(1)
        total += seen.gather(1, labels[:, None])[:, 0]
    return total / len(crops)


def worked(
    rows: int,
    size: int,
    work: Callable[[int, int], Tensor],
    *,
    resume: Resume,
    name: str,
    done: Callable[[int], None],
) -> Tensor:
    """Return ``work(first, stop)``, (stop - first, …), over `rows` rows in chunks of `size`, on the CPU.

    What `resume` holds under `name` is taken up; results are saved there from time to time and at the end.
    ``done(count)`` is called when `count` more rows are done.
    """
    saved = resume.read(name)
    parts = [] if saved is None else [saved["values"]]
    begin = sum(map(len, parts))
    if begin:
        done(begin)

    def chunk(first: int, stop: int) -> None:
        parts.append(work(begin + first, begin + stop).cpu())
        if begin + stop == rows or resume.due():
            resume.write(name, {"values": torch.cat(parts)})
        done(stop - first)

    with torch.no_grad():
        in_chunks(rows - begin, size, chunk)
    return torch.cat(parts)
