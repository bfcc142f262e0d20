"""MS-Celeb-1M: aligned crops, for pre-training of face networks."""

from dataclasses import dataclass
from typing import ClassVar

from trainables.datasets.class_folders import ClassFolders
from trainables.datasets.published import Protocol, View


@dataclass(frozen=True, kw_only=True)
class MSCeleb(ClassFolders):
    """Crops of 112 by 112 pixels, taken whole: what IR152 and FaceNet64 start from.

    Cleaned lists of it differ, so that no count is right for all.
    """

    kind: ClassVar[str] = "ms_celeb"
    summary: ClassVar[str] = "MS-Celeb-1M: aligned crops of 112 pixels, for pre-training"
    source: ClassVar[str] = "Guo et al., MS-Celeb-1M, ECCV 2016"
    layout: ClassVar[str] = "m.0107_f/file.jpg, a folder for each person"
    obtain: ClassVar[str] = (
        "it is no longer served by its authors; extract a cleaned, aligned copy that you may use "
        "(ms1m, imgs/) into folders of people"
    )
    exact: ClassVar[bool] = False

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Return the folder of crops, or the root."""
        return ("imgs", "")

    @property
    def usage(self) -> Protocol:
        """Return the size of the crops."""
        return Protocol(112, View())
