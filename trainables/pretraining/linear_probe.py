"""Linear probe: how well a linear classifier tells people apart by features that were learnt without them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier

SIDE = 2  # of the map that is left of a last stage whose neck has weights to learn
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # in mean eigenvalues of the features' scatter
SMALLEST = 1e-10  # eigenvalues below so much of the largest are rounding


def frozen_features(classifier: Classifier, images: Tensor) -> Tensor:
    """Return what a classifier knows of images (N, 3, S, S) whose stages are all frozen, (N, F).

    That is what its head sees. A neck that has weights to learn (a matrix, as those of face recognisers have)
    knows nothing yet: there the last stage's output counts, a map averaged to 2 x 2 positions, tokens to one.
    """
    output = classifier.run(images)
    if not any(weight.ndim > 1 for weight in classifier.neck.parameters()):
        feature: Tensor = classifier.neck(output)
        return feature
    if output.ndim == 4:
        output = functional.adaptive_avg_pool2d(output, SIDE)
    elif output.ndim == 3:
        output = output.mean(1)
    return output.flatten(1)


def linear_probe(train: Tensor, labels: Tensor, others: Sequence[Tensor]) -> list[Tensor]:
    """Return whom a linear classifier of `train` (N, F) and `labels` (N,) names in each of `others` (M, F).

    Ridge regression of one-hot labels on standardised features with a constant (Hoerl and Kennard, 1970), in
    closed form and float64; of `PENALTIES` that counts with which most training images are named rightly by
    the classifier of all others (leave-one-out, exact from the hat matrix: Allen's PRESS, 1974), the largest
    of several. Answers are int64 (M,).
    """
    mean, deviation = train.double().mean(0), train.double().std(0, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.inf)  # what is constant says nothing

    def standard(features: Tensor) -> Tensor:
        return (features.double() - mean) / scale

    x = standard(train)
    values, basis = _directions(x)
    along = x @ basis  # (N, R), with values on the diagonal of its scatter
    wanted = functional.one_hot(labels).double()
    centred = wanted - wanted.mean(0)
    scatter = along.T @ centred
    best, solution = -1, scatter
    for penalty in reversed([share * values.mean() for share in PENALTIES]):
        weights = scatter / (values + penalty).unsqueeze(1)
        leverage = (along.square() / (values + penalty)).sum(1) + 1 / len(x)
        left_out = wanted - (centred - along @ weights) / (1 - leverage).clamp_min(1e-9).unsqueeze(1)
        right = int((left_out.argmax(1) == labels).sum())
        if right > best:
            best, solution = right, weights
    solution = basis @ solution
    return [(standard(features) @ solution + wanted.mean(0)).argmax(1) for features in others]


def _directions(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues (R,) of x^T x above rounding, and their eigenvectors (F, R); x is (N, F)."""
    wide = x.shape[1] > len(x)
    values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = values > SMALLEST * values[-1].clamp_min(1e-300)
    values, vectors = values[kept], vectors[:, kept]
    return values, x.T @ vectors / values.sqrt() if wide else vectors
