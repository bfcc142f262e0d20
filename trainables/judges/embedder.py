"""A judge that needs no training: a face embedder of torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.errors import ConfigError
from trainables.judges.nearest_mean import NearestMeanJudge
from trainables.method import file_knob
from trainables.nn.inference import inference_copy
from trainables.nn.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet
from trainables.storage.weights import misfits, read_weights

EMBEDDERS: dict[str, Callable[[], nn.Module]] = {"mobilefacenet": MobileFaceNet}


@dataclass(frozen=True, kw_only=True)
class EmbedderJudge(NearestMeanJudge):
    """Takes an image for the identity whose mean training embedding has the highest cosine to its own.

    path: the embedder's weights, a state dict saved by torch or as safetensors.
    architecture: the network that the weights belong to. "mobilefacenet": RGB faces aligned to the common
    112-pixel template.
    """

    kind: ClassVar[str] = "embedder"
    version: ClassVar[int] = 2  # smoothed where images shrink
    summary: ClassVar[str] = "face embedder and nearest class mean, no training"
    source: ClassVar[str] = "Chen et al., CCBR 2018 (MobileFaceNets)"

    path: str = file_knob()
    architecture: Literal["mobilefacenet"] = "mobilefacenet"

    def weights(self) -> dict[str, Tensor]:
        """Return the state dict in `path`, opened as `read_weights` does."""
        if not Path(self.path).is_file():
            raise ConfigError(
                f"judge 'embedder' expects {self.architecture} weights, got {self.path!r}: no such file "
                "(judge.path); give the path of a state dict, or use judge 'classifier'"
            )
        expects = f"judge 'embedder' expects a plain state dict of {self.architecture}"
        try:
            state = read_weights(Path(self.path), "judge.path")
        except ConfigError as error:
            raise ConfigError(f"{expects}: {error}") from error
        with torch.device("meta"):
            expected = self._network().state_dict()
        counters = {name for name in expected if name.endswith("num_batches_tracked")}  # old files have none
        needed = {name: value for name, value in expected.items() if name in state or name not in counters}
        if problems := misfits(needed, state):
            raise ConfigError(
                f"{expects}; {self.path!r} (judge.path) does not fit: {problems}; give the file that was "
                "saved from such a network, or use judge 'classifier'"
            )
        return state

    def embedder(self, state: dict[str, Tensor], device: str) -> Callable[[Tensor], Tensor]:
        """Return the network, which sees each face and its mirror image."""
        network = self._network()
        network.load_state_dict(state)
        network = inference_copy(network.to(device), device)

        def embed(images: Tensor) -> Tensor:
            shrinks = images.shape[-1] > HEIGHT
            faces = functional.interpolate(images, (HEIGHT, HEIGHT), mode="bilinear", antialias=shrinks)
            margin = (HEIGHT - WIDTH) // 2
            faces = (faces[..., margin:-margin] * 255 - 127.5) / 128
            return functional.normalize(network(faces) + network(faces.flip(-1)))

        return embed

    def _network(self) -> nn.Module:
        return EMBEDDERS[self.architecture]()
