"""A cheap stand-in for trials: a surface through recorded ones, read in microseconds.

A recorded trial is a row of plain numbers: freeze depth (0 nothing, 1 everything), defense and its weights,
both accuracies, seconds. The surface is the mean of a Gaussian process for each figure (accuracies as log
odds, seconds as logarithms): a part that depends on the depth alone, which all defenses share, and a part
of each defense over depth and weights (logarithms, each from 0 to 1). Its scales and its noise are those
under which each recorded trial is best foretold from the others (Rasmussen and Williams, 2006, equations
5.10 to 5.13).
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHTS = {"lambda_x": (1e-3, 0.2), "lambda_y": (1e-2, 2.5), "beta": (1e-3, 0.1)}  # below the low end is none
FIGURES = ("test_accuracy", "attack_accuracy", "seconds")
COLUMNS = ("depth", "defense", *WEIGHTS, *FIGURES)
# Log odds of 0 are infinite. Half a hit in a few hundred is the least that can be told from none; how little
# a collapsed classifier gets right is of no interest, and would bend the surface far around it.
LEAST = (0.1, 2e-3)


def place(defense: str, depth: float, weights: Mapping[str, Any]) -> tuple[str, tuple[float, ...]]:
    """Return the defense, and where a trial lies: its depth and up to two weights, each from 0 to about 1."""
    found = [depth]
    for name, (low, high) in WEIGHTS.items():
        if weights.get(name) not in (None, ""):
            found.append(float(np.log(max(float(weights[name]), low) / low) / np.log(high / low)))
    return defense, tuple(found + [0.0] * (3 - len(found)))


@dataclass(frozen=True)
class Surface:
    """A Gaussian process's mean over places, for one figure."""

    kinds: tuple[str, ...]
    places: Floats
    mean: float
    weights: Floats
    scales: tuple[float, float, float]
    noise: float
    error: float

    def __call__(self, kind: str, at: Sequence[float]) -> float:
        near = _kernel((kind,), np.array([at]), self.kinds, self.places, self.scales)
        return float(self.mean + (near @ self.weights)[0])


def _kernel(
    a: Sequence[str], x: Floats, b: Sequence[str], y: Floats, scales: tuple[float, float, float]
) -> Floats:
    shared, own, part = scales
    depth = ((x[:, None, 0] - y[None, :, 0]) / shared) ** 2
    whole = (((x[:, None] - y[None]) / own) ** 2).sum(-1)
    same = np.array(a)[:, None] == np.array(b)[None]
    found: Floats = np.exp(-depth / 2) + part * same * np.exp(-whole / 2)
    return found


def fit(kinds: Sequence[str], places: Floats, values: Floats) -> Surface:
    """Return the surface whose scales foretell each value best from the others."""
    best, mean, spread = -np.inf, float(values.mean()), float(values.var()) or 1.0
    y = values - mean
    for shared, own, part, ratio, size in product(
        (0.4, 0.7, 1.2), (0.4, 0.7, 1.2), (0.1, 0.5, 1.0), (0.01, 0.03, 0.1, 0.3), (0.5, 1.0, 3.0)
    ):
        kernel = _kernel(kinds, places, kinds, places, (shared, own, part)) + ratio * np.eye(len(y))
        inverse = np.linalg.inv(size * spread * kernel)
        variance = 1 / np.diag(inverse)
        missed = (inverse @ y) * variance
        score = float(-0.5 * (np.log(variance) + missed**2 / variance).sum())
        if score > best:
            best = score
            weights = np.linalg.solve(kernel, y)
            noise = float(np.std(ratio * weights))  # what is left of the recorded values about the surface
            found = Surface(
                tuple(kinds),
                places,
                mean,
                weights,
                (shared, own, part),
                noise,
                float(np.sqrt(np.mean(missed**2))),
            )
    return found


class StandIn:
    """Test accuracy, attack accuracy and seconds of any assignment of the recorded space."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], points: Sequence[str]) -> None:
        self._points = {point: position / (len(points) - 1) for position, point in enumerate(points)}
        self._count = len(rows)
        found = [place(row["defense"], float(row["depth"]), row) for row in rows]
        kinds, places = [kind for kind, _ in found], np.array([at for _, at in found])

        def surface(values: Sequence[float], kept: Sequence[int]) -> Surface:
            return fit([kinds[i] for i in kept], places[list(kept)], np.array(values, dtype=np.float64))

        everyone = range(len(rows))
        self._surfaces = []
        for name, least in zip(FIGURES[:2], LEAST, strict=True):
            shares = np.clip([float(row[name]) for row in rows], least, 1 - LEAST[1])
            self._surfaces.append(surface(np.log(shares / (1 - shares)), everyone))
        timed = [i for i in everyone if rows[i]["seconds"] != ""]
        self._surfaces.append(surface([np.log(float(rows[i]["seconds"])) for i in timed], timed))

    @classmethod
    def read(cls, path: Path, points: Sequence[str]) -> "StandIn":
        """Return the stand-in of a file of recorded trials; `points` are the target's freeze points."""
        with path.open() as file:
            return cls(list(csv.DictReader(file)), points)

    def _raw(self, assignment: Mapping[str, Any]) -> Floats:
        given = {name: assignment.get(f"defense.{name}") for name in WEIGHTS}
        kind, at = place(assignment["defense.kind"], self._points[assignment["target.freeze_point"]], given)
        return np.array([surface(kind, at) for surface in self._surfaces])

    def values(self, assignment: Mapping[str, Any]) -> Floats:
        """Return (test accuracy, attack accuracy) of `assignment` (path -> value), without noise."""
        return _share(self._raw(assignment)[:2])

    def seconds(self, assignment: Mapping[str, Any]) -> float:
        """Return the seconds of target and attack."""
        return float(np.exp(self._raw(assignment)[2]))

    def seen(self, assignment: Mapping[str, Any], draw: np.random.Generator) -> Floats:
        """Return the values with noise."""
        noise = [surface.noise for surface in self._surfaces[:2]]
        return _share(self._raw(assignment)[:2] + draw.normal(0, noise))

    def __str__(self) -> str:
        test, attack = self._surfaces[:2]
        return (
            f"{self._count} recorded trials; noise {test.noise:.2f} and {attack.noise:.2f} in log odds of "
            f"test and attack accuracy, each trial foretold from the others to within {test.error:.2f} and "
            f"{attack.error:.2f}"
        )


def _share(odds: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-odds))
    return found
