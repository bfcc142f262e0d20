"""How a training computes: number format, memory layout, compilation, and only operations that repeat."""

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import nn

from trainables.training.recipe import Recipe


@contextlib.contextmanager
def computation(classifier: nn.Module, recipe: Recipe) -> Iterator[None]:
    """Let `classifier` train as `recipe` says; afterwards it is laid out and called as before."""
    with contextlib.ExitStack() as stack:
        if recipe.deterministic:
            stack.enter_context(_repeatable())
        if recipe.channels_last:
            stack.enter_context(_channels_last(classifier))
        if recipe.compile:
            classifier.compile()  # what copies the network later copies it uncompiled
            stack.callback(setattr, classifier, "_compiled_call_impl", None)
        yield


def autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager[object]:
    """Return the context of a step: products and convolutions in bfloat16, or everything as it is.

    float64, in which some defenses measure dependence, stays.
    """
    if recipe.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.partition(":")[0], torch.bfloat16)


@contextlib.contextmanager
def _channels_last(network: nn.Module) -> Iterator[None]:
    usual = [weight for weight in network.parameters() if weight.is_contiguous()]
    network.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for weight in usual:  # some architectures are laid out so from the start
            weight.data = weight.data.contiguous()


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only then
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
