"""How fast images come, against how fast ResNet-18 trains on them, at 64 pixels on the same cores.

    uv run python tests/benchmarks/loading.py [--images 4000] [--size 64]

Files as CelebA has them (JPEG, 178 by 218 pixels, smooth) are decoded, cut and scaled once into a mapped
file; every epoch then takes batches from it. Goal: batches at least 3 times as fast as training takes them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from trainables.datasets.base import as_float
from trainables.datasets.celeba import CelebA
from trainables.storage import pixel_cache
from trainables.storage.cache_folder import use_folder
from trainables.training.batches import draw_augmentation, take_batch
from trainables.training.classifier import build_classifier

BATCH = 64
STEPS = 12  # of training that are timed, after two others


def write_tree(root: Path, count: int) -> Path:
    """Write smooth pictures of people with 30 images each, as CelebA lays them out."""
    folder = root / "img_align_celeba"
    folder.mkdir()
    for number in range(1, count + 1):
        coarse = np.random.default_rng(number).integers(0, 256, (22, 18, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((178, 218), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:06d}.jpg", quality=90)
    lines = [f"{number:06d}.jpg {number // 30}" for number in range(1, count + 1)]
    (root / "identity_CelebA.txt").write_text("\n".join(lines))
    return root


def rate(images: int, work: Callable[[], object]) -> float:
    """Return how many images a second `work` takes, by the wall."""
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


def main() -> None:
    """Print the rates of decoding, of batches from the map and of training, and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--size", type=int, default=64, help="image size")
    options = parser.parse_args()
    pixel_cache.SMALLEST = 1
    with tempfile.TemporaryDirectory() as folder:
        use_folder(Path(folder) / "cache")
        root = write_tree(Path(folder), options.images)
        start = time.perf_counter()
        images = CelebA(root=str(root), protocol="ppa").load(options.size)
        decoding = len(images) / (time.perf_counter() - start)

        def epoch() -> None:
            views = torch.Generator().manual_seed(0)
            for index in torch.split(torch.randperm(len(images)), BATCH):
                as_float(
                    take_batch(
                        images.pixels, index, draw_augmentation(len(index), options.size, "flip", views)
                    )
                )

        epoch()
        batches = rate(len(images), epoch)
        network = build_classifier("resnet18", images.classes, options.size, "none", seed=0).train()
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)

        def train(steps: int) -> None:
            for step in range(steps):
                index = torch.arange(step * BATCH, (step + 1) * BATCH) % len(images)
                loss = functional.cross_entropy(network(as_float(images.pixels[index])), images.labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        train(2)
        training = rate(STEPS * BATCH, lambda: train(STEPS))
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, {options.size} px, images/s:")
    for name, value in (("decoding, once", decoding), ("batches of the map", batches)):
        print(f"  {name:20} {value:9,.0f}  {value / training:6.1f} times training")
    print(f"  {'ResNet-18 training':20} {training:9,.0f}")


if __name__ == "__main__":
    main()
