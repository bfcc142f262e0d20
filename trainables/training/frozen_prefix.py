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
RESIDENT_BYTES = 8 << 30  # of pixels that a GPU holds; a set of millions of images stays mapped from its file
CHUNK = 64


def cacheable_variants(augmentation: Augmentation) -> int:
    """Return how many views of an image `augmentation` makes, or 0 if they are too many to keep."""
    return {"none": 1, "flip": 2}.get(augmentation, 0)


def resident(pixels: Tensor, device: torch.device) -> Tensor:
    """Return `pixels` on `device` if they are few enough to stay there, else where they are."""
    return pixels.to(device) if pixels.nbytes <= RESIDENT_BYTES else pixels


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
        self.device = next(classifier.parameters()).device
        self.pixels = resident(pixels, self.device)
        self.stored: Tensor | None = None
        if frozen and keep and batchnorm == "eval":
            self._keep(keep)

    def __call__(
        self, index: Tensor, views: BatchAugmentation, *, look: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, S, S) in [0, 1], pixels[index] as `views` show them, and the stage's input.

        look: whether the images are wanted; where the input is stored they are not made else, and there are
        none of them, (0, 3, S, S).
        """
        if self.stored is None:
            images = self._images(index, views)
            return images, self._outputs(images) if self.frozen else images
        inputs = self.stored[upload(views.flips.long(), self.device), upload(index, self.device)]
        return self._images(index if look else index[:0], views), inputs

    def _images(self, index: Tensor, views: BatchAugmentation) -> Tensor:
        if not len(index):
            return torch.empty(0, *self.pixels.shape[1:], device=self.device)
        seen = upload(take_batch(self.pixels, index, views), self.device)
        return vary(as_float(seen), views.variation)

    def _keep(self, views: int) -> None:
        count = len(self.pixels)
        example = self._outputs(as_float(upload(self.pixels[:1], self.device)))
        needed = example.numel() * example.element_size() * count * views
        if needed > KEPT_BYTES.get(self.device.type, 0):
            return
        self.stored = example.new_empty(views, count, *example.shape[1:])
        for index in torch.split(torch.arange(count), CHUNK):
            images = self._images(index, no_augmentation(len(index)))
            for view in range(views):
                outputs = self._outputs(images.flip(-1) if view else images)
                self.stored[view, upload(index, outputs.device)] = outputs

    @torch.no_grad()
    def _outputs(self, images: Tensor) -> Tensor:
        return self.classifier.run(images, 0, self.frozen)
