"""One trial, top to bottom: data, backbone, target, prior, attack, judge. No stage is made twice."""

import functools
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import to_pixels
from trainables.config import TrialConfig
from trainables.datasets.base import Dataset, Images
from trainables.errors import TrialError
from trainables.freeze import count_parameters, freeze
from trainables.judges.base import JudgeModel, outputs
from trainables.metrics.attack_accuracy import attack_accuracy
from trainables.metrics.knn_distance import knn_distance
from trainables.noise import head_noise
from trainables.origin import with_content
from trainables.overlap import check_disjoint
from trainables.pretraining import load_stages
from trainables.priors.base import PriorNetworks, restore, state
from trainables.progress import Report, silent
from trainables.randomness import derive, stream
from trainables.split import Split, split
from trainables.store import Stage, Store
from trainables.target import accuracy, build_classifier, train_classifier

SHARED = ("pretrained", "prior", "judge")

# Raised when a change of the code changes what a stage computes, so that older results are not reused.
VERSIONS = {"pretrained": 1, "prior": 1, "judge": 1, "target": 1, "attack": 1, "verdict": 1}

WEAK_JUDGE = 0.9  # below this test accuracy a judge's verdict says little


@dataclass(frozen=True)
class Data:
    """The images of a trial, and fingerprints of them for the store's keys."""

    split: Split
    public: Images
    private_key: str
    public_key: str


def run_trial(
    config: TrialConfig, *, store: Store, device: str = "cpu", report: Report = silent
) -> dict[str, Any]:
    """Return what the trial measured, as JSON-ready data; see the README for its fields.

    Raises ConfigError for data that does not fit, TrialError for a trial that can give no result.
    """
    data = load_data(config)
    trained = make_target(config, data, store=store, device=device, report=report)
    attacked = make_attack(config, data, trained, store=store, device=device, report=report)
    judged = make_shared(config, "judge", store=store, device=device, report=report)
    verdict = _verdict(config, data, trained, attacked, judged, store=store, device=device, report=report)
    return {
        "values": {
            "test_accuracy": trained.result["test_accuracy"],
            "attack_accuracy": verdict.result["metrics"]["attack_accuracy_top1"],
        },
        "interval": {"attack_accuracy": verdict.result["interval"]},
        "metrics": {
            "validation_accuracy": trained.result["validation_accuracy"],
            "train_accuracy": trained.result["train_accuracy"],
            "judge_test_accuracy": judged.result["test_accuracy"],
            **verdict.result["metrics"],
        },
        "trained_params": trained.result["parameters"]["trained"],
        "total_params": trained.result["parameters"]["total"],
        "parameters": trained.result["parameters"],
        "freeze_point": config.target.freeze_point,
        "defense": config.defense.kind,
        "seconds": {"target": trained.seconds, "attack": attacked.seconds, "judge": verdict.seconds},
        "history": {"target": trained.result["history"], "attack": attacked.result["history"]},
        "artifacts": {
            "target": str(trained.path),
            "attack": str(attacked.path),
            "judge": str(judged.path),
        },
        "warnings": judge_warnings(judged.result["test_accuracy"], trained.result["test_accuracy"]),
    }


def judge_warnings(judge: float, target: float) -> list[str]:
    """Return what a reader must know of a judge with test accuracy `judge`; both in [0, 1]."""
    if judge < WEAK_JUDGE:
        return [
            f"weak judge: its test accuracy is {judge:.3f}, below {WEAK_JUDGE}; attack accuracy is too low"
        ]
    if judge < target:
        return [f"weak judge: its test accuracy {judge:.3f} is below the target's {target:.3f}"]
    return []


def load_data(config: TrialConfig) -> Data:
    """Return the trial's images, split and checked: nobody and no file is both private and public."""
    return _load_data(
        config.private, config.public, config.image_size, config.validation, config.test, config.seed
    )


@functools.lru_cache(maxsize=2)
def _load_data(
    private: Dataset, public: Dataset, image_size: int, validation: float, test: float, seed: int
) -> Data:
    mine, theirs = private.load(image_size), public.load(image_size)
    check_disjoint(mine, theirs)
    parts = split(mine, validation=validation, test=test, seed=seed)
    return Data(parts, theirs, _fingerprint(mine), _fingerprint(theirs))


def _fingerprint(images: Images) -> str:
    digest = hashlib.sha256(images.pixels.contiguous().numpy().tobytes())
    digest.update(images.labels.numpy().tobytes())
    return digest.hexdigest()[:20]


