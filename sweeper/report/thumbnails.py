"""Reconstructions beside the people they give away, as small PNGs inside the page."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from trainables.errors import ConfigError
from trainables.storage.disk import load

IDENTITIES, RESTARTS = 6, 2
LARGEST = 128  # pixels; larger pictures are made smaller, so that a report stays small


@dataclass(frozen=True)
class Sheet:
    """Pictures of one trial as data URIs: per identity its number, its private example, its restarts."""

    identities: list[int]
    private: list[str]
    restarts: list[list[str]]


def sheet(artifacts: Mapping[str, str], *, private: bool = True) -> Sheet | None:
    """Return the pictures of a trial from its stage folders; None where files are not there, or damaged.

    private: also the private examples.
    """
    if not {"attack", "judge"} <= artifacts.keys():
        return None
    attack = Path(artifacts["attack"]) / "reconstructions.pt"
    judge = Path(artifacts["judge"]) / "examples.pt"
    try:
        made = load(attack)
        examples: Tensor = load(judge)["images"]
    except ConfigError:
        return None
    identities = [int(i) for i in made["identities"][:IDENTITIES]]
    rows: Tensor = made["images"][:RESTARTS]
    return Sheet(
        identities=identities,
        private=[png(examples[i]) for i in identities] if private else [],
        restarts=[[png(row[place]) for place in range(len(identities))] for row in rows],
    )


def png(pixels: Tensor) -> str:
    """Return uint8 (3, S, S) as a PNG data URI."""
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
