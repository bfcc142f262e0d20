"""LPIPS: perceptual distance of reconstructions to private images, in features of VGG16."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainables.datasets.base import as_float
from trainables.errors import ConfigError
from trainables.method import file_knob
from trainables.metrics.base import Evidence, Metric, Skipped, private_of
from trainables.storage.weights import read_weights

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pixels in [-1, 1]
TAPS = (3, 8, 15, 22, 29)  # ReLUs of VGG16 whose outputs are compared
TOGETHER = 16  # images of one pass


class LPIPSNetwork(nn.Module):
    """VGG16 of torchvision up to its last ReLU, and a weight for each of its channels that are compared."""

    def __init__(self, backbone: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
        """Read torchvision's state dict of VGG16, and the published one of LPIPS (lin0 to lin4)."""
        super().__init__()
        from torchvision.models import vgg16  # here: it takes longer to load than all that is ours

        vgg = vgg16(weights=None)
        own = {name: value for name, value in backbone.items() if name.startswith("features.")}
        vgg.features.load_state_dict({name.removeprefix("features."): value for name, value in own.items()})
        self.features = vgg.features
        self.channels = nn.ParameterList()
        for number, tap in enumerate(TAPS):
            layer = [value for name, value in weights.items() if name.startswith(f"lin{number}.")]
            width = vgg.features[tap - 1].out_channels
            if len(layer) != 1 or layer[0].numel() != width:
                raise KeyError(f"lin{number}: one weight for each of {width} channels")
            self.channels.append(nn.Parameter(layer[0].reshape(1, width, 1, 1)))
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the unit features (B, C, H, W) of each tap for images (B, 3, S, S) in [0, 1]."""
        x = (2 * images - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        units = []
        for number, layer in enumerate(self.features[: TAPS[-1] + 1]):
            x = layer(x)
            if number in TAPS:
                units.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return units

    def distances(self, one: list[Tensor], others: list[Tensor]) -> Tensor:
        """Return the distance of one image's features, each (1, C, H, W), to each of n others', (n,)."""
        return torch.stack(
            [
                ((mine - theirs).square() * weight).sum(1).mean((1, 2))
                for mine, theirs, weight in zip(one, others, self.channels, strict=True)
            ]
        ).sum(0)


def _nearest(network: LPIPSNetwork, seen: list[list[Tensor]], private: Tensor) -> list[float]:
    """Return the least distance of each image, by its features, to uint8 images (n, 3, S, S).

    Their features are gone afterwards: those of an image of 224 pixels take 24.5 MB.
    """
    units = network(as_float(private))
    return [network.distances(one, units).min().item() for one in seen]


@dataclass(frozen=True, kw_only=True)
class LPIPS(Metric):
    """Measures the LPIPS distance of a reconstruction to the nearest private image of its identity.

    Version 0.1 of the published weights, on VGG16, images at their own size. Zhang et al., CVPR 2018. Nothing
    is downloaded.

    path: the published weights of the channels, ``vgg.pth``.
    backbone: torchvision's ImageNet weights of VGG16, ``vgg16-397923af.pth``.
    """

    kind = "lpips"
    summary = "LPIPS distance of a reconstruction to the nearest private training image of its identity"
    source = "Zhang et al., CVPR 2018"
    direction = "maximize"
    low = 0.0
    high = None
    unit = "distance"
    label = "LPIPS"
    explanation = "perceptual distance of reconstructions to the nearest private training image"
    objective = False  # not every trial measures it
    beside_verdict = True
    optional = True

    path: str = file_knob("")
    backbone: str = file_knob("")

    def measure(self, evidence: Evidence) -> float:
        """Return the figure; raise `Skipped` without both weights."""
        network = self._network().to(evidence.device)
        private, labels = private_of(evidence)
        least: list[float] = []
        with torch.no_grad():
            for place, label in enumerate(evidence.identities.tolist()):
                own = private[labels == label]
                for images in torch.split(evidence.reconstructions[:, place], TOGETHER):
                    seen = [network(as_float(image[None].to(evidence.device))) for image in images]
                    parts = [
                        _nearest(network, seen, part.to(evidence.device))
                        for part in torch.split(own, TOGETHER)
                    ]
                    least += [min(distances) for distances in zip(*parts, strict=True)]
        return sum(least) / len(least)

    def _network(self) -> LPIPSNetwork:
        for name in ("path", "backbone"):
            if not Path(getattr(self, name)).is_file():
                raise Skipped(
                    f"lpips needs two files of weights, got none at {getattr(self, name)!r} ({name}); give "
                    "the published vgg.pth of LPIPS 0.1 as path and torchvision's VGG16 as backbone"
                )
        try:
            return LPIPSNetwork(
                read_weights(Path(self.backbone), "backbone"), read_weights(Path(self.path), "path")
            )
        except (ConfigError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:300]
            raise Skipped(
                f"lpips expects VGG16 and the weights of its channels (path, backbone): {reason}"
            ) from error
