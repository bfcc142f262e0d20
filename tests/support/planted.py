"""A planted leak: a prior that can show the private people, and a judge that knows them by their pixels."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.base import Attack
from trainables.attacks.gmi import GMI
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.datasets.base import Images, as_float
from trainables.datasets.split import Split
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses.none import NoDefense
from trainables.judges.base import Judge, JudgeModel, top1
from trainables.pretraining.none import Scratch
from trainables.priors.base import Prior, PriorNetworks, TargetView, eval_mode
from trainables.runtime.run import Run
from trainables.training.classifier import Target

PEOPLE = 8
PRIVATE = SyntheticFaces(population="private", identities=PEOPLE, images_per_identity=8)


def means(images: Images) -> Tensor:
    """Return each person's mean picture, (K, 3, S, S) in [0, 1]."""
    pixels = as_float(images.pixels)
    return torch.stack([pixels[images.labels == label].mean(0) for label in range(images.classes)])


class Blend(nn.Module):
    """Latents (n, K) -> blends of K pictures; a large entry shows its picture alone."""

    def __init__(self, pictures: Tensor) -> None:
        super().__init__()
        self.pictures = nn.Buffer(pictures)
        self.weight = nn.Parameter(torch.tensor(8.0))

    def forward(self, latents: Tensor) -> Tensor:
        return torch.einsum("nk,kchw->nchw", (self.weight * latents).softmax(1), self.pictures)


class NoOpinion(nn.Module):
    """Scores of zero for all images."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1) * 0


@dataclass(frozen=True, kw_only=True)
class Album(Prior):
    """Blends of the mean pictures of `people`."""

    kind: ClassVar[str] = "album"
    summary: ClassVar[str] = "blends of pictures"
    source: ClassVar[str] = "a test"
    threat_model: ClassVar[TargetView] = "nothing"

    people: SyntheticFaces = PRIVATE

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        pictures = torch.zeros(self.people.identities, 3, image_size, image_size)
        return PriorNetworks(Blend(pictures), NoOpinion(), self.people.identities)

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        networks = self.build(public.pixels.shape[-1])
        networks.generator.pictures.copy_(means(self.people.load(public.pixels.shape[-1])))
        return eval_mode(networks)


@dataclass(frozen=True, kw_only=True)
class TargetAlbum(Album):
    """The same, but made for a target."""

    kind: ClassVar[str] = "target_album"
    needs_target: ClassVar[bool] = True

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        assert isinstance(target, Classifier)
        return super().train(public, run=run)


@dataclass(frozen=True, kw_only=True)
class Nearest(Judge):
    """The person whose mean training picture is nearest."""

    kind: ClassVar[str] = "nearest"
    summary: ClassVar[str] = "nearest mean picture"
    source: ClassVar[str] = "a test"

    def fit(self, split: Split, *, run: Run) -> dict[str, Any]:
        return {"means": means(split.train), "train_features": as_float(split.train.pixels).flatten(1)}

    def restore(self, saved: dict[str, Any], split: Split, device: str) -> JudgeModel:
        def logits(images: Tensor) -> Tensor:
            return -torch.cdist(images.flatten(1), saved["means"].flatten(1).to(images))

        accuracy = top1(logits, split.test, device)
        return JudgeModel(logits=logits, features=lambda images: images.flatten(1), test_accuracy=accuracy)


LEAK = GMI(iterations=40, restarts=2, learning_rate=0.2, identity_weight=100.0, group=PEOPLE)
CRIPPLED = replace(LEAK, iterations=1, learning_rate=1e-6)


def planted_trial(attack: Attack = LEAK, prior: Prior | None = None, **changes: Any) -> TrialConfig:
    """Return a trial whose target learns eight rendered people, whom the prior can show."""
    prior = prior or Album()
    trial = TrialConfig(
        image_size=32,
        private=PRIVATE,
        public=SyntheticFaces(population="public", identities=4, images_per_identity=4),
        pretraining=Scratch(),
        target=Target(
            architecture="small_cnn",
            epochs=14,
            batch_size=8,
            optimizer="adam",
            learning_rate=3e-3,
            augmentation="none",
        ),
        defense=NoDefense(),
        prior=prior,
        attack=(AttackPlan(attack=attack, prior=prior),),
        judge=Nearest(),
    )
    return replace(trial, **changes)
