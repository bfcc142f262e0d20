"""A head whose logits pass through few bounded numbers, which starves an attack of gradients."""

import copy
from typing import Literal

from torch import Tensor, nn

from trainables.architectures.base import Classifier

Activation = Literal["tanh", "sigmoid", "relu", "relu6", "leaky_relu", "none"]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "none": nn.Identity,
}


class LowRankHead(nn.Module):
    """feature (N, F) -> batch norm -> `rank` numbers -> activation -> logits (N, K).

    straight: whether gradients pass the activation as if it were not there.
    """

    straight: bool = False

    def __init__(self, features: int, classes: int, rank: int, activation: Activation) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.reduce = nn.Linear(features, rank)
        self.activation = ACTIVATIONS[activation]()
        self.classify = nn.Linear(rank, classes)

    def forward(self, feature: Tensor) -> Tensor:
        """Return logits (N, K)."""
        few = self.reduce(self.norm(feature))
        bounded = self.activation(few)
        if self.straight:
            bounded = bounded.detach() + (few - few.detach())
        logits: Tensor = self.classify(bounded)
        return logits


def straight_through(classifier: Classifier) -> Classifier:
    """Return a copy of a classifier with a `LowRankHead` whose gradients leave the activation out."""
    copied = copy.deepcopy(classifier)
    assert isinstance(copied.head, LowRankHead)
    copied.head.straight = True
    return copied
