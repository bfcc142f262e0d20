"""Tree of a data set on a disk: which pictures lie in which folder, and what its annotation files say."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from trainables.datasets.pictures import readable_suffixes
from trainables.errors import ConfigError
from trainables.storage.folders import Listing, list_folder


@dataclass(frozen=True)
class Tree:
    """Files below a folder, by paths with slashes.

    kind, layout, obtain: of the data set, for errors: its name, how it usually lies, where it comes from.
    prefix: of the folder that holds the layout; `root` may also be the folder above it.
    """

    root: Path
    kind: str
    layout: str
    obtain: str
    listing: Listing = field(repr=False)
    prefix: str = ""

    @staticmethod
    def of(root: str, kind: str, layout: str, obtain: str, *landmarks: str) -> "Tree":
        """Return the tree at `root`, or at the folder in it, where the first of `landmarks` lies.

        A landmark is the path of a folder or file; "" takes the root as it is. Raises `ConfigError` for a
        root that is missing or has none of them.
        """
        place = Path(root).expanduser()
        tree = Tree(place, kind, layout, obtain, list_folder(place) if place.is_dir() else Listing((), ()))
        if not place.is_dir():
            got = f"the file {str(place)!r}" if place.exists() else f"nothing at {str(place.absolute())!r}"
            raise tree.error("a folder", got)
        names = {path for path, _, _ in tree.listing.files} | set(tree.listing.folders)
        for landmark in landmarks:
            for parent in ("", *(f"{folder}/" for folder in tree.listing.folders if folder.count("/") < 3)):
                if not landmark or parent + landmark in names:
                    return Tree(place, kind, layout, obtain, tree.listing, parent)
        top = sorted({path.split("/")[0] for path in names})
        got = ", ".join(top[:5]) + (", …" if len(top) > 5 else "")
        raise tree.error(" or ".join(landmarks), got or "an empty folder")

    def error(self, expected: str, got: str) -> ConfigError:
        """Return the error that says what is missing, what it looks like, and where it comes from."""
        return ConfigError(
            f"{self.kind} expects {expected} below {str(self.root)!r} (root); got {got}; the usual layout is "
            f"{self.layout}; {self.obtain}"
        )

    @cached_property
    def pictures(self) -> dict[str, list[str]]:
        """Return folder -> names of the pictures right in it, sorted; both without the prefix."""
        suffixes, folders = readable_suffixes(), defaultdict(list)
        for path, _, _ in self.listing.files:
            if path.startswith(self.prefix) and PurePosixPath(path).suffix.lower() in suffixes:
                folder, _, name = path[len(self.prefix) :].rpartition("/")
                folders[folder].append(name)
        return {folder: sorted(names) for folder, names in sorted(folders.items())}

    @cached_property
    def annotations(self) -> tuple[str, ...]:
        """Return the paths below the root of the files that are no pictures."""
        suffixes = readable_suffixes()
        names = (path for path, _, _ in self.listing.files)
        return tuple(name for name in names if PurePosixPath(name).suffix.lower() not in suffixes)

    def has(self, path: str) -> bool:
        """Return whether there is a file or folder of this path."""
        return (self.root / self.prefix / path).exists()

    def inside(self, folder: str) -> dict[str, list[str]]:
        """Return the name of each folder right in `folder` -> its pictures; refuse folders without any."""
        above = f"{folder}/" if folder else ""
        names = sorted(
            path[len(self.prefix + above) :]
            for path in self.listing.folders
            if path.startswith(self.prefix + above) and "/" not in path[len(self.prefix + above) :]
        )
        empty = [name for name in names if above + name not in self.pictures]
        if empty or not names:
            got = f"{len(empty)} without any, such as {above + empty[0]!r}" if empty else "none"
            raise self.error(f"folders of images in {folder or '.'!r}", got)
        return {name: self.pictures[above + name] for name in names}

    def need(self, paths: list[str], source: str) -> None:
        """Raise `ConfigError` unless there is a picture at each of the paths, which `source` names."""
        present = {
            f"{folder}/{name}" if folder else name
            for folder in self.pictures
            for name in self.pictures[folder]
        }
        missing = [path for path in paths if path not in present]
        if missing:
            raise self.error(
                f"every image that {source} names",
                f"{len(missing)} of {len(paths)} missing, such as {missing[0]!r}",
            )

    def text(self, path: str) -> str:
        """Return the content of an annotation file; raise `ConfigError` where it is missing or no text."""
        place = self.root / self.prefix / path
        try:
            return place.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no UTF-8"
            raise self.error(f"the file {path}", f"'{reason}'") from None
