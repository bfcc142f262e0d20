"""ImageNet-1K, to pre-train on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.class_folders import ClassFolders
from trainables.datasets.layout import Part
from trainables.datasets.published import Protocol, View
from trainables.datasets.tree import Tree


@dataclass(frozen=True, kw_only=True)
class ImageNet(ClassFolders):
    """ILSVRC 2012 in torchvision's layout, classes in the order of their WordNet numbers.

    The middle 224 where the shorter side has 256; the validation part is the test set, where it is there.
    """

    kind: ClassVar[str] = "imagenet"
    summary: ClassVar[str] = "ImageNet-1K (ILSVRC 2012), to pre-train on"
    source: ClassVar[str] = "Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015"
    layout: ClassVar[str] = "train/n01440764/file.JPEG and val/n01440764/file.JPEG"
    obtain: ClassVar[str] = (
        "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from https://image-net.org and unpack them "
        "into folders of classes, as torchvision.datasets.ImageNet does"
    )

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the training part."""
        return ("train",)

    @property
    def usage(self) -> Protocol:
        """Return the size and normalization of torchvision's weights."""
        return Protocol(224, View(224, 256), "imagenet")

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts."""
        return {"classes": 1_000, "training": 1_281_167, "test": 50_000} if self.least_images == 1 else {}

    def folders(self, tree: Tree) -> dict[str, Part | None]:
        """Return the parts that are there."""
        return {"train": "train", "val": "test"} if tree.has("val") else {"train": None}
