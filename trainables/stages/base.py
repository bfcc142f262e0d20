"""The stages of a trial, each made once and kept under a key of all that went into it."""

from pathlib import Path
from typing import Any

import torch

from trainables.config import TrialConfig

# Raised when a change of the code changes what a stage computes, so that older results are not reused.
VERSIONS = {
    "pretrained": 1,
    "prior": 1,
    "judge": 1,
    "target": 1,
    "auxiliary": 1,
    "attack": 1,
    "verdict": 1,
}


def _common(config: TrialConfig, stage: str) -> dict[str, Any]:
    return {"version": VERSIONS[stage], "seed": config.seed, "image_size": config.image_size}


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
