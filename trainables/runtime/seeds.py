"""Independent, reproducible random streams from one seed and a path of names."""

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from trainables.runtime.upload import upload


def derive(seed: int, *names: object) -> int:
    """Return a 63-bit seed that depends on `seed` and every name, the same on every platform."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: object) -> torch.Generator:
    """Return a CPU generator for the stream `names` of `seed`."""
    return torch.Generator().manual_seed(derive(seed, *names))


def row_noise(generators: list[torch.Generator], size: int, device: str) -> Iterator[Tensor]:
    """Yield, for ever, standard normal noise (n, size) on `device`, row i from ``generators[i]``.

    Every row has a stream of its own, so what it gets does not depend on the rows beside it.
    """
    block = 16  # steps drawn at once; a different number would give other draws
    while True:
        drawn = [torch.randn(block, size, generator=generator) for generator in generators]
        yield from upload(torch.stack(drawn, dim=1), device)
