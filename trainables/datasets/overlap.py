"""Refuse public data that contains private people: an attack on them would prove nothing."""

import hashlib

from trainables.datasets.base import Images
from trainables.errors import ConfigError

GENERIC = {"all"}  # names that say nothing about who is shown
SHOWN = 3  # how many examples an error names


def check_disjoint(private: Images, public: Images) -> None:
    """Raise `ConfigError` if the two share a file, an image (equal pixels) or an identity (equal name).

    Names are compared only where both sides tell more than one identity apart: the single identity of a flat
    folder says nothing about who is in it. Images are compared at the size they were loaded at.
    """
    _refuse("files", sorted(set(private.files) & set(public.files)), len(private))
    known = dict(zip(_digests(private), private.files, strict=True))
    pairs = zip(_digests(public), public.files, strict=True)
    same = [f"{known[digest]} = {file}" for digest, file in pairs if digest in known]
    _refuse("identical images", same, len(private))
    named = [set(side.names) - GENERIC for side in (private, public)]
    if all(len(names) > 1 for names in named):
        _refuse("identities", sorted(named[0] & named[1]), private.classes)


def _digests(images: Images) -> list[bytes]:
    return [hashlib.blake2b(picture.numpy().tobytes(), digest_size=16).digest() for picture in images.pixels]


def _refuse(what: str, shared: list[str], total: int) -> None:
    if not shared:
        return
    examples = ", ".join(shared[:SHOWN]) + (", …" if len(shared) > SHOWN else "")
    raise ConfigError(
        f"private and public data must share no {what}; got {len(shared)} shared of {total} private "
        f"({examples}) (private, public); remove them from the public data"
    )
