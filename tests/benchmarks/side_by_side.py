"""What benchmarks of two loops share: timing them in turns, on networks that are not fresh."""

import time
from collections.abc import Callable

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
