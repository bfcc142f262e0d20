"""Numbers drawn on the CPU, brought to the device that works on them, in the middle of its work."""

import torch
from torch import Tensor


def upload(values: Tensor, device: str | torch.device) -> Tensor:
    """Return `values`, which lie on the CPU, on `device`; nobody waits for what the device has still to do.

    An ordinary copy to a GPU first lets it finish all its work: once a step is enough to leave it idle for
    a good part of it. Torch keeps pinned memory until the copy is done, so `values` may be dropped at once.
    """
    device = torch.device(device)
    if device.type == "cpu" or values.device.type != "cpu":
        return values.to(device)
    if device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
