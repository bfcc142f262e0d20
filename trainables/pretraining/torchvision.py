"""torchvision's published ImageNet weights."""

from dataclasses import dataclass
from pickle import UnpicklingError
from typing import ClassVar
from urllib.error import URLError

from torch import hub

from trainables.architectures import ARCHITECTURES, get_architecture
from trainables.errors import ConfigError
from trainables.pretraining.base import OutsidePretraining, StagesState
from trainables.pretraining.matching import matched
from trainables.runtime.run import Run
from trainables.training.classifier import Normalization

OF_TENSORFLOW = ("inception_v3", "googlenet")


@dataclass(frozen=True, kw_only=True)
class Torchvision(OutsidePretraining):
    """torchvision's published weights, downloaded into torch's cache on first use.

    weights: their name without the architecture, such as IMAGENET1K_V1. They expect normalization "imagenet",
        those of Inception-v3 and GoogLeNet "half".
    """

    kind: ClassVar[str] = "torchvision"
    summary: ClassVar[str] = "torchvision's published weights, by name"
    source: ClassVar[str] = "torchvision; Russakovsky et al., IJCV 2015 (ImageNet)"

    weights: str = "IMAGENET1K_V1"

    def __post_init__(self) -> None:
        if self.weights == "DEFAULT":
            raise ValueError(
                "weights must name one set, such as IMAGENET1K_V1, since what DEFAULT is changes with "
                "torchvision; got DEFAULT"
            )

    def usual_size(self, architecture: str) -> int | None:
        """Return the side to which torchvision cuts images for these weights; None if it knows none."""
        from torchvision.models import get_weight

        try:
            entry = get_weight(f"{get_architecture(architecture).torchvision_weights}.{self.weights}")
        except (ValueError, AttributeError, KeyError):  # said when they are read
            return None
        size: int | None = entry.transforms.keywords.get("crop_size")
        return size

    def usual_normalization(self, architecture: str) -> str | None:
        """Return "imagenet", or "half" for the two networks whose weights came from TensorFlow."""
        if get_architecture(architecture).torchvision_weights is None:
            return None
        return "half" if architecture.rpartition(":")[2] in OF_TENSORFLOW else "imagenet"

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> StagesState:
        """Return the published weights under the names of our stages."""
        from torchvision.models import get_model_weights, get_weight

        family = get_architecture(architecture).torchvision_weights
        if family is None:
            having = [name for name, entry in ARCHITECTURES.items() if entry.torchvision_weights]
            raise ConfigError(
                f"pretraining 'torchvision' has weights for {', '.join(having)} and torchvision:NAME; "
                f"got '{architecture}' (target.architecture); choose one of these, or another pretraining"
            )
        named = f"{family}.{self.weights}"
        try:
            entry = get_weight(named)
        except (ValueError, AttributeError, KeyError):
            known = [
                member.name for member in get_model_weights(architecture.partition(":")[2] or architecture)
            ]
            raise ConfigError(
                f"pretraining 'torchvision' knows the weights {', '.join(known)} of {architecture}; "
                f"got '{self.weights}' (pretraining.weights)"
            ) from None
        try:
            saved = entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except UnpicklingError as error:
            raise ConfigError(
                f"pretraining 'torchvision' expects plain tensors in torch's cache of {entry.url} "
                f"({hub.get_dir()}); got a pickle of something else, which is not opened, since that could "
                "run code; delete it"
            ) from error
        except (URLError, OSError, RuntimeError) as error:
            raise ConfigError(
                f"pretraining 'torchvision' expects to download {entry.url}; got: {error} "
                "(pretraining.weights); go online once, or fetch the file elsewhere and use kind: checkpoint"
            ) from error
        return matched(architecture, image_size, saved, named)
