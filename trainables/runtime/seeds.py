"""Independent, reproducible random streams from one seed and a path of names."""

import hashlib

import torch


def derive(seed: int, *names: object) -> int:
    """Return a 63-bit seed that depends on `seed` and every name, the same on every platform."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: object) -> torch.Generator:
    """Return a CPU generator for the stream `names` of `seed`."""
    return torch.Generator().manual_seed(derive(seed, *names))
