"""Denormal numbers as zero, for as long as asked: the switch is the thread's, and others rely on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def denormals_are_zero() -> bool:
    """Return whether this thread takes denormal numbers for zero; torch sets that, but does not tell."""
    return (torch.full((), 1e-310, dtype=torch.float64) * 0.5).item() == 0.0


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Take denormal numbers for zero inside this context: some networks compute many, slowly.

    Afterwards the thread is as it was, whatever was called inside.
    """
    before = denormals_are_zero()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