def make_shared(
    config: TrialConfig, name: str, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the shared stage `name` (one of `SHARED`), made now if the store does not hold it."""
    parts = _shared_parts(config, name)

    def pretrained(folder: Path) -> dict[str, Any]:
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

    def prior(folder: Path) -> dict[str, Any]:
        public = load_data(config).public
        networks = config.prior.train(public, seed=config.seed, device=device, report=report)
        torch.save(state(networks), folder / "prior.pt")
        sample = torch.randn(64, networks.latent_size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.save(to_pixels(networks.generator(sample.to(device))).cpu(), folder / "samples.pt")
        return {"public_images": len(public)}

    def judge(folder: Path) -> dict[str, Any]:
        data = load_data(config)
        saved = config.judge.fit(data.split, seed=config.seed, device=device, report=report)
        torch.save(saved, folder / "judge.pt")
        torch.save({"images": _examples(data.split.train)}, folder / "examples.pt")
        model = config.judge.restore(saved, data.split, device)
        return {"test_accuracy": model.test_accuracy}

    return store.get(name, parts, {"pretrained": pretrained, "prior": prior, "judge": judge}[name])


def _shared_parts(config: TrialConfig, name: str) -> dict[str, Any]:
    parts: dict[str, Any] = {"version": VERSIONS[name], "seed": config.seed, "image_size": config.image_size}
    if name == "pretrained":
        used_by = {"architecture": config.target.architecture, "normalization": config.target.normalization}
        return {**parts, "pretraining": with_content(config.pretraining), **used_by}
    data = load_data(config)
    if name == "prior":
        return {**parts, "prior": with_content(config.prior), "public": data.public_key}
    held_out = {"validation": config.validation, "test": config.test}
    return {**parts, "judge": with_content(config.judge), "private": data.private_key, **held_out}


def make_target(
    config: TrialConfig, data: Data, *, store: Store, device: str = "cpu", report: Report = silent
) -> Stage:
    """Return the trained target of `config`."""
    backbone = make_shared(config, "pretrained", store=store, device=device, report=report)

    def make(folder: Path) -> dict[str, Any]:
        classifier = new_target(config, data.split.train.classes)
        load_stages(classifier, torch.load(backbone.path / "stages.pt", weights_only=True))
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


def attacked_identities(config: TrialConfig, data: Data) -> Tensor:
    """Return the labels of the attacked identities, int64 (N,)."""
    classes = data.split.train.classes
    return torch.arange(classes if config.identities is None else min(config.identities, classes))


def make_attack(
    config: TrialConfig,
    data: Data,
    trained: Stage,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
) -> Stage:
    """Return the reconstructions that the attack of `config` makes of the trained target."""
    prior = make_shared(config, "prior", store=store, device=device, report=report)

    def make(folder: Path) -> dict[str, Any]:
        identities = attacked_identities(config, data)
        target = load_target(config, data.split.train.classes, trained.path).to(device)
        found = config.attack.invert(
            target,
            load_prior(config, prior.path, device),
            identities,
            seed=derive(config.seed, "replicate", config.replicate),
            device=device,
            report=report,
        )
        torch.save(
            {"images": found.images.cpu(), "latents": found.latents.cpu(), "identities": identities},
            folder / "reconstructions.pt",
        )
        return {"history": found.history}

    parts = {
        "version": VERSIONS["attack"],
        "attack": with_content(config.attack),
        "prior": prior.key,
        "target": trained.key,
        "identities": config.identities,
    }
    return store.get("attack", parts, make)


def load_target(config: TrialConfig, classes: int, folder: Path) -> Classifier:
    """Return the trained target saved in `folder`, in eval mode."""
    classifier = new_target(config, classes)
    classifier.load_state_dict(torch.load(folder / "target.pt", weights_only=True))
    return classifier.eval()


def load_prior(config: TrialConfig, folder: Path, device: str) -> PriorNetworks:
    """Return the prior saved in `folder`, ready for an attack."""
    networks = restore(
        config.prior.build(config.image_size), torch.load(folder / "prior.pt", weights_only=True)
    )
    networks.generator.to(device)
    networks.discriminator.to(device)
    return networks


def _verdict(
    config: TrialConfig,
    data: Data,
    trained: Stage,
    attacked: Stage,
    judged: Stage,
    *,
    store: Store,
    device: str,
    report: Report,
) -> Stage:
    def make(_: Path) -> dict[str, Any]:
        saved = torch.load(judged.path / "judge.pt", weights_only=True)
        judge = config.judge.restore(saved, data.split, device)
        found = torch.load(attacked.path / "reconstructions.pt", weights_only=True)
        target = load_target(config, data.split.train.classes, trained.path).to(device)
        report("judge", 0, 1)
        train = data.split.train
        result = score(
            judge, target, found["images"], found["identities"], saved["train_features"], train.labels, device
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


def score(
    judge: JudgeModel,
    target: Classifier,
    images: Tensor,
    identities: Tensor,
    private_features: Tensor,
    private_labels: Tensor,
    device: str,
) -> dict[str, Any]:
    """Return the judge's verdict on reconstructions: uint8 images (R, N, 3, S, S) of `identities` (N,).

    private_features (M, F), private_labels (M,): of the private training images, as the judge sees them.
    """
    restarts, count = images.shape[:2]
    flat = images.flatten(0, 1)
    logits = outputs(judge.logits, flat, device)
    found = attack_accuracy(logits.reshape(restarts, count, -1), identities)
    distance = knn_distance(
        outputs(judge.features, flat, device), identities.repeat(restarts), private_features, private_labels
    )
    with head_noise(target, stream(0, "confidence")):  # a noisy head gives the same figure every time
        seen = outputs(target, flat, device).softmax(dim=1)
    confidence = seen[torch.arange(len(flat)), identities.repeat(restarts)].mean().item()
    if not torch.isfinite(logits).all():
        raise TrialError("the judge's logits of the reconstructions are not finite")
    return {
        "metrics": {
            "attack_accuracy_top1": found.top1,
            "attack_accuracy_top5": found.top5,
            **({} if found.std is None else {"attack_accuracy_std": found.std}),  # needs two restarts
            "knn_distance": distance,
            "target_confidence": confidence,
            "chance": 1 / logits.shape[1],
        },
        "interval": list(found.interval),
        "per_identity": found.per_identity.tolist(),
    }


def _examples(train: Images) -> Tensor:
    """Return one private image per identity, uint8 (K, 3, S, S): the first of each."""
    first = [int((train.labels == label).nonzero()[0]) for label in range(train.classes)]
    return train.pixels[torch.tensor(first)]
