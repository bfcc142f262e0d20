"""Fisher information per layer: which layers classification, and which inversion, depends on."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.analyses.base import Analysis, Subject
from trainables.analyses.fisher import Forward, Loss, Norms, squared_gradient_norms
from trainables.analyses.perceptual import mean_points, perceptual_points
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import as_float
from trainables.judges.base import outputs
from trainables.runtime.seeds import stream


def _l2(features: Tensor, centroids: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(features - centroids, dim=1)
    return distance


def _squared_l2(features: Tensor, centroids: Tensor) -> Tensor:
    return (features - centroids).square().sum(1)


def _l1(features: Tensor, centroids: Tensor) -> Tensor:
    return (features - centroids).abs().sum(1)


_PART = 256
_NUMBERS = 2**26  # of the means of several identities, held at a time

INVERSION: dict[str, Loss] = {"inversion_l2": _l2, "inversion_squared_l2": _squared_l2, "inversion_l1": _l1}
PERCEPTUAL = "inversion_lpips"
LOSSES = ("classification", *INVERSION, PERCEPTUAL)


@dataclass(frozen=True, kw_only=True)
class Layers(Analysis):
    """Measures the Fisher information of every layer for classification and for inversion.

    Fisher information of a layer: the mean over its parameters of the mean over samples of the squared
    derivative of a sample's loss (TL-DMI, Ho et al., CVPR 2024, section 3). A layer is a stage of the
    architecture, whose end is a freeze point, or the neck or the head; those without parameters are left
    out. Frozen layers are measured like the others. Classification: cross-entropy on the private validation
    images. Inversion: the distance (L2, its square, L1) of a reconstruction's penultimate feature from the
    mean feature of the private training images of its identity, over all reconstructions; the head has 0 by
    construction. The target is in eval mode, and the noise of a head that draws some is drawn once.

    The last iteration of an attack is the one that is looked at; a suite that lists the attack again with
    fewer `iterations` has earlier ones too, a row for each.

    LPIPS is the mean distance to the private training images of the identity in the features of the target
    itself, all channels weighted alike (`perceptual_points`); theirs stand still, as the mean feature does.
    The paper's text does not say which form it took. In a network of its own the distance would not depend
    on the target's weights, and their Fisher information would be 0.

    What it says: where each loss is sensitive to the weights of this target. What it cannot say: that
    freezing a layer hides anything, which only an attack on a target trained so shows. The raw means are
    dominated by layers with few weights, so shares are given beside them. The L2 distance has a gradient of
    length 1 whatever is left of the distance: its information of the last feature layer holds nothing of how
    good reconstructions are; its square does.
    """

    kind = "layers"
    version = 2  # LPIPS
    summary = "Fisher information per layer, for classification and for inversion; a freeze point from it"
    source = "Ho et al. 2024"
    limits = "that freezing a layer hides anything: that takes an attack on a target trained so"
    columns = (
        "layer",
        "parameters",
        *(f"{loss}{end}" for end in ("", "_share") for loss in ("classification", "inversion_l2")),
        "suggested_freeze_point",
    )

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return lists over layers, from the first to the head, and what they were measured on.

        layer, parameters: names, and numbers of parameters. classification, inversion_l2,
        inversion_squared_l2, inversion_l1, inversion_lpips: mean Fisher information; NAME_share: divided by
        the sum over layers, 0 where that is 0. suggested_freeze_point: see `suggest`. iteration: of the
        attack.
        """
        target = subject.target
        layers = layers_of(target)
        norms = self._classification(subject) | self._inversion(subject) | self._perceptual(subject)
        counts = [sum(p.numel() for p in layer) for layer in layers.values()]
        figures: dict[str, Any] = {"layer": list(layers), "parameters": counts}
        for loss in LOSSES:
            means = _by_layer(norms[loss], target, layers, counts)
            total = sum(means)
            figures[loss] = means
            figures[f"{loss}_share"] = [mean / total if total else 0.0 for mean in means]
        points = [name for name in layers if name in target.stages]
        return {
            **figures,
            "suggested_freeze_point": suggest(
                points, figures["classification_share"], figures["inversion_l2_share"]
            ),
            "validation_images": len(subject.private.validation),
            "reconstructions": subject.reconstructions.shape[0] * subject.reconstructions.shape[1],
            "iteration": "last",
        }

    def _classification(self, subject: Subject) -> Norms:
        target, images = subject.target, subject.private.validation
        size = target.noise_size
        noise = torch.randn(len(images), size, generator=stream(subject.seed, "layers"))

        def forward(network: nn.Module) -> Any:
            def logits(pixels: Tensor, *noise: Tensor) -> Tensor:
                with head_noise(target, noise[0]) if noise else nullcontext():
                    given: Tensor = target(pixels)
                return given

            return logits

        def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
            return functional.cross_entropy(logits, labels, reduction="none")

        inputs = [images.pixels, *([noise] if size else [])]
        losses: dict[str, Loss] = {"classification": cross_entropy}
        return _in_parts(subject, losses, inputs, images.labels, forward)

    def _inversion(self, subject: Subject) -> Norms:
        target, train, device = subject.target, subject.private.train, subject.device
        features = outputs(target.features, train.pixels, device)
        owned = functional.one_hot(train.labels, train.classes).to(features).T
        centroids = (owned @ features) / owned.sum(1, keepdim=True)
        identities = subject.identities.repeat(subject.reconstructions.shape[0])
        pixels = subject.reconstructions.flatten(0, 1)
        return _in_parts(subject, INVERSION, [pixels], centroids[identities], lambda _: target.features)

    def _perceptual(self, subject: Subject) -> Norms:
        target, train, made = subject.target, subject.private.train, subject.reconstructions
        points = functools.partial(perceptual_points, target)
        width = outputs(points, train.pixels[:1], subject.device).numel()
        parts = []
        for group in torch.split(torch.arange(len(subject.identities)), max(1, _NUMBERS // width)):
            images = [train.pixels[train.labels == identity] for identity in subject.identities[group]]
            means = mean_points(target, images, subject.device)

            # The mean of squared distances to images is that to their mean, and a number that stands still.
            def distance(given: Tensor, owner: Tensor, means: Tensor = means) -> Tensor:
                return _squared_l2(given, means[owner])

            owners = torch.arange(len(group)).repeat(len(made))
            pixels = made[:, group].flatten(0, 1)
            parts.append(_in_parts(subject, {PERCEPTUAL: distance}, [pixels], owners, lambda _: points))
        return _joined(parts)


def _in_parts(
    subject: Subject,
    losses: Mapping[str, Loss],
    inputs: Sequence[Tensor],
    goals: Tensor,
    forward: Callable[[nn.Module], Forward],
) -> Norms:
    """Return `squared_gradient_norms` of uint8 pixels and what goes with them, `_PART` images at a time as
    floating-point numbers on the device."""
    parts = []
    for index in torch.split(torch.arange(len(goals)), _PART):
        pixels, *rest = (each[index].to(subject.device) for each in inputs)
        given = [as_float(pixels), *rest]
        goal = goals[index].to(subject.device)
        parts.append(squared_gradient_norms(subject.target, losses, given, goal, forward=forward))
    return _joined(parts)


def _joined(parts: Sequence[Norms]) -> Norms:
    """Return the norms of all samples from those of some each."""
    return {
        loss: {name: torch.cat([part[loss][name] for part in parts]) for name in by_name}
        for loss, by_name in parts[0].items()
    }


def layers_of(target: Classifier) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of the stages, the neck and the head by name, of those that have some.

    A weight that no freeze point ever trains, as a bias held at 0, is left out, as `count_parameters` does.
    """
    layers = {name: list(stage.parameters()) for name, stage in target.stages.items()}
    for name, part in (("neck", target.neck), ("head", target.head)):
        layers[name] = [parameter for parameter in part.parameters() if parameter.requires_grad]
    return {name: parameters for name, parameters in layers.items() if parameters}


def suggest(points: Sequence[str], classification: Sequence[float], inversion: Sequence[float]) -> str:
    """Return the freeze point with the largest of `excesses`, the first of equals; "none" if none is above 0.

    points: names of the first layers, those that can be frozen; else as in `excesses`.
    """
    best, largest = "none", 1e-12  # what rounding alone makes
    for point, excess in zip(points, excesses(classification, inversion), strict=False):
        if excess > largest + 1e-12:
            best, largest = point, excess
    return best


def excesses(classification: Sequence[float], inversion: Sequence[float]) -> list[float]:
    """Return, for each layer, how far the layers up to it have more of inversion than of classification.

    classification, inversion: shares of the Fisher information of all layers, in order. Differences of the
    cumulated shares, in [-1, 1].
    """
    differences = (ours - theirs for ours, theirs in zip(inversion, classification, strict=True))
    return list(itertools.accumulate(differences))


def _by_layer(
    norms: dict[str, Tensor],
    target: nn.Module,
    layers: Mapping[str, Sequence[nn.Parameter]],
    counts: Sequence[int],
) -> list[float]:
    """Return the mean over the samples and the parameters of each layer; norms: (N,) by parameter."""
    names = {id(parameter): name for name, parameter in target.named_parameters()}
    return [
        sum(norms[names[id(parameter)]].mean().item() for parameter in layer) / count
        for layer, count in zip(layers.values(), counts, strict=True)
    ]
