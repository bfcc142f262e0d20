"""Real faces of the shared data folder, for tests that skip where it is not."""

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainables.datasets.base import Images

FACES = Path(os.environ.get("SWEEPER_FACES", Path(__file__).parents[3] / "shared" / "data"))


def as_images(pixels: torch.Tensor, labels: list[int]) -> Images:
    """Return pixels uint8 (N, 3, S, S) as images of numbered people."""
    names = tuple(f"id{label}" for label in range(max(labels) + 1))
    files = tuple(f"{number}.png" for number in range(len(labels)))
    return Images(pixels=pixels, labels=torch.tensor(labels), names=names, files=files)


def real_faces(part: str, identities: int) -> Images:
    """Return the private images of a part, "train" or "test", of the first people."""
    with (FACES / "faces_private" / "index.csv").open() as index:
        rows = [
            row for row in csv.DictReader(index) if row["split"] == part and int(row["label"]) < identities
        ]
    with zipfile.ZipFile(FACES / "faces_private" / "celeba_private_64.zip") as pack:
        inside = {Path(name).name: name for name in pack.namelist()}
        arrays = [np.array(Image.open(io.BytesIO(pack.read(inside[Path(row["file"]).name])))) for row in rows]
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return as_images(pixels, [int(row["label"]) for row in rows])
