"""Layout of a folder, which tells who is shown: identity/file, the same in parts, or flat."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from trainables.datasets.pictures import HEIF
from trainables.errors import ConfigError

Part = Literal["train", "validation", "test"]
SHOWN = 5  # how many names an error lists

# How the parts of a data set are spelled, in lower case, without "set", "images" and the like at the end.
SPELLINGS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), "test"),
    **dict.fromkeys(
        ("eval", "evaluation", "gallery", "probe", "query", "trainval", "fold", "split"), "other"
    ),
}
ENDINGS = re.compile(r"(set|data|dataset|images?|imgs?|faces?|photos?|pictures?|part|split|people)$")
# Small copies of the pictures beside them, which some programs keep in folders that are not hidden.
THUMBNAILS = {"thumb", "thumbs", "_thumbs", "thumbnail", "thumbnails", "_thumbnails"}
# Files that people keep beside pictures; leaving them out is no loss.
NOTES = {
    *(".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".xml", ".html", ".htm"),
    *(".log", ".ini", ".cfg", ".py", ".sh"),
}


@dataclass(frozen=True)
class Entry:
    """One picture: its path below the root, its identity, and the part that it is given to, if any."""

    path: str
    identity: str
    part: Part | None = None


def role_of(name: str) -> str | None:
    """Return which part of a data set a folder's name spells: a `Part`, "other", or None for none."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    plain = re.sub(r"\d{4}$", "", plain)  # train2017
    if re.fullmatch(r"(fold|split)\d+", plain):
        return "other"
    shorter = ENDINGS.sub("", plain)
    return SPELLINGS.get(plain) or SPELLINGS.get(shorter)


def arrange(
    paths: Sequence[str], folders: Collection[str], others: Sequence[str], root: str
) -> tuple[list[Entry], list[str]]:
    """Return the entries of pictures in order of identity and path, and warnings of what is left out.

    folders: all folders below `root`, those without a picture too. others: the files that are no readable
    pictures. Where the top folders are one train part
    and one test part, perhaps with one validation part, whatever the spelling, each entry has its part.
    Raises `ConfigError` for any other layout than those of `ImageFolder`, with the tree that was seen.
    """
    parts = {path: PurePosixPath(path).parts for path in paths}
    top = {part[0] for part in parts.values()}
    above: tuple[str, ...] = ()
    while len(top) == 1 and min(map(len, parts.values())) > 2 and not _lone_part(top, above, folders):
        above += tuple(top)  # one folder wrapped around everything
        parts = {path: part[1:] for path, part in parts.items()}
        top = {part[0] for part in parts.values()}
    roles = _roles(parts.values(), above, folders, root)
    depth = 3 if roles else 2
    parts, dropped = _without_thumbnails(parts, depth)
    loose = [path for path, part in parts.items() if len(part) == 1]
    if loose and len(loose) < len(parts):
        raise ConfigError(
            "image_folder expects every image in a folder named for its identity, or none; "
            f"got {len(loose)} of {len(parts)} images outside of one, such as {loose[0]!r} in {root!r} "
            "(root); move them into identity folders, or away"
        )
    deep = [path for path, part in parts.items() if len(part) > depth]
    if deep:
        raise ConfigError(_too_deep(deep, list(parts.values()), depth, root))
    if roles:
        entries = [Entry(path, part[1], roles[part[0]]) for path, part in parts.items()]
    else:
        alone = bool(loose) or len({part[0] for part in parts.values()}) == 1
        entries = [Entry(path, "all" if alone else part[0]) for path, part in parts.items()]
    _no_twins({entry.identity for entry in entries}, root)
    _no_empty_folders(entries, folders, others, root)
    return sorted(entries, key=lambda entry: (entry.identity, entry.path)), dropped


def _lone_part(top: set[str], above: tuple[str, ...], folders: Collection[str]) -> bool:
    """Return whether the one folder with pictures is a part, and another part without any lies beside it."""
    if role_of(next(iter(top))) is None:
        return False
    return any(role_of(name) for name in _inside(above, folders) if name not in top)


def _inside(above: tuple[str, ...], folders: Collection[str]) -> list[str]:
    """Return the names of the folders right below the folder of these parts."""
    split = (PurePosixPath(folder).parts for folder in folders)
    return sorted(part[-1] for part in split if part[:-1] == above)


def _roles(
    paths: Iterable[tuple[str, ...]], above: tuple[str, ...], folders: Collection[str], root: str
) -> dict[str, Part]:
    """Return top folder -> its part, {} where the top folders are people; raise `ConfigError` if unclear."""
    paths = list(paths)
    top = sorted({part[0] for part in paths if len(part) > 1})
    every = sorted({*top, *(name for name in _inside(above, folders) if role_of(name))})
    roles = {name: role for name in every if (role := role_of(name))}
    different = set(roles.values())
    if (
        not roles
        or len(every) < 2
        or not (len(roles) == len(every) or "train" in different or len(different) > 1)
    ):
        return {}
    named: dict[str, Part] = {}
    for part in ("train", "validation", "test"):
        named |= {name: part for name, role in roles.items() if role == part}
    clear = (
        sorted(named.values()) in (["test", "train"], ["test", "train", "validation"])
        and len(named) == len(every) == len(top)
        and min(map(len, paths)) > 2
    )
    if not clear:
        bare = [name for name in every if name not in top]
        without = f"; no readable image in {_listed(bare)}" if bare else ""
        raise ConfigError(
            f"image_folder expects people's folders; {_listed(every)} in {root!r} (root) are parts, not "
            f"people (saw {_tree(paths)}{without}); give it one part named train and one named test (and one "
            "named validation, if there is one), each with a folder of images for each person, or move the "
            "people's folders up into one"
        )
    return named


