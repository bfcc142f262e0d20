"""Where a target's stages start from: random weights, a data set, a file, or torchvision."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol
from urllib.error import URLError

import torch
from torch import Tensor

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.batches import Augmentation
from trainables.datasets.base import Dataset, Images
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.progress import Report
from trainables.randomness import derive, stream
from trainables.recipe import Recipe
from trainables.target import Normalization, Target, build_classifier, train_classifier
from trainables.weights import listed, read_weights

StagesState = dict[str, Tensor]

HEADS = ("neck.", "head.", "classifier.", "fc.")  # of our own files and of torchvision's
HELD_OUT = 0.1  # of a pre-training set, to choose the epoch by


class Pretraining(Protocol):
    """A frozen dataclass of knobs with one verb. Register it in ``PRETRAININGS``."""

    kind: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]

    def stages_state(
        self,
        architecture: str,
        image_size: int,
        *,
        normalization: Normalization,
        seed: int,
        device: str,
        report: Report,
    ) -> StagesState | None:
        """Return a state dict, on the CPU, that fits ``classifier.stages``; None to keep random weights.

        normalization: of the target that will use the weights; what is trained here is trained with it.
        Raises `ConfigError` if weights are missing or do not fit.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """No pre-training: what a freeze point freezes is random, as TL-DMI does for VMI's ResNet-34."""

    kind: ClassVar[str] = "none"
    summary: ClassVar[str] = "random weights"
    source: ClassVar[str] = "this project"

    def stages_state(
        self,
        architecture: str,
        image_size: int,
        *,
        normalization: Normalization,
        seed: int,
        device: str,
        report: Report,
    ) -> None:
        """Return None."""
        return


@dataclass(frozen=True, kw_only=True)
class OnDataset(Recipe):
    """Train the whole network to classify `data`, whose identities are not the private ones.

    The other knobs are those of every recipe. A tenth of the images chooses the epoch.
    """

    kind: ClassVar[str] = "dataset"
    summary: ClassVar[str] = "trained here on a data set of the study"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI), stage 1"

    data: Dataset
    epochs: int = 30
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    augmentation: Augmentation = "crop_flip"

    def stages_state(
        self,
        architecture: str,
        image_size: int,
        *,
        normalization: Normalization,
        seed: int,
        device: str,
        report: Report,
    ) -> StagesState:
        """Return the trained stages."""
        images = self.data.load(image_size)
        if images.classes < 2:
            raise ConfigError(
                f"pretraining expects at least 2 identities to tell apart; got {images.classes} "
                "(pretraining.data); choose a labelled data set"
            )
        train, validation = _hold_out(images, seed)
        classifier = build_classifier(
            architecture, images.classes, image_size, normalization, derive(seed, "pretraining")
        )
        recipe = Target(architecture=architecture, normalization=normalization, **self.shared())
        train_classifier(
            classifier,
            recipe,
            NoDefense(),
            train,
            validation,
            seed=seed,
            device=device,
            report=report,
            stage="pretrained",
        )
        return {name: value.cpu() for name, value in classifier.stages.state_dict().items()}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Weights from a file: a plain state dict, named as here or as in torchvision, with or without a head.

    path: the file; loaded weights-only, so it can run no code. Neck and head in it are ignored.
    """

    kind: ClassVar[str] = "checkpoint"
    summary: ClassVar[str] = "weights from a local file"
    source: ClassVar[str] = "this project"

    path: str

    def stages_state(
        self,
        architecture: str,
        image_size: int,
        *,
        normalization: Normalization,
        seed: int,
        device: str,
        report: Report,
    ) -> StagesState:
        """Return the file's weights under the names of our stages."""
        return self.read(architecture, image_size)

    def read(self, architecture: str, image_size: int) -> StagesState:
        """Return the file's weights under the names of our stages; raise `ConfigError` if they do not fit."""
        saved = read_weights(Path(self.path), "pretraining.path")
        return matched(architecture, image_size, saved, f"{self.path} (pretraining.path)")


