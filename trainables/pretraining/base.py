"""Start of a target's stages: random weights, a data set, a file, or torchvision."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.architectures import get_architecture
from trainables.architectures.base import Classifier
from trainables.errors import ConfigError
from trainables.method import Method, stated_knob
from trainables.runtime.run import Run
from trainables.storage.weights import misfits
from trainables.training.classifier import Normalization

StagesState = dict[str, Tensor]
UNKNOWN = "unknown"

HEADS = ("neck.", "head.", "heads.", "classifier.", "fc.")  # of our own files and of torchvision's


@dataclass(frozen=True, kw_only=True)
class Pretraining(Method):
    """The base of all pretrainings: knobs and one verb. Register a subclass in ``PRETRAININGS``."""

    @property
    def overlap_stated(self) -> str | None:
        """Return what the supplier of the weights says of private people in their training, "unknown" if
        nothing; None where no weights come from outside."""
        return None

    @property
    def trained_on_stated(self) -> str:
        """Return the data that weights from outside were trained on, as stated; "unknown" if nobody says."""
        return UNKNOWN

    def usual_size(self, architecture: str) -> int | None:
        """Return the side of the images that the weights were trained on; None where nobody states it."""
        return None

    def usual_normalization(self, architecture: str) -> str | None:
        """Return the normalization with which the weights were trained; None where nobody states it."""
        return None

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> StagesState | None:
        """Return a state dict, on the CPU, that fits ``classifier.stages``; None to keep random weights.

        Args:
            architecture: of the target, see `get_architecture`.
            image_size: of the target, in pixels.
            run: seed, device and progress.
            normalization: of the target that will use the weights; what is trained here is trained with it.

        Raises `ConfigError` if weights are missing or do not fit.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class OutsidePretraining(Pretraining):
    """The base of pretrainings whose weights somebody else trained.

    overlap: what their supplier says of private people in their training: "none", "unknown", or in words.
    trained_on: the data that they were trained on, such as "CASIA-WebFace", or "unknown".
    """

    overlap: str = stated_knob(UNKNOWN)
    trained_on: str = stated_knob(UNKNOWN)

    @property
    def overlap_stated(self) -> str:
        """Return `overlap`."""
        return self.overlap

    @property
    def trained_on_stated(self) -> str:
        """Return `trained_on`."""
        return self.trained_on


def load_stages(classifier: Classifier, state: StagesState | None) -> None:
    """Load what `stages_state` returned into the classifier's stages; None leaves them as they are."""
    if state is not None:
        classifier.stages.load_state_dict(state)


def matched(
    architecture: str,
    image_size: int,
    weights: dict[str, Tensor],
    where: str,
    *,
    subject: str = "pretraining",
    remedy: str = "choose the architecture that the file was saved from",
) -> StagesState:
    """Return the stage weights in `weights`, a state dict in our names or torchvision's, under our names.

    subject, remedy: whose weights they are to be, and what to do if they are not, for the error.
    Raises `ConfigError` naming what is missing, surplus or of another shape. Counters of the batches
    that batch norm saw may be missing, as in old files.
    """
    with torch.device("meta"):
        entry = get_architecture(architecture)
        expected = entry.build(2, image_size).stages.state_dict()
    theirs = _names_in_file(architecture, list(expected), weights)
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    needed = {
        theirs[name]: value
        for name, value in expected.items()
        if theirs[name] in weights or name not in counters
    }
    ignored = (*HEADS, *entry.surplus, "mean", "std")
    given = {name: value for name, value in weights.items() if name in needed or not name.startswith(ignored)}
    if problems := misfits(needed, given):
        raise ConfigError(
            f"{subject} expects the weights of {architecture}; {where} does not fit: {problems}; {remedy}"
        )
    zero = torch.zeros((), dtype=torch.int64)
    return {name: weights.get(theirs[name], zero).clone() for name in expected}


def _names_in_file(architecture: str, expected: list[str], weights: dict[str, Tensor]) -> dict[str, str]:
    """Return our name -> name in the file, for the naming that fits most of the file."""
    namings = [{name: name for name in expected}, {name: f"stages.{name}" for name in expected}]
    entry = get_architecture(architecture)
    for rename in (entry.torchvision_key, entry.published_key):
        if rename is not None:
            namings.append({name: rename(name) for name in expected})
    return max(namings, key=lambda names: sum(name in weights for name in names.values()))
