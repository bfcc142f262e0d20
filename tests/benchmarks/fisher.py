"""Squared gradients of single samples against one backward pass for each, side by side in one run.

    OMP_NUM_THREADS=1 python tests/benchmarks/fisher.py [--device cuda] [--threads 1] [--vmap]

Goal: at least 5 times as fast, the Fisher information of every parameter the same to 1e-5 of itself. What is
timed is float32; what is compared is also float64, for a sample near a kink of a rectifier may fall on either
side of it when float32 rounds, one by one as well as together.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.analyses.fisher import gradients_by_vmap, squared_gradient_norms
from trainables.training.classifier import build_classifier

CASES = (("small_cnn", 32), ("small_cnn", 64), ("resnet18", 32), ("resnet18", 64))
CLASSES = 20
Norms = dict[str, Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each sample."""
    return functional.cross_entropy(logits, labels, reduction="none")


def one_by_one(network: nn.Module, images: Tensor, labels: Tensor) -> Norms:
    """Return the sum of squares of each sample's gradient, from a backward pass for each."""
    parameters = dict(network.named_parameters())
    rows: dict[str, list[Tensor]] = {name: [] for name in parameters}
    for number in range(len(labels)):
        loss = cross_entropy(network(images[number : number + 1]), labels[number : number + 1]).sum()
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        for name, gradient in zip(rows, gradients, strict=True):
            rows[name].append(gradient.square().sum())
    return {name: torch.stack(row).double().cpu() for name, row in rows.items()}


def together(network: nn.Module, images: Tensor, labels: Tensor) -> Norms:
    """Return the same as the analysis computes it."""
    return squared_gradient_norms(network, {"loss": cross_entropy}, [images], labels)["loss"]


def by_vmap(network: nn.Module, images: Tensor, labels: Tensor) -> Norms:
    """Return the same by ``vmap`` over ``grad`` alone, sixteen samples at a time."""
    names = [name for name, _ in network.named_parameters()]
    parts = [
        gradients_by_vmap(network, {"loss": cross_entropy}, [images[index]], labels[index], names)["loss"]
        for index in torch.split(torch.arange(len(labels)), 16)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def seconds(work: Callable[[], Norms], repeats: int, device: str) -> float:
    """Return the fastest of some repeats; on a CPU the process's own time, which others disturb less."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(clock() - began)
    return min(times)


def difference(ours: Norms, truth: Norms) -> float:
    """Return the largest relative difference of a parameter's Fisher information."""
    return max(
        abs(ours[name].mean().item() / values.mean().item() - 1)
        for name, values in truth.items()
        if values.mean() > 0
    )


def main() -> None:
    """Print seconds, ratios and differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--vmap", action="store_true", help="time vmap alone too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{options.images} images, {options.device}, {options.threads} threads; float32, fastest of repeats"
    )
    print("network    px  one by one s  together s  times as fast  differs float32  float64   vmap s")
    for architecture, size in CASES:
        network = build_classifier(architecture, CLASSES, size, "none", seed=0).eval().to(options.device)
        noise = torch.Generator().manual_seed(0)
        images = torch.rand(options.images, 3, size, size, generator=noise).to(options.device)
        labels = (torch.arange(options.images) % CLASSES).to(options.device)
        given = (network, images, labels)
        slow, fast = (
            seconds(lambda work=work, given=given: work(*given), options.repeats, options.device)
            for work in (one_by_one, together)
        )
        vmap = (
            f"{seconds(lambda given=given: by_vmap(*given), 1, options.device):9.3f}" if options.vmap else ""
        )
        single = difference(together(*given), one_by_one(*given))
        few = (network.double(), images[:8].double(), labels[:8])
        double = difference(together(*few), one_by_one(*few))
        print(
            f"{architecture:<10}{size:>3}{slow:>14.3f}{fast:>12.3f}{slow / fast:>15.1f}{single:>17.1e}"
            f"{double:>9.1e}{vmap}",
            flush=True,
        )


if __name__ == "__main__":
    main()
