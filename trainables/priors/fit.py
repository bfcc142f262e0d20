"""How well a prior fits: what it makes of public images that it has not seen, when it is inverted."""

from typing import Any

import torch
from torch import Tensor

from trainables.datasets.base import Images, as_float
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run

ROWS = 512  # images that are summed at once
MOST = 16  # images that are held out
SHARE = 8  # of at least so many each
POOL = 256  # random latents that a descent begins at the nearest of: at 0 some generators have no slope
STEPS, LEARNING_RATE = 40, 0.1  # of the descent, by Adam, where there is no closed form


def held_out(count: int, run: Run) -> Tensor:
    """Return which of `count` public images no prior that measures its fit is fitted to, int64 (m,), sorted.

    At most `MOST` of them, and one in `SHARE`; a stream of the run's seed.
    """
    order = torch.randperm(count, generator=run.stream("prior", "held out"))
    return order[: min(MOST, count // SHARE)].sort().values


def reconstruction_error(networks: PriorNetworks, public: Images, *, run: Run) -> dict[str, Any] | None:
    """Return how far inversions of the held-out images are from them; None where there are none.

    ``error``: the root mean square over pixels in [0, 1]; ``mean_image_error``: the same of the public
    images' mean, which a prior that knows nothing of them also gives; ``images``: how many.
    """
    chosen = held_out(len(public), run)
    if not len(chosen):
        return None
    images = as_float(public.pixels[chosen].to(run.device))
    with torch.no_grad():
        parts = torch.split(public.pixels, ROWS)  # the set may be larger than memory
        sums = torch.stack([part.sum(0, dtype=torch.int64) for part in parts]).sum(0)
        mean = (sums.double() / (255 * len(public))).to(images)
        inverted = networks.generator(invert(networks, images, run=run))
    return {
        "error": rms(inverted - images),
        "mean_image_error": rms(mean - images),
        "images": len(images),
    }


def rms(difference: Tensor) -> float:
    """Return the root mean square of all numbers of `difference`."""
    return difference.double().square().mean().sqrt().item()


def invert(networks: PriorNetworks, images: Tensor, *, run: Run) -> Tensor:
    """Return latents (n, Z) whose images are near `images` (n, 3, S, S).

    The generator's own ``encode`` gives them where it has one, else a short descent on squared errors.
    """
    encode = getattr(networks.generator, "encode", None)
    if encode is not None:
        latents: Tensor = encode(images)
        return latents
    drawn = torch.randn(POOL, networks.latent_size, generator=run.stream("prior", "inversion"))
    pool = drawn.to(images.device)
    with torch.no_grad():
        pictures = torch.cat([networks.generator(some) for some in torch.split(pool, MOST)])
        nearest = torch.cdist(images.flatten(1), pictures.flatten(1)).argmin(1)
    with torch.enable_grad():
        latents = pool[nearest].requires_grad_(True)
        optimizer = torch.optim.Adam([latents], lr=LEARNING_RATE)
        for _ in range(STEPS):
            loss = (networks.generator(latents) - images).square().sum()
            (latents.grad,) = torch.autograd.grad(loss, latents)
            optimizer.step()
    return latents.detach()
