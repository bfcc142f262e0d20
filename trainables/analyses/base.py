"""Base class of analyses: knobs, and one verb that looks at one trained, attacked target."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.datasets.split import Split
from trainables.judges.base import JudgeModel
from trainables.method import Method


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
    """

    target: Classifier
    judge: JudgeModel
    private: Split
    reconstructions: Tensor
    identities: Tensor
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Analysis(Method):
    """The base of all analyses: knobs and `measure`. Register a subclass in ``analyses.ANALYSES``.

    Attributes:
        columns: the figures of `measure` that a table shows, in order; a figure ``NAME_interval``, if there
            is one, is shown beside NAME.
    """

    columns: ClassVar[tuple[str, ...]]

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return figures by name, JSON-ready: numbers, and pairs of numbers for intervals."""
        raise NotImplementedError
