"""The ceiling: the same attack on the best white-box view of the people, judged by the study's judge."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from trainables.architectures import ARCHITECTURES, get_architecture
from trainables.config import TrialConfig
from trainables.controls.results import TargetControl
from trainables.controls.targets import attack_target
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.judges.classifier import ClassifierJudge
from trainables.pretraining.base import load_stages
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.base import get_for_people, on_machine
from trainables.stages.data import load_data
from trainables.stages.pretrained import make_pretrained
from trainables.stages.target import measured
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.pixel_cache import joined
from trainables.storage.store import Stage, Store
from trainables.training.classifier import Target, build_classifier, train_classifier
from trainables.training.freeze import count_parameters

VERSION = 1


def ceiling_trial(config: TrialConfig, architecture: str | None = None) -> TrialConfig:
    """Return the trial whose target is the view: a judge's recipe on another architecture than the judge's.

    architecture: of the view; None takes the target's, whose backbone is there already, and where that is the
    judge's too, the first of the registry that takes images of this size and is not.
    The recipe is the judge's where that is a classifier, else the usual one of such a judge; the view sees
    images at their own size, also where the judge enlarges them.
    """
    judge = config.judge if isinstance(config.judge, ClassifierJudge) else None
    of_judge = None if judge is None else judge.architecture
    if architecture is not None and architecture == of_judge:
        raise ConfigError(
            f"the ceiling expects another architecture than the judge's; got '{architecture}' twice "
            "(controls.ceiling_architecture); choose another, or leave it out"
        )
    own = config.target.architecture  # which a trial has checked
    names = [architecture] if architecture else [own, *ARCHITECTURES]
    fits = (name for name in names if name != of_judge and (name == own or _fits(name, config.image_size)))
    chosen = next(fits, None)
    if chosen is None:
        raise ConfigError(
            f"the ceiling expects an architecture for images of {config.image_size} pixels other than the "
            f"judge's; got {', '.join(names)} (controls.ceiling_architecture, image_size); choose another"
        )
    recipe = judge or ClassifierJudge(architecture=chosen)
    target = Target(
        architecture=chosen,
        normalization=config.target.normalization if chosen == own else recipe.normalization,
        **recipe.shared(),
    )
    return replace(config, target=target, defense=NoDefense())


def _fits(architecture: str, image_size: int) -> bool:
    """Return whether the architecture takes images of that size."""
    try:
        get_architecture(architecture).check_size(image_size)
        with torch.device("meta"):
            network = get_architecture(architecture).build(2, image_size).eval()
            network(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, ConfigError):
        return False
    return True


def make_view(
    config: TrialConfig, trial: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the view: the classifier of `trial` (see `ceiling_trial`), a stage like a trained target.

    It learns from the private training and validation images, to its last epoch, under a seed of its own,
    from the study's backbone where it is of the target's architecture, else from random weights.
    """
    data = load_data(config)
    own = trial.target.architecture == config.target.architecture
    backbone = make_pretrained(config, store=store, device=device, report=report) if own else None
    seed = derive(config.seed, "ceiling", config.replicate)

    def make(folder: Path) -> dict[str, Any]:
        recipe, classes = trial.target, data.split.train.classes
        classifier = build_classifier(
            recipe.architecture, classes, config.image_size, recipe.normalization, seed
        )
        if backbone is not None:
            load_stages(classifier, load(backbone.path / "stages.pt"))
        trained = train_classifier(
            classifier.to(device),
            recipe,
            trial.defense,
            both(data.split),
            data.split.validation,
            run=Run(seed=seed, device=device, report=report),
            stage="ceiling",
            kept_epoch=recipe.epochs,
        )
        save({k: v.cpu() for k, v in classifier.state_dict().items()}, folder / "target.pt")
        return {
            "history": trained.history,
            "best_epoch": trained.best_epoch,
            "validation_accuracy": None,  # of images that it has learnt
            **measured(classifier, data.split, device),
            "parameters": asdict(count_parameters(classifier)),
        }

    parts = {
        "version": VERSION,
        "target": with_content(trial.target),
        "backbone": None if backbone is None else backbone.key,
        "private": data.private_key,
        "validation": config.validation,
        "test": config.test,
        "image_size": config.image_size,
        "seed": config.seed,
        "replicate": config.replicate,
    }
    return get_for_people(store, "ceiling", parts, data.split.train.names, on_machine(device, make))


def both(split: Split) -> Images:
    """Return the training and the validation images together."""
    first, second = split.train, split.validation
    return replace(
        first,
        pixels=joined(first.pixels, second.pixels),
        labels=torch.cat((first.labels, second.labels)),
        files=first.files + second.files,
        reserved=None,  # which parts they came from matters no more
        checked=None,
        digests=None,
    )


def ceiling_target(
    config: TrialConfig,
    attack: str,
    architecture: str | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> TargetControl:
    """Return what the attack reaches on the view, judged by the study's judge: all that the prior can show.

    Judged by the network that was attacked it would be 1 by construction. An attack without gradients sees no
    more of the view than it sees of a target; a prior that needs a target is trained for the view.
    """
    trial = ceiling_trial(config, architecture)
    view = make_view(config, trial, store=store, device=device, report=report)
    return attack_target("ceiling", trial, attack, view, store=store, device=device, report=report)
