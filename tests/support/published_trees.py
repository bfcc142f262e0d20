"""Small trees in the layouts of published data sets, every picture another; three classes of four images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Size = tuple[int, int]


def picture(number: int, size: Size) -> Image.Image:
    """Return noise of `size` (width, height), drawn with this seed."""
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def write(root: Path, paths: list[str], size: Size, first: int = 0) -> Path:
    """Write a picture under each path; number n of all is drawn with seed n."""
    for number, path in enumerate(paths, first):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shown = picture(number, size)
        if path.endswith(("jpg", "JPEG")):
            shown.save(root / path, quality=95)
        else:
            shown.save(root / path)
    return root


def celeba(root: Path, counts: tuple[int, ...] = (4, 4, 4)) -> Path:
    """Write aligned pictures of so many images of each person, their files dealt out in turn."""
    turns = [person for turn in range(max(counts)) for person, count in enumerate(counts, 1) if turn < count]
    write(root, [f"img_align_celeba/{n:06d}.jpg" for n in range(1, len(turns) + 1)], (178, 218))
    lines = [f"{n:06d}.jpg {person * 7}" for n, person in enumerate(turns, 1)]
    (root / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return root


TREES: dict[str, Callable[[Path], Path]] = {"celeba": celeba}
