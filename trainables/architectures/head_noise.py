"""Noise of a stochastic head, which a caller can fix row by row.

A head that draws noise in every forward, also when it is attacked, says how much it needs in ``noise_size``.
Who wants results that do not depend on batching draws that noise itself and lends it for a forward.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.runtime.upload import upload

NoiseSource = Tensor | torch.Generator

# A context variable: each thread sees only what it lent itself.
_lent: ContextVar[Mapping[nn.Module, NoiseSource]] = ContextVar("lent noise", default=MappingProxyType({}))


@contextmanager
def head_noise(classifier: Classifier, source: NoiseSource) -> Iterator[None]:
    """Make the classifier's head take its noise from `source` inside this context, in this thread.

    source: a tensor (N, noise_size) for forwards of N rows, or a CPU generator to draw from. A classifier
    whose head takes no noise is left as it is.
    """
    token = _lent.set({**_lent.get(), classifier.head: source})
    try:
        yield
    finally:
        _lent.reset(token)


def draw_noise(head: nn.Module, like: Tensor) -> Tensor:
    """Return the noise of `head`, standard normal, in the shape, type and device of `like` (N, size)."""
    source = _lent.get().get(head)
    if source is None:
        return torch.randn_like(like)
    if isinstance(source, torch.Generator):
        source = torch.randn(like.shape, generator=source, dtype=like.dtype)
    if source.shape != like.shape:
        raise ValueError(
            f"expected noise of shape {tuple(like.shape)} for this forward, got {tuple(source.shape)}"
        )
    return upload(source.to(like.dtype), like.device)
