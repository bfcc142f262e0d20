"""Inputs of the first trained stage: frozen stages run outside autograd, once where nothing varies."""

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.datasets.base import as_float
from trainables.runtime.upload import upload
from trainables.training.batches import Augmentation, BatchAugmentation, no_augmentation, take_batch
from trainables.training.freeze import FrozenBatchnorm
from trainables.training.variation import vary

# Bytes for the stored outputs of one set of images. Fixed, so that a run computes the same way every time.
KEPT_BYTES = {"cpu": 1 << 30, "cuda": 8 << 30}
CHUNK = 64


def cacheable_variants(augmentation: Augmentation) -> int:
    """Return how many views of an image `augmentation` makes, or 0 if they are too many to keep."""
    return {"none": 1, "flip": 2}.get(augmentation, 0)


class Prefix:
    """Gives the images of a batch and what the first trained stage receives for them.

    With frozen batch norm in "eval", the frozen stages' outputs for all `pixels` are computed when this is
    made, in `keep` views: 1 (as they are), 2 (and mirrored), 0 (not kept, as under random shifts). They are
    not kept either if they would take more than `KEPT_BYTES`, or if frozen batch norm is in "train", where an
    output depends on the rest of its batch. What is not kept is computed for each batch, in the mode that the
    stages are in, without gradient.
    """

    def __init__(
        self, classifier: Classifier, frozen: int, pixels: Tensor, *, keep: int, batchnorm: FrozenBatchnorm
    ) -> None:
        self.classifier = classifier
        self.frozen = frozen
        self.pixels = pixels
        self.stored: Tensor | None = None
        if frozen and keep and batchnorm == "eval":
            self._keep(keep)

    def __call__(self, index: Tensor, views: BatchAugmentation) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, S, S) in [0, 1], pixels[index] as `views` show them, and the stage's input."""
        images = vary(as_float(take_batch(self.pixels, index, views)), views.variation)
        if self.frozen == 0:
            return images, images
        if self.stored is None:
            return images, self._outputs(images)
        where = self.stored.device
        return images, self.stored[upload(views.flips.long(), where), upload(index, where)]

    def _keep(self, views: int) -> None:
        count = len(self.pixels)
        example = self._outputs(as_float(self.pixels[:1]))
        needed = example.numel() * example.element_size() * count * views
        if needed > KEPT_BYTES.get(self.pixels.device.type, 0):
            return
        self.stored = example.new_empty(views, count, *example.shape[1:])
        for index in torch.split(torch.arange(count), CHUNK):
            images = as_float(take_batch(self.pixels, index, no_augmentation(len(index))))
            for view in range(views):
                outputs = self._outputs(images.flip(-1) if view else images)
                self.stored[view, upload(index, outputs.device)] = outputs

    @torch.no_grad()
    def _outputs(self, images: Tensor) -> Tensor:
        return self.classifier.run(images, 0, self.frozen)
