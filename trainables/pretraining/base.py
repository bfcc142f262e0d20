"""Start of a target's stages: random weights, a data set, a file, or torchvision."""

from dataclasses import dataclass

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.method import Method, stated_knob
from trainables.runtime.run import Run
from trainables.training.classifier import Normalization

StagesState = dict[str, Tensor]
UNKNOWN = "unknown"


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
