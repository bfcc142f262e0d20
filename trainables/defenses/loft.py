"""LoFt: the last layer becomes a low-rank one with a tanh inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.defenses.base import Defense, linear_head
from trainables.defenses.low_rank_head import Activation, LowRankHead, straight_through
from trainables.runtime.checks import at_least


@dataclass(frozen=True, kw_only=True)
class LoFt(Defense):
    """Yu et al., arXiv 2410.05814 v4: cross-entropy through `LowRankHead` in place of the last layer.

    rank: numbers in the middle; published 50 of 2048 for 530 identities, tried 20 to 500. More than there are
        classes or features do not narrow anything.
    activation: of these numbers; published "tanh". "none" leaves the low rank alone.
    """

    kind: ClassVar[str] = "loft"
    summary: ClassVar[str] = "a low-rank last layer with a tanh inside"
    source: ClassVar[str] = "Yu et al., arXiv 2410.05814 (LoFt, earlier CALoR)"
    reads_images: ClassVar[bool] = False
    adaptive: ClassVar[str] = (
        "leaves the tanh out of the gradient, or descends through classifiers of its own"
    )
    adaptive_attack: ClassVar[str | None] = "* adaptive=true, lomma_gmi, lomma_kedmi"

    rank: int = 50
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        at_least(self, 1, "rank")

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier with a low-rank head; its neck stays."""
        linear: nn.Linear = linear_head(classifier, self.kind)
        head = LowRankHead(linear.in_features, linear.out_features, self.rank, self.activation)
        classifier.head = head
        return classifier

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy whose gradients leave the activation of the head out; its logits are the same."""
        return straight_through(classifier)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)
