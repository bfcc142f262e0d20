"""Pre-training on a data set of the study."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from trainables.datasets.base import Dataset, Images
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.pretraining.base import Pretraining, StagesState
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream
from trainables.training.batches import Augmentation
from trainables.training.classifier import Normalization, Target, build_classifier, train_classifier
from trainables.training.recipe import Recipe, Schedule

HELD_OUT = 0.1  # of a pre-training set, to choose the epoch by


@dataclass(frozen=True, kw_only=True)
class OnDataset(Recipe, Pretraining):
    """Train the whole network to classify `data`, whose identities are not the private ones.

    The other knobs are those of every recipe. A tenth of the images chooses the epoch. Images that the data
    set reserves for testing are left out (ImageNet's ``val``, PPA's tenth), and its validation part, where it
    has one, chooses the epoch. Version 1 learnt them: `version` is 2 for data sets with parts alone, so that
    what was stored of all others stays valid.
    """

    kind: ClassVar[str] = "dataset"
    summary: ClassVar[str] = "trained here on a data set of the study"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI), stage 1"

    data: Dataset
    epochs: int = 30
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    augmentation: Augmentation = "crop_flip"

    @property
    def version(self) -> int:  # type: ignore[override]  # of this data set, not of the class
        """Return 2 where the data set reserves images, else 1; 1 too where it cannot be read."""
        try:
            return 2 if self.data.has_parts() else 1
        except ConfigError:  # whoever reads it says what is missing
            return 1

    def stages_state(
        self, architecture: str, image_size: int, *, run: Run, normalization: Normalization
    ) -> StagesState:
        """Return the trained stages."""
        images = self.data.load(image_size)
        if images.classes < 2:
            raise ConfigError(
                f"pretraining expects at least 2 identities to tell apart; got {images.classes} "
                "(pretraining.data); choose a labelled data set"
            )
        train, validation = _hold_out(images, run.seed)
        classifier = build_classifier(
            architecture, images.classes, image_size, normalization, derive(run.seed, "pretraining")
        )
        recipe = Target(architecture=architecture, normalization=normalization, **self.shared())
        train_classifier(classifier, recipe, NoDefense(), train, validation, run=run, stage="pretrained")
        return {name: value.cpu() for name, value in classifier.stages.state_dict().items()}


def _hold_out(images: Images, seed: int) -> tuple[Images, Images]:
    """Return the images that are learnt, and those that choose the epoch."""
    free, checked = usable(images)
    if checked.any():
        return images.select(free), images.select(checked)
    index = free.nonzero().flatten()
    order = index[torch.randperm(len(index), generator=stream(seed, "pretraining", "split"))]
    count = learnt(images)
    return images.select(order[len(order) - count :]), images.select(order[: len(order) - count])


def usable(images: Images) -> tuple[Tensor, Tensor]:
    """Return which images are reserved for nothing, and which for validation, both bool (N,)."""
    nobody = torch.zeros(len(images), dtype=torch.bool)
    tested = nobody if images.reserved is None else images.reserved
    checked = nobody if images.checked is None else images.checked
    return ~tested & ~checked, checked


def learnt(images: Images) -> int:
    """Return how many images a backbone learns, without those that choose the epoch."""
    free, checked = usable(images)
    count = int(free.sum())
    return count if checked.any() else count - max(1, round(HELD_OUT * count))
