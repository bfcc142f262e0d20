"""LOMMA: the logit as identity loss, and students of the target beside it, on the search of GMI or KEDMI."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import Learnt, Passes, ThreatModel
from trainables.attacks.distillation import EFFICIENTNETS, Distillation, restore_students
from trainables.attacks.optim.descent import Guide
from trainables.attacks.optim.gaussian import CPU_PRIOR, GaussianSearch
from trainables.attacks.optim.guided import GuidedSearch
from trainables.attacks.optim.latent import LatentSearch
from trainables.errors import ConfigError
from trainables.method import named_knob
from trainables.nn.identity_losses import IDENTITY_LOSSES
from trainables.runtime.checks import above, at_least

SOURCE = "Nguyen et al., CVPR 2023 (LOMMA)"
CPU_STUDENTS = ("small_cnn", "small_resnet")


def lomma_loss(
    logits: Sequence[Tensor],
    identities: Tensor,
    features: Tensor,
    feature_mean: Tensor | None,
    *,
    identity_loss: Literal["logit", "cross_entropy"],
    feature_weight: float,
) -> Tensor:
    """Return the loss of each image, (n,).

    logits: of every classifier, (n, K) each; their losses are averaged. features (n, F): of the target; their
    mean squared distance to `feature_mean` (F,) is added `feature_weight` times, with the logit loss only.
    """
    loss = IDENTITY_LOSSES[identity_loss]
    own = torch.stack([loss(each, identities) for each in logits]).mean(0)
    if identity_loss != "logit" or feature_weight == 0 or feature_mean is None:
        return own
    return own + feature_weight * (features - feature_mean).square().mean(1)


@dataclass(frozen=True, kw_only=True)
class Lomma(GuidedSearch):
    """The two changes of LOMMA to an attack; the defaults are the published ones, both parts on.

    identity_loss: "logit", the negative logit with a regulariser; "cross_entropy" leaves only augmentation.
    feature_weight: of the regulariser, the mean squared distance between the target's penultimate feature
        and its mean over public images. The paper draws its point from a Gaussian; the released code takes
        the mean, and so does this. The logit has no bound, so without the regulariser only the clip of the
        latents holds it.
    students: architectures of the students that share the identity loss with the target; none leaves only
        the logit loss.
    student_epochs, student_learning_rate, student_weights: see `distillation.Distillation`.
    """

    identity_loss: Literal["logit", "cross_entropy"] = "logit"
    feature_weight: float = 1.0
    students: tuple[str, ...] = named_knob(ARCHITECTURES, EFFICIENTNETS)
    student_epochs: int = 20
    student_learning_rate: float = 0.01
    student_weights: Literal["imagenet", "none"] = "imagenet"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "feature_weight")
        at_least(self, 1, "student_epochs")
        above(self, 0, "student_learning_rate")
        _ = self.auxiliary  # checks the students' knobs

    @property
    def auxiliary(self) -> Distillation | None:
        """Return the recipe of the students and of the mean feature, or None where neither is used."""
        if self.students:
            return Distillation(
                students=self.students,
                weights=self.student_weights,
                epochs=self.student_epochs,
                learning_rate=self.student_learning_rate,
            )
        if self.identity_loss == "logit" and self.feature_weight > 0:
            return Distillation(students=(), epochs=1)
        return None

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if a student does not take images of `image_size` pixels."""
        for name in self.students:
            if name in ARCHITECTURES:  # EfficientNets take all
                ARCHITECTURES[name].check_size(image_size, "image_size, seen by attack.students")

    def guide(self, target: Classifier, auxiliary: Learnt, device: str) -> Guide:
        """Return the identity loss of images, of `target` and the students of `auxiliary`."""
        return self.shared_guide(target, *self.learnt(auxiliary, device))

    def shared_guide(
        self, target: Classifier, students: Sequence[nn.Module], feature_mean: Tensor | None
    ) -> Guide:
        """Return the identity loss of images that `target` and its students share."""

        def loss(images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
            with head_noise(target, noise):
                features = target.features(images)
                logits = [target.head(features), *(student(images) for student in students)]
            return lomma_loss(
                logits,
                labels,
                features,
                feature_mean,
                identity_loss=self.identity_loss,
                feature_weight=self.feature_weight,
            )

        return loss

    def learnt(self, auxiliary: Learnt, device: str) -> tuple[list[Classifier], Tensor | None]:
        """Return the students and the mean feature of `auxiliary`; raise `ConfigError` if they do not fit."""
        if self.auxiliary is None:
            return [], None
        names = tuple(saved["architecture"] for saved in auxiliary["students"]) if auxiliary else None
        if auxiliary is None or names != self.students:
            raise ConfigError(
                f"LOMMA expects what its recipe learns of the target with students {self.students}; got "
                f"{names if auxiliary else None} (auxiliary); make it first: attack.auxiliary.make(target, …)"
            )
        return restore_students(auxiliary["students"], device), auxiliary["feature_mean"].to(device)

    def passes(self) -> Passes:
        """Return what one identity costs; a pass of the target is one of every student, too."""
        passes, classifiers = super().passes(), 1 + len(self.students)
        return replace(
            passes,
            target_forward=passes.target_forward * classifiers,
            target_backward=passes.target_backward * classifiers,
        )


@dataclass(frozen=True, kw_only=True)
class LommaGMI(Lomma, LatentSearch):
    """LOMMA on GMI: Nguyen et al. 2023, "Re-thinking Model Inversion Attacks Against Deep Neural Networks".

    Minimises -D(G(z)) + identity_weight * `lomma_loss` over z; the knobs are those of `LatentSearch` and
    `Lomma`.
    """

    kind: ClassVar[str] = "lomma_gmi"
    summary: ClassVar[str] = "GMI with the logit loss, a feature regulariser and distilled students"
    source: ClassVar[str] = SOURCE
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"iterations": 300, "restarts": 1, "students": CPU_STUDENTS},
    }


@dataclass(frozen=True, kw_only=True)
class LommaKEDMI(Lomma, GaussianSearch):
    """LOMMA on KEDMI: Nguyen et al. 2023, as `LommaGMI`; unlike KEDMI it clips latents before the generator.

    Minimises softplus(-D(G(z))) + identity_weight * `lomma_loss` over the Gaussian that z is drawn from; the
    knobs are those of `GaussianSearch` and `Lomma`. Published with the prior `kedmi`, whose discriminator
    compares the identities of a `group`.
    """

    kind: ClassVar[str] = "lomma_kedmi"
    summary: ClassVar[str] = "KEDMI with the logit loss, a feature regulariser and distilled students"
    source: ClassVar[str] = SOURCE
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"prior": {"kind": "kedmi"}},
        "cpu": {
            "iterations": 300,
            "students": CPU_STUDENTS,
            "prior": CPU_PRIOR,
        },
    }

    clip: float | None = 1.0
