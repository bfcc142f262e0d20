"""CALoR: a low-rank head, and a fine-tuning that pulls confidence on private images away from 1."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.defenses.base import Defense, linear_head
from trainables.defenses.low_rank_head import Activation, LowRankHead, straight_through
from trainables.defenses.rule import Batch, LossRule, Rule, Training
from trainables.runtime.checks import above, at_least

WEIGHT = 0.25  # alpha of the published loss; a factor on its gradient


def confidence_adaptation(logits: Tensor, labels: Tensor, gamma: float, smoothing: float = 0.0) -> Tensor:
    """Return the mean of alpha p^gamma ln p over logits (m, K), p the label's probability, alpha 0.25.

    Least at p = e^(-1/gamma), where it is -alpha / (e gamma); near p = 0 it has no gradient, so that it
    cannot train from scratch. smoothing: s of (1 - s) · that + s · mean_c(-ln p_c).
    """
    # bfloat16 rounds p near 1 to 1: the images that are to be pulled back would have no gradient.
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(1)
    own = log_p.gather(1, labels[:, None]).squeeze(1)
    terms = WEIGHT * (gamma * own).exp() * own
    return ((1 - smoothing) * terms - smoothing * log_p.mean(1)).mean()


@dataclass(frozen=True, kw_only=True)
class CALoR(Defense):
    """Yu et al., arXiv 2410.05814 v1: the recipe trains a low-rank head, then its confidence is adapted.

    The second phase has an SGD of its own, momentum 0.9, whose learning rate is divided by 10 after 3/5 and
    4/5 of its epochs. Batches and views stay those of the recipe (published: 96 images, mirrored). Only
    epochs of the second phase may be chosen.

    rank, activation: of the head, see `LowRankHead`; published 40 and "tanh".
    gamma: of the loss; published 8. The confidence that it pulls to is e^(-1/gamma), 0.88.
    smoothing: share of ordinary smoothing in that loss; published 0.
    adaptation_epochs, adaptation_rate: of the second phase; published 5 and 2e-5.
    """

    kind: ClassVar[str] = "calor"
    version: ClassVar[int] = 2  # a second phase of other than five epochs
    summary: ClassVar[str] = "a low-rank last layer, then a fine-tuning of confidence"
    source: ClassVar[str] = "Yu et al., arXiv 2410.05814 (CALoR, later LoFt)"
    adaptive: ClassVar[str] = (
        "descends on logits or margins, whatever confidence the training pulled to, or leaves the tanh out "
        "of the gradient"
    )
    adaptive_attack: ClassVar[str | None] = "* adaptive=true, map, lomma_gmi, lomma_kedmi, plg"

    rank: int = 40
    activation: Activation = "tanh"
    gamma: float = 8.0
    smoothing: float = 0.0
    adaptation_epochs: int = 5
    adaptation_rate: float = 2e-5

    def __post_init__(self) -> None:
        at_least(self, 1, "rank", "adaptation_epochs")
        above(self, 0, "gamma", "adaptation_rate")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must lie in [0, 1); got {self.smoothing}")

    @property
    def extra_epochs(self) -> int:
        """Return how long the confidence is adapted."""
        return self.adaptation_epochs

    def finished(self, epoch: int, epochs: int) -> bool:
        """Return whether the confidence has been adapted."""
        return epoch > epochs

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier with a low-rank head; its neck stays."""
        linear = linear_head(classifier, self.kind)
        head = LowRankHead(linear.in_features, linear.out_features, self.rank, self.activation)
        classifier.head = head
        return classifier

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy whose gradients leave the activation of the head out; its logits are the same."""
        return straight_through(classifier)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the loss of the second phase."""
        return confidence_adaptation(logits, labels, self.gamma, self.smoothing)

    def begin(self, training: Training) -> Rule:
        """Return the rule of two phases."""
        return _Adapting(self, training)


class _Adapting(Rule):
    """Steps of the recipe on the cross-entropy, then steps of an optimiser of its own on the confidence."""

    reads_images = False

    def __init__(self, defense: CALoR, training: Training) -> None:
        weights = [weight for weight in training.classifier.parameters() if weight.requires_grad]
        optimizer = torch.optim.SGD(weights, lr=defense.adaptation_rate, momentum=0.9)
        self._defense, self._optimizer = defense, optimizer
        self._epochs = training.epochs
        self._first = LossRule(self._cross_entropy, training)
        self._second = LossRule(defense.loss, replace(training, optimizer=optimizer))

    @staticmethod
    def _cross_entropy(logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        return functional.cross_entropy(logits, labels)

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        if not self.may_be_chosen(epoch):
            return self._first.step(batch, epoch)
        done, length = epoch - self._epochs - 1, self._defense.adaptation_epochs
        falls = sum(5 * done >= fifths * length for fifths in (3, 4))
        for group in self._optimizer.param_groups:
            group["lr"] = self._defense.adaptation_rate * 0.1**falls
        return self._second.step(batch, epoch)

    def may_be_chosen(self, epoch: int) -> bool:
        return self._defense.finished(epoch, self._epochs)

    def state(self) -> dict[str, Any]:
        return {"optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self._optimizer.load_state_dict(state["optimizer"])
