"""Machine that work runs on: what changes a result under one key, and is noted beside it."""

import functools
import json
import platform
from pathlib import Path
from typing import Any

Machine = dict[str, Any]  # device, name, threads, torch

NOTE = "machine.json"  # in the folder of a stage


def machine_here(device: str) -> Machine:
    """Return the kind and the name of `device`, the threads of this process on the CPU, torch's version."""
    import torch

    return {
        "device": device.partition(":")[0],
        "name": _name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def note_machine(folder: Path, device: str) -> None:
    """Note in the folder of a stage on what it was made."""
    (folder / NOTE).write_text(json.dumps(machine_here(device)))


def noted_machine(folder: Path) -> Machine | None:
    """Return on what the stage in `folder` was made; None where that was not noted, as of older ones."""
    try:
        machine = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return None
    return machine if isinstance(machine, dict) else None


def _name(device: str) -> str:
    if not device.startswith("cuda"):
        return _processor()
    import torch

    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else ""


@functools.cache
def _processor() -> str:
    """Return the model of the processor, as far as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()
