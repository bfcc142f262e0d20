"""What benchmarks of two loops share: timing them in turns, on networks that are not fresh."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def seconds(loops: dict[str, Callable[[], Tensor]], device: str, repeats: int) -> dict[str, float]:
    """Return the least time of `repeats` runs of each loop, in turns, so that a busy machine hits all alike.

    On a CPU it is the process's own time, which other processes disturb less.
    """
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(repeats):
        for name, loop in loops.items():
            if device == "cpu":
                begin = time.process_time()
                loop()
                spent = time.process_time() - begin
            else:
                torch.cuda.synchronize()
                begin = time.perf_counter()
                loop()
                torch.cuda.synchronize()
                spent = time.perf_counter() - begin
            best[name] = min(best[name], spent)
    return best


def lived(network: nn.Module) -> nn.Module:
    """Give batch norms statistics that are not those of a fresh network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return network


@torch.no_grad()
def hearing(classifier: nn.Module, images: Tensor) -> nn.Module:
    """Return `classifier` in eval mode with the batch norm statistics of `images` (n, 3, S, S).

    A network with random statistics gives every image the same logits, so an attack on it is an attack on
    nothing: it would give the same latents without a target.
    """
    norms = [m for m in classifier.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over batches
    classifier.train()
    for part in images.split(32):
        classifier(part)
    for norm in norms:
        norm.momentum = 0.1
    return classifier.eval()


@contextmanager
def float64() -> Iterator[None]:
    """Make what is built and drawn inside float64, where two correct loops agree to nearly all digits."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


FAR = 1000  # times the limit


def verify(results: Mapping[str, Tensor], limit: float) -> str:
    """Return what a check of two loops shows in words, or end the program if it shows that they differ.

    results: latents of the loops "published" and "ours", of "deaf", ours without the target, and of "start",
    before any step. The two agree to `limit` at most; both have moved far more than that, and what is deaf to
    the target is far off, or the check would see nothing.
    """
    truth = results["published"]
    difference = (truth - results["ours"]).abs().max().item()
    moved, deaf = ((truth - results[name]).abs().mean().item() for name in ("start", "deaf"))
    text = f"{difference:.1e} at most, moved by {moved:.1e}, without the target {deaf:.1e} off"
    if not difference <= limit:
        raise SystemExit(f"the results differ: {text}")
    for name, distance in (("stood still", moved), ("left the target out", deaf)):
        if not distance > FAR * limit:
            raise SystemExit(f"the check would not see a loop that {name}: {text}")
    return text
