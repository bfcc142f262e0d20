"""What a trial will cost on this machine: each stage is run in miniature and scaled up."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.datasets.base import Images
from trainables.pretraining import OnDataset
from trainables.priors.base import settle
from trainables.progress import silent
from trainables.split import Split
from trainables.target import train_classifier
from trainables.trial import attacked_identities, load_data, new_target


def estimate(config: TrialConfig, device: str = "cpu") -> dict[str, float]:
    """Return seconds for ``pretrained``, ``judge``, ``prior``, ``target`` and ``attack``, after a calibration
    of a few seconds. The target is priced as the template describes it; nothing stored is taken into account.
    """
    data = load_data(config)
    train = data.split.train
    target = new_target(config, train.classes).to(device)
    few = _first(train, 2 * config.target.batch_size)

    def one_epoch() -> None:
        train_classifier(
            target,
            dataclasses.replace(config.target, epochs=1),
            config.defense,
            few,
            few,
            seed=0,
            device=device,
            report=silent,
        )

    per_image = _seconds(one_epoch, device) / len(few)

    pretrained = 0.0
    if isinstance(config.pretraining, OnDataset):  # the same network on other images
        images = len(config.pretraining.data.load(config.image_size))
        pretrained = per_image * images * config.pretraining.epochs

    judge, small = _replace(config.judge, epochs=1), Split(train=few, validation=few, test=few)
    fit = _seconds(lambda: judge.fit(small, seed=0, device=device, report=silent), device)
    judged = fit / len(few) * len(train) * getattr(config.judge, "epochs", 1)

    public = _first(data.public, 2 * getattr(config.prior, "batch_size", 64))
    prior = _replace(config.prior, epochs=1)
    start = _seconds(lambda: prior.train(public, seed=0, device=device, report=silent), device)
    passes = len(data.public) / len(public) * getattr(config.prior, "epochs", 1)

    identities = attacked_identities(config, data)
    sample = identities[:16]
    short = _replace(config.attack, iterations=2)
    networks = settle(config.prior.build(config.image_size))
    networks.generator.to(device)
    networks.discriminator.to(device)
    invert = _seconds(
        lambda: short.invert(target, networks, sample, seed=0, device=device, report=silent), device
    )
    scale = len(identities) / len(sample) * getattr(config.attack, "iterations", 2) / 2
    return {
        "pretrained": pretrained,
        "judge": judged,
        "prior": start * passes,
        "target": per_image * len(train) * config.target.epochs,
        "attack": invert * scale,
    }


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
