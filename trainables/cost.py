"""What a trial will cost on this machine: each stage is run in miniature and scaled up."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.datasets.base import Images
from trainables.progress import silent
from trainables.target import train_classifier
from trainables.trial import attacked_identities, load_data, new_target


def estimate(config: TrialConfig, device: str = "cpu") -> dict[str, float]:
    """Return seconds for ``prior``, ``target`` and ``attack``, from a calibration of a few seconds.

    Pre-training and a judge cost what their own recipes ask; they are not calibrated here. The target is
    priced as the study's template describes it, before any stage is reused.
    """
    data = load_data(config)
    classes = data.split.train.classes
    target = new_target(config, classes).to(device)

    few = _first(data.split.train, 2 * config.target.batch_size)
    recipe = dataclasses.replace(config.target, epochs=1)
    batches = len(data.split.train) / len(few) * config.target.epochs
    train = _seconds(
        lambda: train_classifier(
            target, recipe, config.defense, few, few, seed=0, device=device, report=silent
        ),
        device,
    )

    public = _first(data.public, 2 * 64)
    prior = _replace(config.prior, epochs=1)
    start = _seconds(lambda: prior.train(public, seed=0, device=device, report=silent), device)
    passes = len(data.public) / len(public) * getattr(config.prior, "epochs", 1)

    identities = attacked_identities(config, data)
    sample = identities[:16]
    short = _replace(config.attack, iterations=2)
    networks = config.prior.build(config.image_size)
    networks.generator.to(device).eval()
    networks.discriminator.to(device).eval()
    invert = _seconds(
        lambda: short.invert(target, networks, sample, seed=0, device=device, report=silent), device
    )
    scale = len(identities) / len(sample) * getattr(config.attack, "iterations", 2) / 2
    return {"prior": start * passes, "target": train * batches, "attack": invert * scale}


def _replace(knobs: Any, **changes: int) -> Any:
    known = {f.name for f in dataclasses.fields(knobs)}
    return dataclasses.replace(knobs, **{k: v for k, v in changes.items() if k in known})


def _first(images: Images, count: int) -> Images:
    return images.select(torch.arange(min(count, len(images))))


def _seconds(work: Callable[[], object], device: str) -> float:
    work()  # the first call pays for lazy set-up
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start