def _without_thumbnails(
    parts: Mapping[str, tuple[str, ...]], depth: int
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the pictures but for those in folders of thumbnails below an identity, and a warning."""
    small = {
        path
        for path, part in parts.items()
        if {name.casefold() for name in part[depth - 1 : -1]} & THUMBNAILS
    }
    if not small or len(small) == len(parts):
        return dict(parts), []
    warning = f"left out {_count(len(small), 'image')} in folders of thumbnails"
    return {path: part for path, part in parts.items() if path not in small}, [warning]


def _too_deep(deep: list[str], parts: Sequence[tuple[str, ...]], depth: int, root: str) -> str:
    hint = "move the images up, so that each lies right in its person's folder"
    if all(role_of(part[depth - 1]) for part in parts if len(part) > depth):
        hint = "turn it round: train/identity/file and test/identity/file"
    layout = "train/identity/file and test/identity/file" if depth == 3 else "identity/file"
    return (
        f"image_folder expects {layout}; got {len(deep)} of {len(parts)} images a level or more below that, "
        f"such as {deep[0]!r} in {root!r} (root): saw {_tree(parts)}; {hint}, or give the folder that holds "
        "the people's folders as root"
    )


def _tree(parts: Sequence[tuple[str, ...]]) -> str:
    """Return the levels of a tree in one line, such as "a, b / x, y, … (7) / 30 images"."""
    levels = []
    for level in range(max(map(len, parts)) - 1):
        names = sorted({part[level] for part in parts if len(part) > level + 1})
        more = f", … ({len(names)})" if len(names) > SHOWN else ""
        levels.append(", ".join(map(_plain, names[:SHOWN])) + more)
    return " / ".join([*levels, _count(len(parts), "image")])


def _no_twins(names: set[str], root: str) -> None:
    """Raise `ConfigError` for names that differ in their bytes, but not in what they spell."""
    spelled: dict[str, str] = {}
    for name in sorted(names):
        plain = unicodedata.normalize("NFC", name)
        if plain in spelled:
            raise ConfigError(
                f"image_folder expects one folder for each person; {spelled[plain]!a} and {name!a} in "
                f"{root!r} (root) spell the same name; put their images into one folder"
            )
        spelled[plain] = name


def _no_empty_folders(
    entries: Sequence[Entry], folders: Collection[str], others: Sequence[str], root: str
) -> None:
    """Raise `ConfigError` for a folder beside those of identities that holds no image: someone is missing."""
    parents = {parent for entry in entries for parent in PurePosixPath(entry.path).parents}
    identities = {PurePosixPath(entry.path).parent for entry in entries} - {PurePosixPath(".")}
    above = {identity.parent for identity in identities}
    empty = sorted(f for f in folders if PurePosixPath(f).parent in above and PurePosixPath(f) not in parents)
    if empty:
        held = _lost(path for path in others if path.startswith(f"{empty[0]}/"))
        but = f" (it holds {by_suffix(held)})" if held else ""
        raise ConfigError(
            f"image_folder expects images in every folder; got {len(empty)} without any, such as "
            f"{empty[0]!r}{but} in {root!r} (root); {remedy(held) if held else 'fill or remove them'}"
        )


def loss_warnings(others: Sequence[str]) -> list[str]:
    """Return a warning that counts the files that are no readable images, by suffix; [] without any."""
    lost = _lost(others)
    if not lost:
        return []
    return [
        f"left out {_count(len(lost), 'file')} that cannot be read as images: {by_suffix(lost)}; "
        f"{remedy(lost)}"
    ]


def _lost(others: Iterable[str]) -> list[str]:
    return [path for path in others if PurePosixPath(path).suffix.lower() not in NOTES]


def by_suffix(paths: Iterable[str]) -> str:
    """Return how many files have which suffix, the most frequent first."""
    counts = Counter(_plain(PurePosixPath(path).suffix.lower()) or "without a suffix" for path in paths)
    return ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())


def remedy(paths: Iterable[str]) -> str:
    """Return what to do with files that cannot be read."""
    if any(PurePosixPath(path).suffix.lower() in HEIF for path in paths):
        return (
            "install pillow-heif for .heic (the extra heif), or convert them to PNG or JPEG, or move them "
            "away"
        )
    return "convert them to PNG or JPEG, or move them away"


def _plain(name: str) -> str:
    """Return a name that fits into a line of text: what is no UTF-8, or moves the cursor, is escaped."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
