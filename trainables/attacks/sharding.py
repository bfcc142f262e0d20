"""An attack in parts: neighbouring identities each, worked on side by side, then put together.

An identity's result does not depend on the others, but for the group that a loss compares (`group_size`), and
groups stay whole: so the parts give what one part would have given, up to the rounding of floats.

What serves all identities alike is made again in each part: the same samples, the same answers. With the
published settings the pool of samples costs a part 8 % of what one identity costs for PPA and 21 % for
MIRROR, counting a pass forward and back as three forward; with PPA's preset for a CPU, two or three
identities. Each part of BREP-MI looks for starts until its own identities have theirs.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import torch

from trainables.attacks.base import Reconstructions
from trainables.runtime.progress import Report
from trainables.storage.disk import draft_of
from trainables.storage.resume import Resume

FOUND = "found"  # the name of a finished part's result, among the states that the attack itself saves


@dataclass(frozen=True)
class Part:
    """The identities `first` to `stop` of those attacked, and the folder that their work is left in."""

    first: int
    stop: int
    folder: Path

    @property
    def size(self) -> int:
        """Return the number of identities."""
        return self.stop - self.first


Work = Callable[[Part, str, Report], Reconstructions]
"""``work(part, device, report)``: attack the identities of a part."""


class Spread(Protocol):
    """Runs the parts of an attack, with as many as `shards` at a time, and returns what each found."""

    @property
    def shards(self) -> int:
        """Return how many parts are wanted at most."""
        ...

    def __call__(
        self, work: Work, parts: Sequence[Part], device: str, report: Report
    ) -> list[Reconstructions]:
        """Return ``work(part, ...)`` of every part; `device` is that of this process."""
        ...


def cut(count: int, shards: int, group_size: int, folder: Path) -> list[Part]:
    """Return `count` identities in at most `shards` parts of about equal size, in whole groups.

    Each has a folder of its own in `folder`. There are never more parts than groups.
    """
    groups = -(-count // group_size)
    shards = min(shards, groups)
    ends = [min(groups * number // shards * group_size, count) for number in range(shards + 1)]
    return [Part(first, stop, folder / f"{first}-{stop}") for first, stop in pairwise(ends)]


def kept(work: Work, part: Part, device: str, report: Report) -> Reconstructions:
    """Return what `part` found: read if it is finished, else worked out and left there."""
    saved = Resume(part.folder)
    before = saved.read(FOUND)
    if before is not None:
        return Reconstructions(**before)
    result = work(part, device, report)
    saved.write(FOUND, vars(result))
    return result


def merge(results: Sequence[Reconstructions]) -> Reconstructions:
    """Return the parts' results as one, in their order.

    history: means over all identities; a part that ended before the others stays where it ended.
    queries: the sum, where those that serve all identities count once: every part asks the same.
    """
    if len(results) == 1:
        return results[0]
    sizes = [result.latents.shape[1] for result in results]
    own = [result.queries - result.shared_queries for result in results if result.queries is not None]
    shared = max(result.shared_queries for result in results)
    return Reconstructions(
        latents=torch.cat([result.latents for result in results], dim=1),
        images=torch.cat([result.images for result in results], dim=1),
        history=_history([result.history for result in results], sizes),
        queries=sum(own) + shared if own else None,
        shared_queries=shared,
    )


def _history(histories: Sequence[list[dict[str, float]]], sizes: Sequence[int]) -> list[dict[str, float]]:
    iterations = [[point["iteration"] for point in history] for history in histories]
    longest = max(iterations, key=lambda steps: steps[-1])
    merged = []
    for iteration in longest:
        points = [
            history[bisect_right(steps, iteration) - 1]
            for history, steps in zip(histories, iterations, strict=True)
        ]
        means = _means(points, sizes)
        merged.append({**means, "iteration": iteration})
    return merged


def _means(rows: Sequence[Mapping[str, float]], sizes: Sequence[int]) -> dict[str, float]:
    return {
        name: sum(row[name] * size for row, size in zip(rows, sizes, strict=True)) / sum(sizes)
        for name in rows[0]
    }


def noting(part: Part) -> Report:
    """Return a report that leaves in the part's folder how far it is, for `overall_progress`."""

    def report(stage: str, done: int, total: int, **metrics: float) -> None:
        part.folder.mkdir(parents=True, exist_ok=True)
        with draft_of(part.folder / "progress.json") as draft:
            draft.write_text(json.dumps([done, total]))

    return report


def overall_progress(parts: Sequence[Part]) -> tuple[int, int]:
    """Return how much of how much work all parts have done, by what each noted last.

    The work of a part that has noted nothing yet is taken to be as long as that of the others; (0, 1) if none
    has.
    """
    known = [(part.size, *note) for part in parts if (note := _noted(part)) is not None]
    if not known:
        return 0, 1
    identities, seen = sum(part.size for part in parts), sum(size for size, _, _ in known)
    total = sum(total for _, _, total in known)
    return sum(done for _, done, _ in known), round(total * identities / seen)


def _noted(part: Part) -> tuple[int, int] | None:
    try:
        done, total = json.loads((part.folder / "progress.json").read_text())
        return int(done), int(total)
    except (OSError, ValueError, TypeError):  # gone, or damaged
        return None
