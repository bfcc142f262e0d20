"""What judges share that need no training: an embedder, and the mean embedding of every identity."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from trainables.datasets.split import Split
from trainables.judges.base import Judge, JudgeModel, outputs, top1
from trainables.method import stated_knob
from trainables.runtime.run import Run

Embed = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class NearestMeanJudge(Judge):
    """Takes an image for the identity whose mean training embedding has the highest cosine to its own.

    It shares neither training nor task with the target, so it does not accept what merely fools classifiers.
    Its features are unit embeddings, so squared distances lie in [0, 4]. A subclass has `path` and the two
    methods below.

    overlap: what its supplier says of private people in its own training: "none", "unknown", or in words.
    trained_on: the data that it was trained on, such as "CASIA-WebFace", or "unknown".
    """

    overlap: str = stated_knob("unknown")
    trained_on: str = stated_knob("unknown")

    def weights(self) -> dict[str, Tensor]:
        """Return what `embedder` needs of the file; raise `ConfigError` for a missing or unfit one."""
        raise NotImplementedError

    def embedder(self, state: dict[str, Tensor], device: str) -> Embed:
        """Return what turns images (N, 3, S, S) in [0, 1] into unit embeddings (N, F), both on `device`."""
        raise NotImplementedError

    @property
    def overlap_stated(self) -> str:
        """Return `overlap`."""
        return self.overlap

    @property
    def trained_on_stated(self) -> str:
        """Return `trained_on`."""
        return self.trained_on

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for a missing or unfit file."""
        self.weights()

    def fit(self, split: Split, *, run: Run) -> dict[str, Any]:
        """Return the embedder's weights, the class means (K, F) and the accuracy on the test images."""
        state = self.weights()
        train = split.train
        total = len(train) + len(split.test)
        embed = _told(self.embedder(state, run.device), total, run)
        embeddings = outputs(embed, train.pixels, run.device)
        sums = torch.zeros(train.classes, embeddings.shape[1]).index_add_(0, train.labels, embeddings)
        means = functional.normalize(sums)
        model = _model(embed, means.to(run.device), test_accuracy=0.0)
        accuracy = top1(model.logits, split.test, run.device)
        run.report("judge", total, total, test_accuracy=accuracy)
        return {
            "state": state,
            "means": means,
            "train_features": embeddings,
            "test_accuracy": accuracy,
        }

    def restore(self, saved: dict[str, Any], split: Split, device: str) -> JudgeModel:
        """Return the model; `path` is not read again."""
        embed = self.embedder(saved["state"], device)
        return _model(embed, saved["means"].to(device), saved["test_accuracy"])


def _told(embed: Embed, total: int, run: Run) -> Embed:
    """Return `embed`, which reports how many of all `total` images it has seen."""
    seen = 0
    run.report("judge", seen, total)

    def look(images: Tensor) -> Tensor:
        nonlocal seen
        embeddings = embed(images)
        seen += len(images)
        run.report("judge", seen, total)
        return embeddings

    return look


def _model(embed: Embed, means: Tensor, test_accuracy: float) -> JudgeModel:
    return JudgeModel(
        logits=lambda images: embed(images) @ means.T,
        features=embed,
        test_accuracy=test_accuracy,
        decide=lambda embeddings: embeddings @ means.T,
    )
