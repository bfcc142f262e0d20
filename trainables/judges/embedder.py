"""A judge that needs no training: a face embedder of torch."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from trainables.errors import ConfigError
from trainables.judges.nearest_mean import NearestMeanJudge
from trainables.method import file_knob
from trainables.nn.inference import inference_copy
from trainables.nn.mobilefacenet import HEIGHT, WIDTH, MobileFaceNet

EMBEDDERS: dict[str, Callable[[], nn.Module]] = {"mobilefacenet": MobileFaceNet}


@dataclass(frozen=True, kw_only=True)
class EmbedderJudge(NearestMeanJudge):
    """Takes an image for the identity whose mean training embedding has the highest cosine to its own.

    path: the embedder's weights, a state dict saved by torch or as safetensors.
    architecture: the network that the weights belong to. "mobilefacenet": RGB faces aligned to the common
    112-pixel template.
    """

    kind: ClassVar[str] = "embedder"
    summary: ClassVar[str] = "face embedder and nearest class mean, no training"
    source: ClassVar[str] = "Chen et al., CCBR 2018 (MobileFaceNets)"

    path: str = file_knob()
    architecture: Literal["mobilefacenet"] = "mobilefacenet"

    def weights(self) -> dict[str, Tensor]:
        """Return the state dict in `path`."""
        if not Path(self.path).is_file():
            raise ConfigError(
                f"judge 'embedder' expects {self.architecture} weights, got {self.path!r}: no such file "
                "(judge.path); give the path of a state dict, or use judge 'classifier'"
            )
        try:
            if Path(self.path).suffix == ".safetensors":
                state = load_file(self.path)
            else:
                state = torch.load(self.path, map_location="cpu", weights_only=True)
            self._network().load_state_dict(state)
        except (
            pickle.UnpicklingError,
            SafetensorError,
            RuntimeError,
            TypeError,
            AttributeError,
            EOFError,
        ) as error:
            reason = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"judge 'embedder' expects a plain state dict of {self.architecture}, got {self.path!r} "
                f"(judge.path): {reason}; save one with torch.save(network.state_dict(), path)"
            ) from error
        return dict(state)

    def embedder(self, state: dict[str, Tensor], device: str) -> Callable[[Tensor], Tensor]:
        """Return the network, which sees each face and its mirror image."""
        network = self._network()
        network.load_state_dict(state)
        network = inference_copy(network.to(device), device)

        def embed(images: Tensor) -> Tensor:
            faces = functional.interpolate(images, size=(HEIGHT, HEIGHT), mode="bilinear")
            margin = (HEIGHT - WIDTH) // 2
            faces = (faces[..., margin:-margin] * 255 - 127.5) / 128
            return functional.normalize(network(faces) + network(faces.flip(-1)))

        return embed

    def _network(self) -> nn.Module:
        return EMBEDDERS[self.architecture]()
