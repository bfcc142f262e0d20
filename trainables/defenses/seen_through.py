"""A classifier that shows its stages other images than it is asked about. No defense."""

import copy

from torch import Tensor

from trainables.architectures.base import Classifier, Trace


class SeenThrough(Classifier):
    """A copy of a classifier, whose penultimate feature comes from images that are made of the given one.

    A subclass says which in `seen`. Logits are those of the head; there is no trace, and no way in between
    the stages.
    """

    def __init__(self, classifier: Classifier) -> None:
        own = copy.deepcopy(classifier)
        super().__init__(dict(own.stages.items()), own.neck, own.head, own.hooks, own.skips)
        self.mean, self.std = own.mean, own.std
        self.training = own.training

    def plain(self, x: Tensor) -> Tensor:
        """Return the features (N, F) of the classifier itself."""
        return super().features(x)

    def seen(self, x: Tensor) -> Tensor:
        """Return the features (N, F) of images (N, 3, S, S) in [0, 1]."""
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """Return what `seen` does."""
        return self.seen(x)

    def forward(self, x: Tensor, start: int = 0, trace: Trace | None = None) -> Tensor:
        """Return logits (N, K) of what `seen` gives; start must be 0, and `trace` stays empty."""
        assert start == 0
        logits: Tensor = self.head(self.seen(x))
        return logits
