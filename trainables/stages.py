"""The stages of a trial, each made once and kept under a key of all that went into it."""

import functools
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.arithmetic import computing
from trainables.attacks.base import Reconstructions, coupled, to_pixels
from trainables.config import Threat, TrialConfig
from trainables.data import Data, attacked_identities, load_data
from trainables.datasets.base import Images
from trainables.freeze import count_parameters, freeze
from trainables.oracle import observe
from trainables.origin import with_content
from trainables.pretraining import load_stages
from trainables.priors.base import Prior, PriorNetworks, restore, state
from trainables.progress import Report, silent
from trainables.randomness import derive
from trainables.resume import Resume
from trainables.shards import Part, Spread, Work, cut, merge
from trainables.store import Stage, Store, content_key
from trainables.target import accuracy, build_classifier, train_classifier
from trainables.verdict import score

# Raised when a change of the code changes what a stage computes, so that older results are not reused.
VERSIONS = {
    "pretrained": 1,
    "prior": 1,
    "judge": 1,
    "target": 1,
    "auxiliary": 1,
    "attack": 1,
    "verdict": 1,
}


def make_pretrained(
    config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the weights that targets start from."""

    def make(folder: Path) -> dict[str, Any]:
        weights = config.pretraining.stages_state(
            config.target.architecture,
            config.image_size,
            normalization=config.target.normalization,
            seed=config.seed,
            device=device,
            report=report,
        )
        torch.save(weights, folder / "stages.pt")
        return {"weights": weights is not None}

    return store.get("pretrained", pretrained_parts(config), make)


def pretrained_parts(config: TrialConfig) -> dict[str, Any]:
    """Return all that the backbone depends on."""
    return {
        **_common(config, "pretrained"),
        "pretraining": with_content(config.pretraining),
        "architecture": config.target.architecture,
        "normalization": config.target.normalization,
    }


def make_judge(config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent) -> Stage:
    """Return the judge, fitted on all private training images."""
    data = load_data(config)

    def make(folder: Path) -> dict[str, Any]:
        saved = config.judge.fit(data.split, seed=config.seed, device=device, report=report)
        torch.save(saved, folder / "judge.pt")
        torch.save({"images": _examples(data.split.train)}, folder / "examples.pt")
        model = config.judge.restore(saved, data.split, device)
        return {"test_accuracy": model.test_accuracy}

    return store.get("judge", judge_parts(config), make)


def judge_parts(config: TrialConfig) -> dict[str, Any]:
    """Return all that the judge depends on."""
    return {
        **_common(config, "judge"),
        "judge": with_content(config.judge),
        "private": load_data(config).private_key,
        "validation": config.validation,
        "test": config.test,
    }


def make_prior(
    config: TrialConfig,
    prior: Prior,
    trained: Stage | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return the trained `prior`; one that needs a target is made for `trained`, any other once for all."""
    data = load_data(config)
    target = trained if prior.needs_target else None

    def make(folder: Path) -> dict[str, Any]:
        victim = None if target is None else load_target(config, data, target).to(device)
        networks = prior.train(data.public, seed=config.seed, device=device, report=report, target=victim)
        torch.save(state(networks), folder / "prior.pt")
        sample = torch.randn(64, networks.latent_size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.save(to_pixels(networks.generator(sample.to(device))).cpu(), folder / "samples.pt")
        return {"public_images": len(data.public)}

    parts = prior_parts(config, prior)
    return store.get("prior", parts if target is None else {**parts, "target": target.key}, make)


def prior_parts(config: TrialConfig, prior: Prior) -> dict[str, Any]:
    """Return all that a prior depends on, but for the target that it may need."""
    return {
        **_common(config, "prior"),
        "prior": with_content(prior),
        "public": load_data(config).public_key,
    }


def make_target(config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent) -> Stage:
    """Return the trained target of `config`."""
    data = load_data(config)
    backbone = make_pretrained(config, store=store, device=device, report=report)

    def make(folder: Path) -> dict[str, Any]:
        classifier = new_target(config, data.split.train.classes)
        load_stages(classifier, _load(backbone.path / "stages.pt"))
        trained = train_classifier(
            classifier.to(device),
            config.target,
            config.defense,
            data.split.train,
            data.split.validation,
            seed=derive(config.seed, "replicate", config.replicate),
            device=device,
            report=report,
        )
        torch.save({k: v.cpu() for k, v in classifier.state_dict().items()}, folder / "target.pt")
        return {
            "history": trained.history,
            "best_epoch": trained.best_epoch,
            "validation_accuracy": trained.validation_accuracy,
            "train_accuracy": accuracy(classifier, data.split.train, device=device),
            "test_accuracy": accuracy(classifier, data.split.test, device=device),
            "parameters": asdict(count_parameters(classifier)),
        }

    parts = {
        "version": VERSIONS["target"],
        "target": with_content(config.target),
        "defense": with_content(config.defense),
        "backbone": backbone.key,
        "private": data.private_key,
        "validation": config.validation,
        "test": config.test,
        "seed": config.seed,
        "replicate": config.replicate,
    }
    return store.get("target", parts, make)


def new_target(config: TrialConfig, classes: int) -> Classifier:
    """Return the untrained target of `config`, with the head of its defense and its prefix frozen."""
    classifier = build_classifier(
        config.target.architecture,
        classes,
        config.image_size,
        config.target.normalization,
        derive(config.seed, "target", "weights", config.replicate),
    )
    classifier = config.defense.prepare(classifier)
    freeze(classifier, config.target.freeze_point, config.target.frozen_batchnorm)
    return classifier


def make_auxiliary(
    config: TrialConfig,
    threat: Threat,
    trained: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage | None:
    """Return what the attack of `threat` learns of the target and public images first, or None."""
    recipe = threat.attack.auxiliary
    if recipe is None:
        return None
    data = load_data(config)

    def make(folder: Path) -> dict[str, Any]:
        target = load_target(config, data, trained).to(device)
        seen = observe(target, threat.attack.threat_model, device)
        made = recipe.make(seen, data.public, seed=config.seed, device=device, report=report)
        torch.save(made, folder / "auxiliary.pt")
        return {"queries": getattr(seen, "queries", None)}

    parts = {
        "version": VERSIONS["auxiliary"],
        "auxiliary": with_content(recipe),
        "threat_model": threat.attack.threat_model,
        "target": trained.key,
        "public": data.public_key,
        "seed": config.seed,
    }
    return store.get("auxiliary", parts, make)


def make_attack(
    config: TrialConfig,
    threat: Threat,
    trained: Stage,
    prior: Stage,
    auxiliary: Stage | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    spread: Spread | None = None,
    longer: Threat | None = None,
) -> Stage:
    """Return the reconstructions that the attack of `threat` makes of the trained target.

    spread: runs parts of the identities elsewhere; None works on all of them here. The result is the same.
    longer: an attack of which this one is the beginning (`goes_on`); it will find the state that is left.
    """
    data = load_data(config)

    def parts_of(threat: Threat) -> dict[str, Any]:
        return {
            "version": VERSIONS["attack"],
            "attack": with_content(threat.attack),
            **threat.unusual,
            "prior": prior.key,
            "target": trained.key,
            "identities": config.identities,
            **({} if auxiliary is None else {"auxiliary": auxiliary.key}),
        }

    unfinished = store.root / "attack" / f"{content_key(**parts_of(longer or threat))}.unfinished"

    def make(folder: Path) -> dict[str, Any]:
        identities = attacked_identities(config, data)
        job = Job(
            config=config,
            threat=threat,
            trained=trained.path,
            prior=prior.path,
            auxiliary=None if auxiliary is None else auxiliary.path,
            identities=identities,
            classes=data.split.train.classes,
        )
        shards = 1 if spread is None else spread.shards
        spread_out = spread or _here
        parts = cut(len(identities), shards, coupled(threat.attack), unfinished)
        found = merge(spread_out(functools.partial(invert_part, job), parts, device, report))
        torch.save(
            {"images": found.images.cpu(), "latents": found.latents.cpu(), "identities": identities},
            folder / "reconstructions.pt",
        )
        return {"history": found.history, "queries": found.queries}

    made = store.get("attack", parts_of(threat), make)
    if longer is None:
        shutil.rmtree(unfinished, ignore_errors=True)
    return made


@dataclass(frozen=True, kw_only=True)
class Job:
    """An attack on a trained target, with the folders of the stages it needs: what another process must know.

    identities: labels, int64 (N,). classes: of the target. The data are not needed.
    """

    config: TrialConfig
    threat: Threat
    trained: Path
    prior: Path
    auxiliary: Path | None
    identities: Tensor
    classes: int


def invert_part(job: Job, part: Part, device: str, report: Report) -> Reconstructions:
    """Return the reconstructions of the identities of `part`; what is unfinished lies in its folder."""
    config, attack = job.config, job.threat.attack
    target = _read_target(config, job.classes, job.trained).to(device)
    with computing(job.threat.arithmetic):
        return attack.invert(
            observe(target, attack.threat_model, device),
            load_prior(config, job.threat.prior, job.prior, job.classes, device),
            job.identities[part.first : part.stop],
            seed=derive(config.seed, "replicate", config.replicate),
            device=device,
            report=report,
            auxiliary=None if job.auxiliary is None else _load(job.auxiliary / "auxiliary.pt"),
            resume=Resume(part.folder),
        )


def _here(work: Work, parts: Sequence[Part], device: str, report: Report) -> list[Reconstructions]:
    return [work(part, device, report) for part in parts]


def make_verdict(
    config: TrialConfig,
    trained: Stage,
    attacked: Stage,
    judged: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return what the judge says of the reconstructions."""
    data = load_data(config)

    def make(_: Path) -> dict[str, Any]:
        saved = _load(judged.path / "judge.pt")
        judge = config.judge.restore(saved, data.split, device)
        found = _load(attacked.path / "reconstructions.pt")
        target = load_target(config, data, trained).to(device)
        report("judge", 0, 1)
        labels = data.split.train.labels
        result = score(
            judge, target, found["images"], found["identities"], saved["train_features"], labels, device
        )
        report("judge", 1, 1, **result["metrics"])
        return result

    parts = {
        "version": VERSIONS["verdict"],
        "attack": attacked.key,
        "judge": judged.key,
        "target": trained.key,
    }
    return store.get("verdict", parts, make)


def load_target(config: TrialConfig, data: Data, trained: Stage) -> Classifier:
    """Return the trained target, in eval mode, on the CPU."""
    return _read_target(config, data.split.train.classes, trained.path)


def _read_target(config: TrialConfig, classes: int, folder: Path) -> Classifier:
    classifier = new_target(config, classes)
    classifier.load_state_dict(_load(folder / "target.pt"))
    return classifier.eval()


def load_prior(config: TrialConfig, prior: Prior, folder: Path, classes: int, device: str) -> PriorNetworks:
    """Return the prior trained in `folder` for a target of `classes`, ready for an attack on `device`."""
    networks = restore(prior.build(config.image_size, classes), _load(folder / "prior.pt"))
    networks.generator.to(device)
    networks.discriminator.to(device)
    return networks


def _common(config: TrialConfig, stage: str) -> dict[str, Any]:
    return {"version": VERSIONS[stage], "seed": config.seed, "image_size": config.image_size}


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _examples(train: Images) -> Tensor:
    """Return one private image per identity, uint8 (K, 3, S, S): the first of each."""
    first = [int((train.labels == label).nonzero()[0]) for label in range(train.classes)]
    return train.pixels[torch.tensor(first)]
