"""Analyses as stages, measured once and stored: of one attack on one target, and of a way of training."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trainables.analyses.base import Analysis, Opinion, Subject, TrainingAnalysis, TrainingSubject
from trainables.architectures.base import Classifier
from trainables.config import TrialConfig
from trainables.defenses.base import Defense
from trainables.pretraining.base import load_stages
from trainables.runtime.progress import Report, silent
from trainables.runtime.seeds import derive
from trainables.stages.base import get_for_people, on_machine
from trainables.stages.data import load_data
from trainables.stages.opinion import make_opinion
from trainables.stages.pretrained import make_pretrained
from trainables.stages.target import load_target
from trainables.storage.content import with_content
from trainables.storage.disk import load
from trainables.storage.store import Stage, Store
from trainables.training.classifier import build_classifier
from trainables.training.freeze import freeze

VERSION = 1  # of the stages themselves: an analysis that computes something else raises its own


def make_analysis(
    config: TrialConfig,
    analysis: Analysis,
    trained: Stage,
    attacked: Stage,
    judged: Stage,
    others: Sequence[Stage] = (),
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return the figures of `analysis`, as the result of a stage, for what `attacked` made of `trained`.

    others: the trial's other judges, fitted, in order; for an analysis that takes opinions.
    """

    fitted = [judged, *others] if analysis.takes_opinions else []

    def make(_: Path) -> dict[str, Any]:
        data = load_data(config)
        reconstructions = load(attacked.path / "reconstructions.pt")
        opinions = [
            make_opinion(config, judge, stage, attacked, store=store, device=device, report=report)
            for judge, stage in zip(config.judges, fitted, strict=False)
        ]
        report("analysis", 0, 1)
        figures = analysis.measure(
            Subject(
                target=load_target(config, data, trained).to(device),
                judge=config.judge.restore(load(judged.path / "judge.pt"), data.split, device),
                private=data.split,
                reconstructions=reconstructions["images"],
                identities=reconstructions["identities"],
                device=device,
                seed=config.seed,
                opinions=tuple(
                    Opinion(
                        judge=name,
                        choices=torch.tensor(opinion.result["choices"]),
                        test_accuracy=stage.result["test_accuracy"],
                    )
                    for name, opinion, stage in zip(judge_names(config), opinions, fitted, strict=False)
                ),
            )
        )
        report("analysis", 1, 1)
        return figures

    # The keys of the other stages hold the seed, the image size and the private data.
    parts = {
        "version": VERSION,
        "analysis": with_content(analysis),
        "target": trained.key,
        "attack": attacked.key,
        "judge": judged.key,
        **({"judges": [stage.key for stage in fitted]} if fitted else {}),
    }
    return store.get("analysis", parts, on_machine(device, make))


def judge_names(config: TrialConfig) -> list[str]:
    """Return the names of the trial's judges in order: their kinds, numbered where they repeat."""
    counts: Counter[str] = Counter()
    names = []
    for judge in config.judges:
        counts[judge.kind] += 1
        names.append(judge.kind if counts[judge.kind] == 1 else f"{judge.kind}_{counts[judge.kind]}")
    return names


def make_training_analysis(
    config: TrialConfig,
    analysis: TrainingAnalysis,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return the figures of `analysis`, as the result of a stage, for the way in which `config` trains."""
    data = load_data(config)
    backbone = make_pretrained(config, store=store, device=device, report=report)

    def begin(classes: int, defense: Defense, freeze_point: str) -> Classifier:
        target = config.target
        seed = derive(config.seed, "target", "weights", config.replicate)
        classifier = build_classifier(
            target.architecture, classes, config.image_size, target.normalization, seed
        )
        classifier = defense.prepare(classifier)
        freeze(classifier, freeze_point, target.frozen_batchnorm)
        load_stages(classifier, load(backbone.path / "stages.pt"))
        return classifier

    def make(_: Path) -> dict[str, Any]:
        report("analysis", 0, 1)
        figures = analysis.measure(
            TrainingSubject(
                recipe=config.target,
                defense=config.defense,
                private=data.split,
                begin=begin,
                device=device,
                seed=derive(config.seed, "replicate", config.replicate),
            )
        )
        report("analysis", 1, 1)
        return figures

    parts = {
        "version": VERSION,
        "analysis": with_content(analysis),
        "target": with_content(config.target),
        "defense": with_content(config.defense),
        "backbone": backbone.key,
        "private": data.private_key,
        "validation": config.validation,
        "test": config.test,
        "seed": config.seed,
        "replicate": config.replicate,
    }
    return get_for_people(store, "analysis", parts, data.split.train.names, on_machine(device, make))
