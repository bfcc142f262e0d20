"""Hypervolume against trials and compute: samplers and the authors' BiDO grid, on a cheap stand-in.

    python tests/benchmarks/search_efficiency.py [trials] [seeds]
    python tests/benchmarks/search_efficiency.py record FILE.csv HOME STUDY [STUDY ...]

The stand-in is made of recorded trials (see `stand_in.py`). A sampler sees its values with as much noise as
the recorded trials have about it; what it found is judged without. Goal: the grid's hypervolume with at
most a third of its trials. Every set-up is searched twice: over freeze point and BiDO's weights, and over
the grid's own axis alone, where nothing is ever frozen and no sampler can win by looking elsewhere.
"""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from stand_in import COLUMNS, StandIn

from search_spaces.bido import HSIC
from search_spaces.defenses import defenses
from search_spaces.domains import Space, Switch
from search_spaces.freeze import freeze_depth
from search_spaces.grids import HSIC_PAIRS
from search_spaces.none import UNDEFENDED
from search_spaces.space import anchors, draw
from sweeper.results.records import study_records
from sweeper.search.samplers import make_sampler, propose
from sweeper.statistics.hypervolume import hypervolume
from sweeper.statistics.pareto import non_dominated
from sweeper.storage.home import Home
from sweeper.study.loading import stored_study
from sweeper.study.study import Search, Study
from trainables.architectures import freeze_points

HERE = Path(__file__).parent
DIRECTIONS, REFERENCE = ("maximize", "minimize"), (0.0, 1.0)
SHOWN = (2, 4, 6, 8, 12, 16, 24, 32, 40)
MANY = 5000
UNFROZEN = {"target.freeze_point": "none"}

Floats = NDArray[np.float64]
Found = tuple[list[Floats], list[float]]  # values and seconds, a trial each


@dataclass(frozen=True, kw_only=True)
class Over(Study):
    """A study over a space that is given as it is."""

    over: Space

    @property
    def domains(self) -> Space:  # type: ignore[override]
        return self.over


def volume(values: list[Floats]) -> float:
    return hypervolume(np.array(values), DIRECTIONS, REFERENCE)


def sampled(study: Study, stand_in: StandIn, trials: int, seed: int, *, first: bool) -> Found:
    """Return what the trials that the sampler proposes truly give, in order; anchors `first` or not."""
    noise = np.random.default_rng(seed)
    book = optuna.create_study(directions=list(DIRECTIONS))
    book.sampler = make_sampler(study, 0)
    for raw in anchors(study.domains) if first else ():
        book.enqueue_trial(raw)
    values: list[Floats] = []
    seconds: list[float] = []
    while len(values) < trials:
        trial = book.ask()
        assignment = UNFROZEN | propose(study, trial)
        book.tell(trial, list(stand_in.seen(assignment, noise)))
        values.append(stand_in.values(assignment))
        seconds.append(stand_in.seconds(assignment))
    return values, seconds


def grid(stand_in: StandIn) -> Found:
    """Return what the authors' grid gives: no defense, then the pairs of BiDO-HSIC, nothing frozen."""
    rows: list[dict[str, Any]] = [UNFROZEN | {"defense.kind": "none"}]
    rows += [
        UNFROZEN | {"defense.kind": "bido", "defense.lambda_x": x, "defense.lambda_y": y}
        for x, y in HSIC_PAIRS
    ]
    return [stand_in.values(row) for row in rows], [stand_in.seconds(row) for row in rows]


