"""Published data sets, looked at before use: counts against the published ones, hashes, a map of labels."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainables.datasets.pictures import UNREADABLE
from trainables.datasets.published import Published
from trainables.datasets.tree import Tree
from trainables.errors import ConfigError
from trainables.storage.digests import file_digests
from trainables.storage.store import content_key, to_json

ANNOTATIONS = 20  # at most so many files beside the pictures have their hash in the record; else all in one


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a data set holds.

    Attributes:
        dataset, knobs, root: which one.
        counts, published: "classes", "images", and "training" and "test" where it has parts.
        fingerprint: of all pictures that the knobs choose, the same wherever they lie.
        annotations: path below the root -> SHA-256, of the files that are no pictures.
        labels: the name of each label, in order.
        usage: image size, crop and normalization of the papers.
    """

    dataset: str
    knobs: dict[str, Any]
    root: str
    counts: dict[str, int]
    published: dict[str, int]
    fingerprint: str
    annotations: dict[str, str]
    labels: list[str]
    usage: dict[str, Any]

    @property
    def name(self) -> str:
        """Return the name of its record: the same knobs over the same files have the same."""
        return f"{self.dataset}-{content_key(knobs=self.knobs, fingerprint=self.fingerprint)[:8]}"


def prepare(data: Published, memory: Path | None = None, *, partial: bool = False) -> Preparation:
    """Return what lies at the root of `data`, one picture decoded; memory: where digests are remembered.

    Raises `ConfigError` for what is missing, with where to obtain it, and for other counts than the published
    ones where all copies have these, unless `partial`.
    """
    tree, catalogue = data.survey()
    parts = Counter(item.part for item in catalogue.items)
    counts = {"classes": len(catalogue.names), "images": len(catalogue.items)}
    if parts["train"]:
        counts |= {"training": parts["train"], "test": parts["test"]}
    published = dict(data.counts_published())
    other = {name: count for name, count in published.items() if counts.get(name, 0) != count}
    if other and data.exact and not partial:
        got = ", ".join(f"{counts.get(name, 0):,} {name}" for name in other)
        raise tree.error(
            ", ".join(f"{count:,} {name}" for name, count in other.items()) + ", as published,",
            f"{got}; where a part of it is meant, say so (--partial)",
        )
    first = catalogue.items[0]
    try:
        data.usage.view.cut(data.decoded(data.bytes_of(tree, first)).image, first.box)
    except UNREADABLE as error:
        raise ConfigError(
            f"{data.kind} expects pictures; {first.path!r} below {str(tree.root)!r} (root) is none: {error}"
        ) from None
    knobs = {name: value for name, value in to_json(data).items() if name not in ("root", "kind")}
    return Preparation(
        dataset=data.kind,
        knobs=knobs,
        root=str(tree.root.resolve() / tree.prefix),
        counts=counts,
        published=published,
        fingerprint=data.contents(memory).fingerprint,
        annotations=_annotations(tree, file_digests(tree.root.resolve(), memory)),
        labels=list(catalogue.names),
        usage=asdict(data.usage),
    )


def _annotations(tree: Tree, digests: Mapping[str, str]) -> dict[str, str]:
    own = (path for path in tree.annotations if path.startswith(tree.prefix))
    files = {path[len(tree.prefix) :]: digests[path] for path in own}
    if len(files) <= ANNOTATIONS:
        return files
    return {f"{len(files)} files": content_key(files=files)}
