"""A head whose logits pass through few bounded numbers, which starves an attack of gradients."""

from typing import Literal

from torch import Tensor, nn

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
    """feature (N, F) -> batch norm -> `rank` numbers -> activation -> logits (N, K)."""

    def __init__(self, features: int, classes: int, rank: int, activation: Activation) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.reduce = nn.Linear(features, rank)
        self.activation = ACTIVATIONS[activation]()
        self.classify = nn.Linear(rank, classes)

    def forward(self, feature: Tensor) -> Tensor:
        """Return logits (N, K)."""
        logits: Tensor = self.classify(self.activation(self.reduce(self.norm(feature))))
        return logits
