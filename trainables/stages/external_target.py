"""A target that somebody else trained: its weights from a file, measured like one of ours."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.architectures import get_architecture
from trainables.architectures.base import Classifier
from trainables.config import TrialConfig
from trainables.errors import ConfigError
from trainables.pretraining.matching import HEADS, network_in, stages_in
from trainables.stages.base import VERSIONS, get_for_people, on_machine
from trainables.stages.class_map import class_order, folder_labels, reorder
from trainables.stages.data import load_data
from trainables.stages.target import defense_figures, measured, new_target, store_defense
from trainables.storage.content import named_versions, with_content
from trainables.storage.disk import save
from trainables.storage.store import Stage, Store
from trainables.storage.weights import listed, misfits, read_weights
from trainables.training.classifier import accuracy
from trainables.training.freeze import count_parameters

IN_FOLDER = ("target.safetensors", "target.pt")  # of an exported target, and of a stage in a store


def read_external_target(
    config: TrialConfig, path: Path, *, labels: Sequence[str] | None = None
) -> Classifier:
    """Return the classifier whose weights lie at `path`, its class k the k-th private identity.

    path: a file of weights, in our names or torchvision's with a linear head, also beside losses and under a
        prefix, or a folder with such a file.
    labels: the names of its classes, in its order; None takes those beside an exported target, or else its
    classes to be the private people in the order of their sorted names. The architecture, image size,
    normalization and defense of `config` say what the weights are for. Raises `ConfigError` if they do
    not fit.
    """
    labels = folder_labels(path) if labels is None else labels
    if path.is_dir():
        inside = [path / name for name in IN_FOLDER if (path / name).is_file()]
        if not inside:
            raise ConfigError(f"expected {' or '.join(IN_FOLDER)} in the folder {path}, found neither")
        path = inside[0]
    people = load_data(config).split.train.names
    order = None if labels is None else class_order(labels, people)
    weights = read_weights(path, "the checkpoint")
    classifier = new_target(config, len(people))
    fill(classifier, config, weights, str(path))
    if order is not None:
        reorder(classifier, order)
    return classifier


def make_external_target(
    config: TrialConfig,
    path: Path,
    *,
    store: Store,
    device: str = "cpu",
    labels: Sequence[str] | None = None,
) -> Stage:
    """Return the target whose weights lie at `path`, as a stage like a trained one.

    path, labels, errors: see `read_external_target`.
    """
    classifier, data = read_external_target(config, path, labels=labels), load_data(config)

    def make(folder: Path) -> dict[str, Any]:
        victim = classifier.to(device).eval()
        save({name: value.cpu() for name, value in victim.state_dict().items()}, folder / "target.pt")
        stored = store_defense(config, victim, data.split, {}, folder, device)
        return {
            "history": [],
            "best_epoch": 0,
            "validation_accuracy": accuracy(victim, data.split.validation, device=device),
            **measured(victim, data.split, device, config.defense.shield(stored)),
            "parameters": asdict(count_parameters(victim)),
            **defense_figures(config, victim, data.split, stored, device),
        }

    parts = {
        "version": VERSIONS["target"],
        "given": _digest(classifier),
        "architecture": config.target.architecture,
        **named_versions(config.target),
        "private": data.private_key,
        "validation": config.validation,
        "test": config.test,
        "seed": config.seed,
        **_beside_weights(config),
    }
    return get_for_people(store, "target", parts, data.split.train.names, on_machine(device, make))


def _beside_weights(config: TrialConfig) -> dict[str, Any]:
    """Return what tells two targets of the same weights apart, as far as it is not the default.

    A defense may have no weights of its own and still change what they make of an image (skips taken out, the
    tanh of a head), how it is attacked by one who knows of it, or its answers; the replicate seeds attacks.
    """
    target = config.target
    return {
        **({} if config.defense.kind == "none" else {"defense": with_content(config.defense)}),
        **({} if target.freeze_point == "none" else {"freeze_point": target.freeze_point}),
        **({} if target.trained is None else {"trained": list(target.trained)}),
        **({"replicate": config.replicate} if config.replicate else {}),
    }


def fill(classifier: Classifier, config: TrialConfig, weights: dict[str, Tensor], where: str) -> None:
    """Load `weights` into `classifier`, or raise `ConfigError` naming what is missing, surplus or wrong."""
    expected = classifier.state_dict()
    weights = network_in(config.target.architecture, config.image_size, weights, where)
    if any(name.startswith("stages.") for name in weights):
        _check(expected, weights, config.target.architecture, where)
        classifier.load_state_dict(weights)
        return
    stages = stages_in(
        config.target.architecture,
        config.image_size,
        weights,
        where,
        subject="the target",
        remedy="set trial.target.architecture (-S or --study) to the one that the file was saved from",
    )
    classifier.stages.load_state_dict(stages)
    entry = get_architecture(config.target.architecture)
    own = {entry.torchvision_key(name) for name in stages} if entry.torchvision_key else set()
    last = [name for name in weights if name.startswith((*HEADS, *entry.surplus)) and name not in own]
    heads = [name for name in last if weights[name].ndim == 2]
    if len(heads) != 1 or f"{heads[0].removesuffix('weight')}bias" not in weights:
        raise ConfigError(
            f"expected one linear layer as the head in {where}, got {listed(heads) or 'none'}; save the "
            f"weights of a {config.target.architecture} with a linear head, or those that this program made"
        )
    head = {"weight": weights[heads[0]], "bias": weights[f"{heads[0].removesuffix('weight')}bias"]}
    _check(classifier.head.state_dict(), head, f"the head of {config.target.architecture}", where)
    classifier.head.load_state_dict(head)


def _check(expected: dict[str, Tensor], weights: dict[str, Tensor], what: str, where: str) -> None:
    problems = misfits(expected, weights)
    if problems:
        raise ConfigError(
            f"expected the weights of {what} for the private identities; {where} does not fit: "
            f"{problems}; check target.architecture, image_size, the defense and the identities"
        )


def _digest(classifier: Classifier) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(classifier.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
