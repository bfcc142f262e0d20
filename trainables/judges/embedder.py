"""A judge that needs no training: a face embedder and the mean embedding of every identity."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.judges.base import Judge, JudgeModel, outputs, top1
from trainables.method import file_knob, later_knob
from trainables.nn.inference import inference_copy
from trainables.nn.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet
from trainables.runtime.run import Run

EMBEDDERS: dict[str, Callable[[], nn.Module]] = {"mobilefacenet": MobileFaceNet}


@dataclass(frozen=True, kw_only=True)
class EmbedderJudge(Judge):
    """Takes an image for the identity whose mean training embedding has the highest cosine to its own.

    It shares neither training nor task with the target, so it does not accept what merely fools classifiers.
    Its features are unit embeddings, so squared distances lie in [0, 4].

    path: the embedder's weights, a state dict saved by torch.
    architecture: the network that the weights belong to. "mobilefacenet": RGB faces aligned to the common
    112-pixel template.
    overlap: what its supplier says of private people in its own training: "none", "unknown", or in words.
    """

    kind: ClassVar[str] = "embedder"
    summary: ClassVar[str] = "face embedder and nearest class mean, no training"
    source: ClassVar[str] = "Chen et al., CCBR 2018 (MobileFaceNets)"

    path: str = file_knob()
    architecture: Literal["mobilefacenet"] = "mobilefacenet"
    overlap: str = later_knob("unknown")

    @property
    def overlap_stated(self) -> str:
        """Return `overlap`."""
        return self.overlap

    def check(self, image_size: int) -> None:
        """Raise `ConfigError` for a missing or unfit file."""
        self._weights()

    def fit(self, split: Split, *, run: Run) -> dict[str, Any]:
        """Return the embedder's weights, the class means (K, F) and the accuracy on the test images."""
        state = self._weights()
        embed = self._embedder(state, run.device)
        train = split.train
        run.report("judge", 0, 2)
        embeddings = outputs(embed, train.pixels, run.device)
        sums = torch.zeros(train.classes, embeddings.shape[1]).index_add_(0, train.labels, embeddings)
        means = functional.normalize(sums)
        run.report("judge", 1, 2)
        model = _model(embed, means.to(run.device), test_accuracy=0.0)
        accuracy = top1(model.logits, split.test, run.device)
        run.report("judge", 2, 2, test_accuracy=accuracy)
        return {
            "state": state,
            "means": means,
            "train_features": embeddings,
            "test_accuracy": accuracy,
        }

    def restore(self, saved: dict[str, Any], split: Split, device: str) -> JudgeModel:
        """Return the model; `path` is not read again."""
        embed = self._embedder(saved["state"], device)
        return _model(embed, saved["means"].to(device), saved["test_accuracy"])

    def _weights(self) -> dict[str, Tensor]:
        if not Path(self.path).is_file():
            raise ConfigError(
                f"judge 'embedder' expects {self.architecture} weights, got {self.path!r}: no such file "
                "(judge.path); give the path of a state dict, or use judge 'classifier'"
            )
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self._network().load_state_dict(state)
        except (pickle.UnpicklingError, RuntimeError, TypeError, AttributeError, EOFError) as error:
            raise ConfigError(
                f"judge 'embedder' expects a plain state dict of {self.architecture}, got {self.path!r} "
                f"(judge.path): {error}; save one with torch.save(network.state_dict(), path)"
            ) from error
        return dict(state)

    def _network(self) -> nn.Module:
        return EMBEDDERS[self.architecture]()

    def _embedder(self, state: dict[str, Tensor], device: str) -> Callable[[Tensor], Tensor]:
        network = self._network()
        network.load_state_dict(state)
        network = inference_copy(network.to(device), device)

        def embed(images: Tensor) -> Tensor:
            faces = functional.interpolate(images, size=(HEIGHT, HEIGHT), mode="bilinear")
            margin = (HEIGHT - WIDTH) // 2
            faces = (faces[..., margin:-margin] * 255 - 127.5) / 128
            return functional.normalize(network(faces) + network(faces.flip(-1)))

        return embed


def _model(embed: Callable[[Tensor], Tensor], means: Tensor, test_accuracy: float) -> JudgeModel:
    return JudgeModel(
        logits=lambda images: embed(images) @ means.T, features=embed, test_accuracy=test_accuracy
    )
