"""Distance of LPIPS in the target's own features: pictures as points whose squared distances it is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.judges.base import outputs

_TOGETHER = 16  # images of one pass; a point has as many numbers as all of the target's features
_LEAST = 1e-10  # under the root: a place where all features are 0 has a gradient then


def perceptual_points(target: Classifier, images: Tensor) -> Tensor:
    """Return points (N, D) of images (N, 3, S, S) in [0, 1]; D is the number of all features of an image.

    Features of every stage and of the neck, of length 1 over channels at each place, divided by the root of
    the number of places: the squared distance of two points is LPIPS (Zhang et al., CVPR 2018, equation 1)
    with the target as its network and all channels weighted alike. Channels are axis 1 of (N, C, H, W), the
    last of (N, T, C).
    """
    x, points = images, []
    for number in range(len(target.stages)):
        x = target.run(x, number, number + 1)
        points.append(_units(x))
    points.append(_units(target.neck(x)))
    return torch.cat(points, dim=1)


def mean_points(target: Classifier, images: Sequence[Tensor], device: str) -> Tensor:
    """Return (len(images), D): the mean point of each of several uint8 tensors (N, 3, S, S)."""

    def summed(part: Tensor) -> Tensor:  # not all points of an identity at a time: they are large
        return perceptual_points(target, part).sum(0, keepdim=True)

    means = [outputs(summed, pixels, device, _TOGETHER).sum(0) / len(pixels) for pixels in images]
    return torch.stack(means).to(device)


def _units(features: Tensor) -> Tensor:
    axis = 2 if features.ndim == 3 else 1
    places = features[0].numel() // features.shape[axis]
    lengths = (features.square().sum(axis, keepdim=True) + _LEAST).sqrt()
    units: Tensor = features / (lengths * places**0.5)
    return units.flatten(1)
