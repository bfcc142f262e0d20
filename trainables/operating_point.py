"""Operating point of a classifier that names people: the score from which its answer counts."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier, Shield
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images, as_float
from trainables.runtime.seeds import stream

STRANGERS_NAMED = 0.05  # the share of other people's images that the threshold lets through
MOST_IMAGES = 2000  # of strangers, evenly from all


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """A threshold on the score, the softmax probability of the answer, and what it does to images.

    score: from which an answer counts, in [0, 1]; just above 1 where only that keeps strangers out.
    strangers_named: share of public images, of other people, that get a name all the same; false alarms.
    people_named: share of private test images that get their own name; the rest get none, or a wrong one.
    """

    score: float
    strangers_named: float
    people_named: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields, for ``config.json``."""
        return asdict(self)


def operating_point(
    classifier: Classifier,
    test: Images,
    strangers: Images,
    share: float = STRANGERS_NAMED,
    shield: Shield | None = None,
) -> OperatingPoint:
    """Return the least threshold that names at most `share` of `strangers`, on the CPU.

    test: private images that were not trained on. shield: of a defense that changes answers. With equal
    scores fewer strangers are named than that.
    """
    step = max(1, len(strangers) // MOST_IMAGES)
    others, _ = _answers(classifier, strangers.pixels[::step], shield)
    scores, labels = _answers(classifier, test.pixels, shield)
    threshold = threshold_for(others, share)
    right = (scores >= threshold) & (labels == test.labels)
    return OperatingPoint(
        score=threshold,
        strangers_named=(others >= threshold).double().mean().item(),
        people_named=right.double().mean().item(),
    )


def threshold_for(scores: Tensor, share: float) -> float:
    """Return the least number that at most `share` of `scores` (n,) reach, just above the next of them."""
    ordered = scores.sort(descending=True).values
    passed = int(share * len(ordered))
    return torch.nextafter(ordered[passed], torch.tensor(2.0).to(ordered)).item()


@torch.no_grad()
def _answers(classifier: Classifier, pixels: Tensor, shield: Shield | None) -> tuple[Tensor, Tensor]:
    """Return score and label of the answer to each image (N, 3, S, S), with the same noise each time."""
    classifier.eval()
    noise = torch.randn(len(pixels), classifier.noise_size, generator=stream(0, "operating point"))
    scores, labels = [], []
    for part, drawn in zip(torch.split(pixels, 256), torch.split(noise, 256), strict=True):
        with head_noise(classifier, drawn):
            answers = classifier(as_float(part))
        if shield is not None:
            answers = shield(answers.softmax(1), as_float(part)).log()
        best = answers.double().softmax(1).max(1)  # in float32 many of a sure classifier are 1
        scores.append(best.values)
        labels.append(best.indices)
    return torch.cat(scores), torch.cat(labels)
