"""Distance of the pre-training: how well features that never saw the private people tell them apart, as a
stage."""

from pathlib import Path
from typing import Any

import torch

from trainables.config import TrialConfig
from trainables.judges.base import outputs
from trainables.metrics.attack_accuracy import interval95
from trainables.pretraining.base import load_stages
from trainables.pretraining.linear_probe import frozen_features, linear_probe
from trainables.pretraining.none import Scratch
from trainables.results import Interval
from trainables.stages.base import get_for_people, on_machine
from trainables.stages.data import load_data
from trainables.stages.pretrained import make_pretrained
from trainables.storage.disk import load
from trainables.storage.store import Stage, Store
from trainables.training.classifier import build_classifier

VERSION = 1
MEASURED = ("probe_accuracy", "probe_test_accuracy", "probe_chance")


def make_distance(config: TrialConfig, *, store: Store, device: str = "cpu") -> Stage | None:
    """Return how well the frozen features of the pre-training tell the private people apart.

    That is the deepest freeze point: all stages as pre-trained, and a linear classifier of what they make of
    the private training images, without augmentation (`linear_probe`). ``probe_accuracy`` and
    ``probe_test_accuracy``: the shares in [0, 1] of the private validation and test images that it names
    rightly; ``probe_interval``: Wilson's 95 % interval of the first over the images; ``probe_chance``: of
    always naming the person with the most validation images. None where nothing is pre-trained, or where the
    backbone is not in the store.
    """
    if isinstance(config.pretraining, Scratch):
        return None
    backbone = make_pretrained(config, store=store, device=device)
    weights = backbone.path / "stages.pt"
    if not weights.is_file():
        return None
    split = load_data(config).split

    def make(_: Path) -> dict[str, Any]:
        target = config.target
        with torch.random.fork_rng(devices=[]):
            classifier = build_classifier(
                target.architecture, split.train.classes, config.image_size, target.normalization, config.seed
            )
        load_stages(classifier, load(weights))
        classifier = classifier.to(device).eval()
        train, *others = (
            outputs(lambda images: frozen_features(classifier, images), part.pixels, device).nan_to_num()
            for part in (split.train, split.validation, split.test)
        )
        validation, test = (
            (named == part.labels).double()
            for named, part in zip(
                linear_probe(train, split.train.labels, others), (split.validation, split.test), strict=True
            )
        )
        labels = split.validation.labels
        return {
            "probe_accuracy": validation.mean().item(),
            "probe_interval": list(interval95(validation, restarts=1)),
            "probe_test_accuracy": test.mean().item(),
            "probe_chance": (labels.bincount().max() / len(labels)).item(),
        }

    parts = {
        "version": VERSION,
        "backbone": backbone.key,
        "private": load_data(config).private_key,
        "validation": config.validation,
        "test": config.test,
        "seed": config.seed,
    }
    return get_for_people(store, "pretraining_distance", parts, split.train.names, on_machine(device, make))


def distance_figures(measured: Stage | None) -> dict[str, float]:
    """Return the figures of `make_distance` for a trial's metrics, {} without any."""
    return {} if measured is None else {name: measured.result[name] for name in MEASURED}


def distance_interval(measured: Stage | None) -> dict[str, Interval]:
    """Return the interval of ``probe_accuracy`` for a trial's, {} without any."""
    return (
        {} if measured is None else {"probe_accuracy": Interval.from_json(measured.result["probe_interval"])}
    )
