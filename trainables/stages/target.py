"""The trained target, as a stage."""

import functools
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from trainables.architectures.base import Classifier, Shield
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.datasets.base import Images, as_float
from trainables.datasets.split import Split
from trainables.oracle import ScoreOracle, observe
from trainables.pretraining.base import load_stages
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.base import VERSIONS, get_for_people, on_machine, unfinished
from trainables.stages.data import Data, load_data
from trainables.stages.pretrained import make_pretrained
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.resume import Resume
from trainables.storage.store import Stage, Store
from trainables.training.classifier import (
    Target,
    accuracy,
    accuracy_per_identity,
    build_classifier,
    hits,
    train_classifier,
)
from trainables.training.freeze import count_parameters, freeze


def make_target(
    config: TrialConfig,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    kept_epoch: int | None = None,
) -> Stage:
    """Return the trained target of `config`; kept_epoch: see `train_classifier`.

    A target that its recipe stops, and one that a control stops at the same epoch, are one.
    """
    data = load_data(config)
    kept_epoch = config.target.kept_epoch if kept_epoch is None else kept_epoch
    backbone = make_pretrained(config, store=store, device=device, report=report)

    def make(folder: Path, resume: Resume) -> dict[str, Any]:
        classifier = new_target(config, data.split.train.classes)
        load_stages(classifier, load(backbone.path / "stages.pt"))
        trained = train_classifier(
            classifier.to(device),
            config.target,
            config.defense,
            data.split.train,
            data.split.validation,
            run=Run(
                seed=derive(config.seed, "replicate", config.replicate),
                device=device,
                report=report,
                resume=resume,
            ),
            kept_epoch=kept_epoch,
        )
        save({k: v.cpu() for k, v in classifier.state_dict().items()}, folder / "target.pt")
        stored = store_defense(config, classifier, data.split, trained.kept, folder, device)
        return {
            "history": trained.history,
            "best_epoch": trained.best_epoch,
            "images_seen": trained.images_seen,
            "validation_accuracy": trained.validation_accuracy,
            **measured(classifier, data.split, device, config.defense.shield(stored)),
            "parameters": asdict(count_parameters(classifier)),
            **defense_figures(config, classifier, data.split, stored, device),
        }

    parts = {
        "version": VERSIONS["target"],
        "target": with_content(_decisive(config.target)),
        "defense": with_content(config.defense),
        "backbone": backbone.key,
        "private": data.private_key,
        "validation": config.validation,
        "test": config.test,
        "seed": config.seed,
        "replicate": config.replicate,
        **({} if kept_epoch is None else {"kept_epoch": kept_epoch}),
    }
    names = data.split.train.names
    with unfinished(store, "target", parts, names) as resume:
        made = on_machine(device, functools.partial(make, resume=resume))
        return get_for_people(store, "target", parts, names, made)


def store_defense(
    config: TrialConfig,
    classifier: Classifier,
    split: Split,
    kept: dict[str, torch.Tensor],
    folder: Path,
    device: str,
) -> dict[str, torch.Tensor]:
    """Return what the defense stores beside the weights of a target, and write it into its folder if any."""
    stored = config.defense.finish(classifier, split.validation, kept, device)
    if stored:
        save({name: value.cpu() for name, value in stored.items()}, folder / "defense.pt")
    return stored


def defense_figures(
    config: TrialConfig,
    classifier: Classifier,
    split: Split,
    stored: dict[str, torch.Tensor],
    device: str,
) -> dict[str, dict[str, float]]:
    """Return the defense's own figures under ``figures``; nothing where it has none."""
    figures = config.defense.figures(classifier, stored, split.test, device)
    return {"figures": figures} if figures else {}


def load_defense(folder: Path) -> dict[str, torch.Tensor]:
    """Return what the defense of the target in `folder` stored beside its weights; {} for most."""
    path = folder / "defense.pt"
    return dict(load(path)) if path.is_file() else {}


def seen_by(
    config: TrialConfig,
    plan: AttackPlan,
    target: Classifier,
    folder: Path,
    device: str,
    *,
    threat_model: str | None = None,
) -> Any:
    """Return what the attack of `plan` sees of `target`, whose stage is in `folder`; see `observe`.

    An adaptive attack sees the defense's adapted form of it.
    threat_model: what a prior or another helper of the attack sees, if that is less.
    """
    stored = load_defense(folder)
    return observe(
        config.defense.adapted(target, stored) if plan.adaptive else target,
        threat_model or plan.attack.threat_model,
        device,
        shield=config.defense.shield(stored),
        averaged=plan.answers_averaged,
    )


def measured(
    classifier: Classifier, split: Split, device: str, shield: Shield | None = None
) -> dict[str, Any]:
    """Return the accuracies of a target, and which test images it names rightly.

    shield: of its defense; the accuracies are then those of the answers that it lets out, and the accuracy on
    the validation images is among them.

    train_accuracy, test_accuracy: shares of images, in [0, 1].
    test_accuracy_per_identity: mean over identities of the share of their test images.
    test_correct: "1" or "0" for each test image, in order, so that two targets can be compared in pairs.
    """
    if shield is None:
        right = hits(classifier, split.test, device=device)
        others = {"train_accuracy": accuracy(classifier, split.train, device=device)}
    else:
        oracle = ScoreOracle(classifier, device, shield=shield)
        right = _answered(oracle, split.test)
        others = {
            f"{name}_accuracy": _answered(oracle, images).double().mean().item()
            for name, images in (("train", split.train), ("validation", split.validation))
        }
    return {
        **others,
        "test_accuracy": right.double().mean().item(),
        "test_accuracy_per_identity": accuracy_per_identity(right, split.test.labels),
        "test_correct": "".join("1" if hit else "0" for hit in right.tolist()),
    }


def _answered(oracle: ScoreOracle, images: Images) -> torch.Tensor:
    """Return which of `images` the answers name rightly, bool (N,) on the CPU."""
    labels = [oracle(as_float(pixels)).argmax(1).cpu() for pixels in torch.split(images.pixels, 256)]
    return torch.cat(labels) == images.labels


def _decisive(target: Target) -> Target:
    """Return the knobs of `target` that decide its weights beside the epoch that is kept."""
    target = replace(target, kept_epoch=None)
    return target if target.frozen != "none" else replace(target, frozen_batchnorm="eval")  # of nothing


def new_target(config: TrialConfig, classes: int) -> Classifier:
    """Return the untrained target of `config`, with the head of its defense, frozen as it says."""
    classifier = build_classifier(
        config.target.architecture,
        classes,
        config.image_size,
        config.target.normalization,
        derive(config.seed, "target", "weights", config.replicate),
    )
    classifier = config.defense.prepare(classifier)
    target = config.target
    freeze(classifier, target.freeze_point, target.frozen_batchnorm, target.trained)
    return classifier


def load_target(config: TrialConfig, data: Data, trained: Stage) -> Classifier:
    """Return the trained target, in eval mode, on the CPU."""
    return _read_target(config, data.split.train.classes, trained.path)


def _read_target(config: TrialConfig, classes: int, folder: Path) -> Classifier:
    classifier = new_target(config, classes)
    classifier.load_state_dict(load(folder / "target.pt"))
    return classifier.eval()
