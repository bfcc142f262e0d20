"""Seconds per epoch of a target frozen at half its depth against the undefended one, side by side in one run.

    uv run python tests/benchmarks/epoch_time.py [--architecture mobilenet_v2] [--size 64] [--device cuda]

Goal: at most 0.55 in the later epochs. The first epoch of a frozen target also computes what it keeps.
"""

import argparse
import dataclasses
import itertools
import time

import torch

from trainables.architectures import ARCHITECTURES
from trainables.datasets.base import Images
from trainables.defenses.none import NoDefense
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, train_classifier


def random_images(count: int, classes: int, size: int) -> Images:
    """Return noise: how fast it trains does not depend on what it shows."""
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0))
    return Images(
        pixels=pixels.to(torch.uint8),
        labels=torch.arange(count) % classes,
        names=tuple(map(str, range(classes))),
        files=tuple(map(str, range(count))),
    )


def epoch_seconds(recipe: Target, images: Images, size: int, device: str) -> list[float]:
    """Return the seconds of each epoch, validation on a tenth of the images included.

    On a CPU it is the process's own time, which other processes disturb less.
    """
    clock = time.process_time if device == "cpu" else time.perf_counter
    classifier = build_classifier(recipe.architecture, images.classes, size, "none", seed=0).to(device)
    few = images.select(torch.arange(len(images) // 10))
    ends = [clock()]

    def report(stage: str, done: int, total: int, **metrics: float) -> None:
        ends.append(clock())

    train_classifier(
        classifier, recipe, NoDefense(), images, few, run=Run(seed=0, device=device, report=report)
    )
    return [after - before for before, after in itertools.pairwise(ends)]


def main() -> None:
    """Print seconds and ratios for every augmentation and both treatments of frozen batch norm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="small_cnn", choices=sorted(ARCHITECTURES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=64, help="image size")
    parser.add_argument("--images", type=int, default=256, help="training images")
    parser.add_argument("--epochs", type=int, default=4, help="the fastest after the first one counts")
    options = parser.parse_args()
    images = random_images(options.images, 16, options.size)
    with torch.device("meta"):
        stages = list(ARCHITECTURES[options.architecture].build(2, options.size).stages)
    half = stages[(len(stages) - 1) // 2]
    print(
        f"{options.architecture} at {options.size} px, {options.images} images, frozen up to {half}, "
        f"{options.device}, {torch.get_num_threads()} threads"
    )
    print("augmentation  batch norm  undefended s  frozen s  ratio  first epoch's ratio")
    recipe = Target(architecture=options.architecture, epochs=options.epochs, learning_rate=0.001)
    epoch_seconds(dataclasses.replace(recipe, epochs=1), images, options.size, options.device)  # warm up
    for augmentation in ("none", "flip", "crop_flip"):
        free = dataclasses.replace(recipe, augmentation=augmentation)
        first, *later = epoch_seconds(free, images, options.size, options.device)
        for batchnorm in ("eval", "train"):
            cut = dataclasses.replace(free, freeze_point=half, frozen_batchnorm=batchnorm)
            frozen_first, *frozen_later = epoch_seconds(cut, images, options.size, options.device)
            print(
                f"{augmentation:<14}{batchnorm:<12}{min(later):>12.3f}{min(frozen_later):>10.3f}"
                f"{min(frozen_later) / min(later):>7.2f}{frozen_first / first:>21.2f}"
            )


if __name__ == "__main__":
    main()
