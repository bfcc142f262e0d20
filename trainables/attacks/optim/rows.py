"""Rows of a search: restarts of identities, worked through in chunks, told of and put together. No attack."""

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from trainables.attacks.base import Reconstructions, in_chunks
from trainables.attacks.optim.descent import Journal, sampled
from trainables.runtime.progress import Report
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise

LOSSES = ("identity_loss", "prior_loss")
History = list[dict[str, float]]
Search = Callable[[int, int, Journal], Sequence[Tensor]]
"""``search(first, stop, journal)``: tensors (n, …) of the rows `first` to `stop`, and last the sums over them
of all that was measured at `sampled` iterations, (P, k)."""


class Rows:
    """Restarts of identities as rows of one batch: row r * N + i is restart r of identity i.

    Each row has random streams of its own, so what becomes of it does not depend on the rows beside it.

    labels: int64 (R * N,), on the CPU.
    """

    def __init__(self, kind: str, identities: Tensor, restarts: int, run: Run) -> None:
        self.labels = identities.repeat(restarts)
        self._kind, self._run, self._shape = kind, run, (restarts, len(identities))

    def __len__(self) -> int:
        return len(self.labels)

    def own(self, first: int, stop: int) -> Tensor:
        """Return the labels of rows `first` to `stop` on the device of the run."""
        return self.labels[first:stop].to(self._run.device)

    def streams(self, use: str, first: int, stop: int) -> list[torch.Generator]:
        """Return the random streams of rows `first` to `stop` for `use`."""
        count = self._shape[1]
        return [
            self._run.stream(self._kind, use, row // count, int(self.labels[row]))
            for row in range(first, stop)
        ]

    def noise(self, use: str, first: int, stop: int, size: int) -> Iterator[Tensor]:
        """Yield, for ever, standard normal noise (n, size) of rows `first` to `stop` on the device."""
        return row_noise(self.streams(use, first, stop), size, self._run.device)

    def starts(self, first: int, stop: int, size: int) -> Tensor:
        """Return standard normal latents (n, size) of rows `first` to `stop` on the device."""
        drawn = [torch.randn(size, generator=stream) for stream in self.streams("start", first, stop)]
        return torch.stack(drawn).to(self._run.device)

    def by_restart(self, values: Tensor) -> Tensor:
        """Return `values` (R * N, …) of all rows as (R, N, …)."""
        return values.reshape(*self._shape, *values.shape[1:])

    def select(self, values: Tensor, chosen: Tensor) -> Tensor:
        """Return the `values` (R * N, …) of each identity's restarts `chosen` (k, N), as (k, N, …)."""
        return self.by_restart(values)[chosen, torch.arange(self._shape[1])]

    def reconstructions(self, search: Search, at_once: int, iterations: int) -> Reconstructions:
        """Return (R, N) reconstructions of the latents (n, Z) and images that `search` gives for all rows."""
        (latents, pixels), history = search_rows(search, len(self), at_once, iterations, run=self._run)
        return Reconstructions(
            latents=self.by_restart(latents), images=self.by_restart(pixels), history=history
        )


class Meter:
    """Reports work of a known total as stage "attack": at most once a second, and at the end."""

    def __init__(self, report: Report, total: int) -> None:
        self._report, self._total = report, total
        self._done, self._told, self._last = 0, 0, 0.0

    def add(self, done: int) -> None:
        """Count `done` more units and report them, unless they were, if it is time."""
        self._done += done
        due = self._done == self._total or time.monotonic() - self._last > 1
        if due and self._told < self._done:
            self.at(0)

    def at(self, ahead: int, **metrics: float) -> None:
        """Report `ahead` units more than were counted so far."""
        self._told = self._done + ahead
        self._report("attack", self._told, self._total, **metrics)
        self._last = time.monotonic()


def search_rows(
    search: Search,
    rows: int,
    at_once: int,
    iterations: int,
    *,
    run: Run,
    group: int = 1,
    name: str = "rows",
    measured: Sequence[str] = LOSSES,
    meter: Meter | None = None,
    beyond: int = 0,
) -> tuple[list[Tensor], History]:
    """Return what `search` returns of all `rows`, put together on the CPU, and the history of the attack.

    Worked through in whole groups of `group` neighbours, as many as `at_once` rows hold, but at least one.
    name: of the chunks in the journal, which are numbered by groups. measured: names of what is measured.
    meter: counts `iterations` + `beyond` units for each row; by default one of this search alone.
    """
    meter = meter or Meter(run.report, rows * iterations)

    def work(first: int, stop: int) -> list[Tensor]:
        begin, end = first * group, min(stop * group, rows)

        def progress(iteration: int, *values: float) -> None:
            meter.at(iteration * (end - begin), **dict(zip(measured, values, strict=True)))

        values = search(begin, end, Journal(progress, run.resume, f"{name}-{first}-{stop}"))
        meter.add((end - begin) * (iterations + beyond))
        return [value.cpu() for value in values]

    chunks = in_chunks(-(-rows // group), max(1, at_once // group), work)
    *parts, sums = zip(*chunks, strict=True)
    course = torch.stack(sums).sum(0) / rows
    history = [
        {"iteration": float(iteration), **dict(zip(measured, values, strict=True))}
        for iteration, values in zip(sampled(iterations), course.tolist(), strict=True)
    ]
    return [torch.cat(part) for part in parts], history


def by_sample(latents: Tensor, images: Tensor, history: History) -> Reconstructions:
    """Return (R, N) reconstructions of latents (N, R, Z) and images (N, R, 3, S, S), R samples of each."""
    return Reconstructions(
        latents=latents.transpose(0, 1).contiguous(),
        images=images.transpose(0, 1).contiguous(),
        history=history,
    )
