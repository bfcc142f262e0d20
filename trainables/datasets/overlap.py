"""Refuse data that shares what it must not: people, files or pictures, between sets and between parts."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.errors import ConfigError

GENERIC = {"all"}  # names that say nothing about who is shown
SHOWN = 3  # how many examples an error names


def check_disjoint(private: Images, public: Images, *, names: bool = True) -> None:
    """Raise `ConfigError` if the two share a file, a picture or an identity (equal name).

    A picture is shared if the bytes of its file are, or its pixels at the size it was loaded at. Names are
    compared only where both sides tell more than one identity apart, the single identity of a flat folder
    says nothing about who is in it; and not at all if `names` is false.
    """
    _refuse("files", sorted(set(private.files) & set(public.files)), len(private))
    _refuse("identical images", [f"{a} = {b}" for a, b in shared_pictures(private, public)], len(private))
    named = [
        {_spelled(name): name for name in side.names if name not in GENERIC} for side in (private, public)
    ]
    if names and all(len(side) > 1 for side in named):
        same = sorted(named[0][name] for name in named[0].keys() & named[1].keys())
        _refuse("identities", same, private.classes, _names_remedy(same))


def shared_pictures(first: Images, second: Images) -> list[tuple[str, str]]:
    """Return (file, file) for each picture of `second` that `first` holds too, by bytes or by pixels."""
    known = {digest: file for digests, file in _prints(first) for digest in digests}
    pairs = []
    for digests, file in _prints(second):
        other = next((known[digest] for digest in digests if digest in known), None)
        if other is not None:
            pairs.append((other, file))
    return pairs


def check_parts(parts: Split, *, allow: bool) -> list[str]:
    """Return warnings of pictures that lie in two parts of one data set, or under two people, and of people
    without a test image.

    Raises `ConfigError` with their count and names instead, unless `allow`. A warning has no names: it goes
    into the card of a released target.
    """
    places: dict[bytes, list[tuple[str, int, str]]] = defaultdict(list)
    named = (("training", parts.train), ("validation", parts.validation), ("test", parts.test))
    for part, images in named:
        for digest, label, file in zip(
            _pixel_digests(images), images.labels.tolist(), images.files, strict=True
        ):
            places[digest].append((part, label, file))
    groups = [group for group in places.values() if len(group) > 1]
    across_people, across_parts = [], []
    for group in groups:
        if len({label for _, label, _ in group}) > 1:
            across_people.append(group)
        elif len({part for part, _, _ in group}) > 1:
            across_parts.append(group)
    problems = [
        (
            f"{len(these)} equal image{'' if len(these) == 1 else 's'} {where}",
            _examples(" = ".join(file for _, _, file in group) for group in these),
        )
        for these, where in ((across_people, "under two people"), (across_parts, "in two of its parts"))
        if these
    ]
    if problems and not allow:
        texts = " and ".join(f"{text} ({files})" for text, files in problems)
        raise ConfigError(
            "private data must show each image once, or the test says nothing about unseen images; got "
            f"{texts} of {sum(len(images) for _, images in named)} (private); remove "
            "them, or set private.allow_duplicates: true"
        )
    warnings = [text for text, _ in problems]
    untested = parts.test.classes - len(set(parts.test.labels.tolist()))
    if untested:
        who = f"{untested} of {parts.test.classes} people"
        warnings.append(f"{who} have no test image, and test accuracy says nothing of them")
    return [f"private data: {text}" for text in warnings]


def check_pretraining(private: Images, pretraining: Images, *, allow: bool) -> list[str]:
    """Return warnings of what pre-training shares with the private data; [] if that is nothing.

    Raises `ConfigError` if it shares pictures, unless `allow`: a target that starts from weights which saw
    the private images, those of the test among them, is measured on what it knows.
    """
    same = [f"{a} = {b}" for a, b in shared_pictures(private, pretraining)]
    if same and not allow:
        raise ConfigError(
            f"pre-training and private data must share no images; got {len(same)} shared of {len(private)} "
            f"private ({_examples(same)}) (pretraining.data, private); remove them from the pre-training "
            "data, or set pretraining.data.allow_duplicates: true"
        )
    warnings = []
    if same:
        warnings.append(f"pre-training data: {len(same)} images are private ones")
    named = [{_spelled(name): name for name in side.names} for side in (private, pretraining)]
    people = sorted(named[0][name] for name in named[0].keys() & named[1].keys() if name not in GENERIC)
    people = [name for name in people if not _is_number(name)]
    if people:
        warnings.append(f"pre-training data: {len(people)} people have the names of private ones")
    return warnings


def _names_remedy(names: Sequence[str]) -> str:
    if any(_is_number(name) for name in names):
        return (
            "these names are numbers, and each data set may count its own people: if they are others, set "
            "anonymous_names: true on one of the two, else remove them from the public data"
        )
    return (
        "remove them from the public data, or set anonymous_names: true on one of the two if equal names are "
        "other people there"
    )


def _is_number(name: str) -> bool:
    """Return whether a name only counts: "17", "id_0017", "person 3"."""
    return re.fullmatch(r"([^\W\d_]{0,8}[\W_]*)?\d+", name.strip()) is not None


def _spelled(name: str) -> str:
    """Return a name as it reads: file systems write one name in different bytes, or in another case."""
    return unicodedata.normalize("NFC", name).casefold()


def _prints(images: Images) -> Iterator[tuple[list[bytes], str]]:
    """Yield the digests of each image, of its pixels and of its file's bytes, and its file."""
    files = images.digests or (None,) * len(images)
    for pixels, content, file in zip(_pixel_digests(images), files, images.files, strict=True):
        yield [pixels] if content is None else [pixels, content], file


def _pixel_digests(images: Images) -> list[bytes]:
    return [hashlib.blake2b(picture.numpy().tobytes(), digest_size=16).digest() for picture in images.pixels]


def _examples(texts: Sequence[str] | Iterator[str]) -> str:
    texts = list(texts)
    return ", ".join(texts[:SHOWN]) + (", …" if len(texts) > SHOWN else "")


def _refuse(
    what: str, shared: list[str], total: int, remedy: str = "remove them from the public data"
) -> None:
    if shared:
        raise ConfigError(
            f"private and public data must share no {what}; got {len(shared)} shared of {total} private "
            f"({_examples(shared)}) (private, public); {remedy}"
        )
