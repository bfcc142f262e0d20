"""Time of a training step under each defense, in times that of an undefended step, in one run.

    uv run python tests/benchmarks/defense_cost.py [--architecture resnet18] [--size 224] [--device cuda]

Rounds go over all defenses in turn, so that a busy machine slows all alike; a ratio is the median over
rounds of a defense's time to the undefended one's in the same round. Each is measured unfrozen and frozen at
half depth, against an undefended step that is frozen alike. Goal: BiDO at most 1.25 on a card (published
1.55).
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch

from trainables.architectures import ARCHITECTURES
from trainables.datasets.base import Images
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense
from trainables.defenses.bido import BiDO
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError
from trainables.training.classifier import Target, build_classifier, make_optimizer
from trainables.training.freeze import freeze, training_mode

IDENTITIES, OF_EACH = 16, 4  # in a batch, as BiDO's published sampler draws them
CLASSES = 530


def defenses(architecture: str, size: int) -> dict[str, Defense]:
    """Return the defenses that the architecture takes, by the name that the table gives them."""
    fitting: dict[str, Defense] = {}
    for kind, defense in DEFENSES.items():
        try:
            defense().check(ARCHITECTURES[architecture], size)
        except ConfigError:
            continue
        fitting[kind] = defense()
    coco = {"measure": "coco", "lambda_x": 5.0, "lambda_y": 50.0}
    return fitting | {
        "bido (COCO, Frobenius)": BiDO(**coco),
        "bido (COCO, spectral)": BiDO(**coco, coco_norm="spectral"),
    }


def make_step(defense: Defense, architecture: str, size: int, device: str, half: bool) -> Callable[[], None]:
    """Return one training step of the defense, of its last epoch."""
    classifier = defense.prepare(build_classifier(architecture, CLASSES, size, "none", seed=0)).to(device)
    stages = list(classifier.stages)
    frozen = freeze(classifier, stages[(len(stages) - 1) // 2] if half else "none")
    labels = torch.arange(IDENTITIES).repeat_interleave(OF_EACH)
    pixels = torch.randint(0, 256, (len(labels), 3, size, size), generator=torch.Generator().manual_seed(0))
    data = Images(
        pixels=pixels.to(torch.uint8),
        labels=labels,
        names=tuple(map(str, range(CLASSES))),
        files=tuple(map(str, range(len(labels)))),
    )
    recipe = Target(architecture=architecture, learning_rate=1e-4)
    training = Training(
        classifier=classifier,
        optimizer=make_optimizer(classifier, recipe),
        frozen=frozen,
        epochs=recipe.epochs,
        images=data,
        seed=0,
    )
    rule = defense.begin(training)
    training_mode(classifier, list(classifier.stages)[:frozen], "eval")
    images = data.pixels.to(device).float() / 255
    with torch.no_grad():
        inputs = classifier.run(images, 0, frozen) if frozen else images
    batch = Batch(index=torch.arange(len(labels)), images=images, labels=labels.to(device), inputs=inputs)
    last = recipe.epochs + defense.extra_epochs
    return lambda: _step(rule.step, batch, last)


def _step(step: Callable[[Batch, int], object], batch: Batch, epoch: int) -> None:
    step(batch, epoch)


def seconds(step: Callable[[], None], steps: int, device: str) -> float:
    """Return the time of `steps`: on a CPU the process's own, which other processes disturb less."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    for _ in range(steps):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    """Print a row for each defense."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="small_resnet", choices=sorted(ARCHITECTURES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", type=int, default=64, help="image size")
    parser.add_argument("--steps", type=int, default=3, help="of a defense in a round")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    threads = torch.get_num_threads()
    print(
        f"{options.architecture} at {options.size} px, batches of {IDENTITIES * OF_EACH}, {options.device}, "
        f"{threads} threads, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    ratios: dict[str, list[float]] = {}
    named = defenses(options.architecture, options.size)
    for half in (False, True):
        steps = {
            name: make_step(defense, options.architecture, options.size, options.device, half)
            for name, defense in named.items()
        }
        for step in steps.values():
            seconds(step, 2, options.device)  # lazy set-up
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(options.rounds):
            for name, step in steps.items():
                times[name].append(seconds(step, options.steps, options.device))
        plain = times["none"]
        depth = "frozen at half depth" if half else "unfrozen"
        print(f"{depth}: undefended {1000 * statistics.median(plain) / options.steps:.1f} ms")
        for name, own in times.items():
            ratios.setdefault(name, []).append(
                statistics.median(a / b for a, b in zip(own, plain, strict=True))
            )
    print(f"{'defense':26} {'unfrozen':>9} {'frozen':>9}  epochs beside the recipe's")
    for name, (free, frozen) in ratios.items():
        print(f"{name:26} {free:9.2f} {frozen:9.2f}  {named[name].extra_epochs}")


if __name__ == "__main__":
    main()
