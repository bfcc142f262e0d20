"""Folder of what may be made again, beside the store that a process opened last."""

from pathlib import Path

PLACE: dict[str, Path] = {}  # "folder", once a store was opened


def use_folder(folder: Path) -> None:
    """Keep the pixels of large data sets in `folder` from now on; it is created when it is needed."""
    PLACE["folder"] = folder