@dataclass(frozen=True, kw_only=True)
class Torchvision:
    """torchvision's published weights, downloaded into torch's cache on first use.

    weights: their name without the architecture, such as IMAGENET1K_V1. They expect normalization "imagenet".
    """

    kind: ClassVar[str] = "torchvision"
    summary: ClassVar[str] = "torchvision's published weights, by name"
    source: ClassVar[str] = "torchvision; Russakovsky et al., IJCV 2015 (ImageNet)"

    weights: str = "IMAGENET1K_V1"

    def stages_state(
        self,
        architecture: str,
        image_size: int,
        *,
        normalization: Normalization,
        seed: int,
        device: str,
        report: Report,
    ) -> StagesState:
        """Return the published weights under the names of our stages."""
        from torchvision.models import get_model_weights, get_weight

        family = ARCHITECTURES[architecture].torchvision_weights
        if family is None:
            having = [name for name, entry in ARCHITECTURES.items() if entry.torchvision_weights]
            raise ConfigError(
                f"pretraining 'torchvision' has weights for {', '.join(having)}; got '{architecture}' "
                "(target.architecture); choose one of these, or another pretraining"
            )
        named = f"{family}.{self.weights}"
        try:
            entry = get_weight(named)
        except (ValueError, AttributeError, KeyError):
            known = [member.name for member in get_model_weights(architecture)]
            raise ConfigError(
                f"pretraining 'torchvision' knows the weights {', '.join(known)} of {architecture}; "
                f"got '{self.weights}' (pretraining.weights)"
            ) from None
        try:
            saved = entry.get_state_dict(progress=False, check_hash=True)
        except (URLError, OSError, RuntimeError) as error:
            raise ConfigError(
                f"pretraining 'torchvision' expects to download {entry.url}; got: {error} "
                "(pretraining.weights); go online once, or fetch the file elsewhere and use kind: checkpoint"
            ) from error
        return matched(architecture, image_size, saved, named)


PRETRAININGS: dict[str, type[Pretraining]] = {
    "none": Scratch,
    "dataset": OnDataset,
    "checkpoint": Checkpoint,
    "torchvision": Torchvision,
}


def load_stages(classifier: Classifier, state: StagesState | None) -> None:
    """Load what `stages_state` returned into the classifier's stages; None leaves them as they are."""
    if state is not None:
        classifier.stages.load_state_dict(state)


def matched(architecture: str, image_size: int, found: dict[str, Tensor], where: str) -> StagesState:
    """Return the stage weights in `found`, a state dict in our names or torchvision's, under our names.

    Raises `ConfigError` naming what is missing, surplus or of another shape. Counters of the batches
    that batch norm saw may be missing, as in old files.
    """
    with torch.device("meta"):
        wanted = ARCHITECTURES[architecture].build(2, image_size).stages.state_dict()
    theirs = _names_in_file(architecture, list(wanted), found)
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    missing = [theirs[name] for name in wanted if theirs[name] not in found and name not in counters]
    known = set(theirs.values())
    surplus = [name for name in found if name not in known and not name.startswith((*HEADS, "mean", "std"))]
    shapes = [
        f"{theirs[name]} {tuple(found[theirs[name]].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if theirs[name] in found and found[theirs[name]].shape != value.shape
    ]
    problems = [
        f"{what}: {listed(names)}"
        for what, names in (("missing", missing), ("surplus", surplus), ("other shape", shapes))
        if names
    ]
    if problems:
        raise ConfigError(
            f"pretraining expects the weights of {architecture}; {where} does not fit: "
            f"{'; '.join(problems)}; choose the architecture that the file was saved from"
        )
    zero = torch.zeros((), dtype=torch.int64)
    return {name: found.get(theirs[name], zero).clone() for name in wanted}


def _names_in_file(architecture: str, wanted: list[str], found: dict[str, Tensor]) -> dict[str, str]:
    """Return our name -> name in the file, for the naming that fits most of the file."""
    namings = [{name: name for name in wanted}, {name: f"stages.{name}" for name in wanted}]
    rename = ARCHITECTURES[architecture].torchvision_key
    if rename is not None:
        namings.append({name: rename(name) for name in wanted})
    return max(namings, key=lambda names: sum(name in found for name in names.values()))


def _hold_out(images: Images, seed: int) -> tuple[Images, Images]:
    order = torch.randperm(len(images), generator=stream(seed, "pretraining", "split"))
    held_out = max(1, round(HELD_OUT * len(images)))
    return images.select(order[held_out:]), images.select(order[:held_out])
