"""VGGFace2: 9,131 people in loosely cut photographs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from trainables.datasets.class_folders import ClassFolders
from trainables.datasets.published import Protocol, View


@dataclass(frozen=True, kw_only=True)
class VGGFace2(ClassFolders):
    """People of VGGFace2 in the order of their numbers; the middle 224 where the shorter side has 256.

    part: train has 8,631 people, test 500 others, each with all their images.
    """

    kind: ClassVar[str] = "vggface2"
    summary: ClassVar[str] = "VGGFace2: 8,631 people (and 500 others) in 3.31 million photographs"
    source: ClassVar[str] = (
        "Cao et al., VGGFace2: A dataset for recognising faces across pose and age, FG 2018"
    )
    layout: ClassVar[str] = "train/n000002/0001_01.jpg and test/n000001/0001_01.jpg"
    obtain: ClassVar[str] = (
        "its authors no longer serve it (https://github.com/ox-vgg/vgg_face2); unpack "
        "vggface2_train.tar.gz or vggface2_test.tar.gz there"
    )
    exact: ClassVar[bool] = False

    part: Literal["train", "test"] = "train"

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of the part."""
        return (self.part,)

    @property
    def usage(self) -> Protocol:
        """Return the crop and size of its authors' networks, and PPA's normalization.

        Their networks, which MIRROR attacked, subtract a mean (131.0912, 103.8827 and 91.4953 of 255) and do
        not divide. TL-DMI does not say which it took.
        """
        return Protocol(224, View(224, 256), "half")

    def counts_published(self) -> Mapping[str, int]:
        """Return the published counts; the 3.31 million images of the papers are those of both parts."""
        if self.part == "test":
            return {"classes": 500, "images": 169_396}
        return {"classes": 8_631, "images": 3_141_890}