class Dice:
    """Uniform draws, for the front of everything."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        ends = np.log([low, high]) if log else np.array([low, high])
        drawn = self.random.uniform(*ends)
        return float(np.clip(np.exp(drawn) if log else drawn, low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self.random.integers(low, high + 1))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self.random.integers(len(choices))]


def best_volume(space: Space, stand_in: StandIn) -> float:
    """Return the hypervolume of many random trials, and of the grid."""
    dice = Dice()
    rows = [stand_in.values(UNFROZEN | draw(space, dice)) for _ in range(MANY)]
    rows += grid(stand_in)[0]
    kept = non_dominated(rows, DIRECTIONS)
    return volume([row for row, keep in zip(rows, kept, strict=True) if keep])


def compare(title: str, space: Space, stand_in: StandIn, trials: int, seeds: int) -> None:
    """Print what each way reaches, and the trials and the compute that it needs for the grid's volume."""
    by_hand, cost = grid(stand_in)
    floor, goal, ceiling = volume(by_hand[:1]), volume(by_hand), best_volume(space, stand_in)
    print(f"\n{title}")
    print(f"undefended alone {floor:.4f}, {MANY} random trials {ceiling:.4f}")
    at = [count for count in SHOWN if count <= trials]
    head = "   same compute   grid's after (worst), compute"
    print(f"{'hypervolume after':24s}" + "".join(f"{n:8d}" for n in at) + head)
    volumes = [volume(by_hand[:n]) for n in at]
    print(
        f"{'authors grid':24s}"
        + "".join(f"{v:8.4f}" for v in volumes)
        + f"{goal:15.4f}   {len(by_hand)}, 100%"
    )
    ways: dict[
        str, tuple[str, bool, bool]
    ] = {  # sampler, whether it knows of anchors, whether they come first
        "TPE, anchored (default)": ("tpe", True, True),
        "  after 10 random trials": ("tpe", False, True),
        "TPE": ("tpe", False, False),
        "random, anchored": ("random", True, True),
        "random": ("random", False, False),
    }
    for name, (sampler, anchored, first) in ways.items():
        curves, needed, spent, equal = [], [], [], []
        for seed in range(seeds):
            search = Search(sampler=sampler, anchors=anchored, seed=1000 * seed, trials=trials)  # type: ignore[arg-type]
            study = Over(name="s", trial={}, space=[], search=search, over=space)
            values, seconds = sampled(study, stand_in, trials, seed, first=first)
            curve = [volume(values[: count + 1]) for count in range(trials)]
            curves.append(curve)
            needed.append(next((i + 1 for i, v in enumerate(curve) if v >= goal), trials + 1))
            paid = int(np.searchsorted(np.cumsum(seconds), sum(cost), side="right"))
            equal.append(curve[max(0, paid - 1)])
            spent.append(sum(seconds[: needed[-1]]) / sum(cost))
        means, worst = np.mean(curves, axis=0), max(needed)
        reached = (
            f"{np.median(needed):g} ({worst if worst <= trials else f'>{trials}'}), {np.median(spent):.0%}"
        )
        print(
            f"{name:24s}"
            + "".join(f"{means[n - 1]:8.4f}" for n in at)
            + f"{np.mean(equal):15.4f}   {reached}"
        )
        spread = np.std(curves, axis=0)
        print(f"{'  standard deviation':24s}" + "".join(f"{spread[n - 1]:8.4f}" for n in at))


def record(file: Path, home: Home, studies: list[str]) -> None:
    """Write the finished trials of `studies` as plain numbers, for the stand-in."""
    rows = []
    for name in studies:
        points = freeze_points(stored_study(home.study(name)).trial["target"]["architecture"])
        for trial in study_records(home, name, history=False).trials:
            if trial.complete:
                given = trial.params
                rows.append(
                    {
                        "depth": round(points.index(trial.freeze_point) / (len(points) - 1), 4),
                        "defense": trial.defense,
                        **{n: given.get(f"defense.{n}", "") for n in ("lambda_x", "lambda_y", "beta")},
                        **{n: round(v, 5) for n, v in trial.values.items()},
                        "seconds": round(sum(trial.seconds.get(n, 0) for n in ("target", "attack")), 1),
                    }
                )
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(trials: int, seeds: int) -> None:
    """Compare on every recorded set-up, over the whole space and on the grid's own axis."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    only_bido: Space = {"defense": Switch({"none": UNDEFENDED, "bido_hsic": HSIC})}
    setups: list[tuple[str, str, str, Callable[[tuple[str, ...]], Space]]] = [
        ("faces", "real faces, MobileNetV2, LOMMA on GMI", "mobilenet_v2", lambda points: only_bido),
        ("rendered", "rendered faces, small_cnn, GMI (preset rendered_faces)", "small_cnn", defenses),
    ]
    for file, title, architecture, spread in setups:
        points = freeze_points(architecture)
        stand_in = StandIn.read(HERE / f"trials_{file}.csv", points)
        print(f"\n== {title}: {stand_in}")
        whole = {**freeze_depth(points), **spread(points)}
        compare("freeze point and defense", whole, stand_in, trials, seeds)
        compare("the grid's own axis: BiDO alone, nothing frozen", only_bido, stand_in, trials, seeds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["record"]:
        record(Path(sys.argv[2]), Home(Path(sys.argv[3]).resolve()), sys.argv[4:])
    else:
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 40,
            int(sys.argv[2]) if len(sys.argv) > 2 else 20,
        )
