"""What every defense is: a loss, and, where it needs one, a change of the classifier before training."""

from typing import ClassVar, Protocol

from torch import Tensor

from trainables.architectures.base import Classifier, Trace


class Defense(Protocol):
    """A frozen dataclass of knobs. Register it in ``defenses.DEFENSES``.

    images_per_identity: how many images of one identity a training batch holds, or None for plain shuffling.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    @property
    def images_per_identity(self) -> int | None: ...

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier to train, changed in place or as it came."""
        ...

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the scalar training loss.

        logits (m, K), labels (m,), images (m, 3, S, S) in [0, 1]; trace holds the outputs of the hooks whose
        stage is trained (frozen ones are left out), and what the head reports.
        """
        ...
