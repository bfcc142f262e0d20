"""Folders of pictures of noise, no two alike."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(root: Path, *files: str, first: int = 0, size: tuple[int, int] = (40, 40)) -> Path:
    """Write a picture of `size` (width, height) under each name; number n of all is drawn with seed n."""
    for number, file in enumerate(files, first):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / file)
    return root


def write_people(
    root: Path, *names: str, images: int = 6, first: int = 0, size: tuple[int, int] = (40, 40)
) -> Path:
    """Write so many pictures of each person into a folder of their name."""
    files = [f"{name}/{number}.png" for name in names for number in range(images)]
    return write_pictures(root, *files, first=first, size=size)
