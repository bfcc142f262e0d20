"""Base classes of analyses: knobs, and one verb that looks at an attacked target, or at a way of training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.datasets.split import Split
from trainables.defenses.base import Defense
from trainables.errors import ConfigError
from trainables.judges.base import JudgeModel
from trainables.method import Method
from trainables.training.classifier import Target


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """Opinion of one judge on all reconstructions.

    Attributes:
        judge: its name: its kind, numbered where several judges are of one kind.
        choices: its first choice for each reconstruction, int64 (R, N).
        test_accuracy: its own on the private test images, in [0, 1].
    """

    judge: str
    choices: Tensor
    test_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Subject of an analysis: one trained target and the reconstructions of one attack on it.

    Attributes:
        target: in eval mode, on `device`; images (B, 3, S, S) in [0, 1] on that device -> logits (B, K).
        judge: ready for use on `device`, see `JudgeModel`.
        private: the private images in three parts, uint8 pixels on the CPU.
        reconstructions: uint8 (R, N, 3, S, S) on the CPU, R restarts of `identities`.
        identities: int64 (N,), labels below K.
        device: of target and judge.
        seed: of everything random; the same subject and seed give the same figures.
        opinions: of all judges of the trial, the one that counts first; for an analysis that asks for them.
    """

    target: Classifier
    judge: JudgeModel
    private: Split
    reconstructions: Tensor
    identities: Tensor
    device: str = "cpu"
    seed: int = 0
    opinions: tuple[Opinion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingSubject:
    """Subject of an analysis of a way of training: no target is given, the analysis trains its own.

    Attributes:
        recipe, defense: of the trial.
        private: the private images in three parts.
        begin: ``begin(classes, defense, freeze_point) -> Classifier``: an untrained target on the CPU that
            starts from the trial's pre-training, with the head of that defense.
        device: to train on.
        seed: of everything random.
    """

    recipe: Target
    defense: Defense
    private: Split
    begin: Callable[[int, Defense, str], Classifier]
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AnyAnalysis(Method):
    """The base of both kinds of analyses.

    Attributes:
        columns: the figures of `measure` that a table shows, in order; a figure ``NAME_interval``, if there
            is one, is shown beside NAME. A list is shown line by line, and lists side by side.
        limits: what its figures do not show, in one line that stands beside them.
    """

    columns: ClassVar[tuple[str, ...]]
    limits: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Analysis(AnyAnalysis):
    """The base of analyses of an attacked target: knobs and `measure`. Register a subclass in ``ANALYSES``.

    Attributes:
        takes_opinions: whether it reads what every judge of the trial makes of each reconstruction.
        compared: figures ``NAME_per_identity`` that are compared between trials, person by person; a NAME
            that is measured for each judge is ``NAME_per_identity.JUDGE``.
        least_judges: how many a trial must have.
    """

    takes_opinions: ClassVar[bool] = False
    least_judges: ClassVar[int] = 1
    compared: ClassVar[tuple[str, ...]] = ()

    def check_judges(self, count: int) -> None:
        """Raise `ConfigError` where a trial has fewer judges than the analysis needs; before any work."""
        if count < self.least_judges:
            raise ConfigError(
                f"analysis '{self.kind}' expects at least {self.least_judges} judges, got {count} (judge); "
                "list several under judge in the study, or add one to a checkpoint's with -S"
            )

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return figures by name, JSON-ready: numbers, texts, pairs of numbers for intervals, and lists."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TrainingAnalysis(AnyAnalysis):
    """The base of analyses of a way of training; one figure a trial, whatever attacks it.

    Attributes:
        repeatable: whether the same subject gives the same figures; seconds never are the same.
    """

    repeatable: ClassVar[bool] = True

    def measure(self, subject: TrainingSubject) -> dict[str, Any]:
        """Return figures by name, as `Analysis.measure` does."""
        raise NotImplementedError
