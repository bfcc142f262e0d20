"""What every defense is: a loss, and, where it needs one, a change of the classifier before training."""

from dataclasses import dataclass

from torch import Tensor

from trainables.architectures.base import Classifier, Trace
from trainables.method import Method


@dataclass(frozen=True, kw_only=True)
class Defense(Method):
    """The base of all defenses: knobs and a loss. Register a subclass in ``defenses.DEFENSES``."""

    @property
    def images_per_identity(self) -> int | None:
        """Return how many images of one identity a training batch holds; None for plain shuffling."""
        return None

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier to train, changed in place or as it came."""
        return classifier

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the scalar training loss.

        logits (m, K), labels (m,), images (m, 3, S, S) in [0, 1]; trace holds the outputs of the hooks whose
        stage is trained (frozen ones are left out), and what the head reports.
        """
        raise NotImplementedError
