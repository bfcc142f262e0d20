"""How well Fisher information by layer ranks freeze points, and what a random proposal reaches.

    OMP_NUM_THREADS=1 python tests/benchmarks/suggested_freeze_point.py [--study rendered_faces] [--points 8]
        [--seeds 3] [-S PATH=VALUE ...]

For each seed: a target at each freeze point, as far apart as the architecture allows and "none" among them,
is trained and attacked as the study says. The analysis `layers` looks at the undefended target alone, as a
user would before any search. A point's worth is its test accuracy less its attack accuracy. Printed: the
worth at the suggested point, at the best one, and the mean over all, which a random proposal reaches; and
Kendall's tau between the analysis's excess of shares and the worth. SWEEPER_HOME keeps the stages; started
again, it goes on.
"""

import argparse
import copy
import os
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from scipy.stats import kendalltau

from sweeper.storage.home import open_home
from sweeper.study.loading import load_study
from trainables.analyses.layers import Layers, excesses
from trainables.architectures import get_architecture
from trainables.config import load_trial
from trainables.results import TrialResult
from trainables.stages.analysis import make_analysis
from trainables.storage.store import Store
from trainables.trial import run_trial


def spread(points: tuple[str, ...], count: int) -> list[str]:
    """Return `count` of the points in order, evenly apart, the first and the last among them."""
    if count >= len(points):
        return list(points)
    return [points[round(number * (len(points) - 1) / (count - 1))] for number in range(count)]


def looked_at(document: dict[str, Any], result: TrialResult, store: Store, device: str) -> dict[str, Any]:
    """Return the figures of `layers` of a finished trial's strongest attack."""
    folders = {
        name: store.find(name, Path(result.artifacts[name]).name) for name in ("target", "attack", "judge")
    }
    target, attack, judge = (folders[name] for name in ("target", "attack", "judge"))
    assert target is not None and attack is not None and judge is not None
    made = make_analysis(load_trial(document), Layers(), target, attack, judge, store=store, device=device)
    return made.result


def main() -> None:
    """Print a line for each target, one for each seed, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", default="rendered_faces")
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-S", dest="overrides", action="append", default=[], metavar="PATH=VALUE")
    options = parser.parse_args()
    study = load_study(options.study, overrides=options.overrides, check=False)
    entry = get_architecture(study.trial["target"]["architecture"])
    points = spread(entry.freeze_points, options.points)
    if len(points) < options.points:
        print(f"{entry.kind} has {len(points)} freeze points only; take a deeper one with -S")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        home = open_home(os.environ.get("SWEEPER_HOME", temporary))
        home.prepare()
        store = Store(home.store.root)
        rows = []
        for seed in range(options.seeds):
            worth, figures = {}, {}
            for point in points:
                document = copy.deepcopy(study.trial) | {"seed": seed}
                document["target"] |= {"freeze_point": point}
                document["defense"] = {"kind": "none"}
                result = run_trial(load_trial(document), store=store, device=device)
                worth[point] = result.values["test_accuracy"] - result.values["attack_accuracy"]
                print(f"seed {seed}, {point}: {dict(result.values)}", flush=True)
                if point == "none":
                    figures = looked_at(document, result, store, device)
            excess = dict(
                zip(
                    figures["layer"],
                    excesses(figures["classification_share"], figures["inversion_l2_share"]),
                    strict=True,
                )
            ) | {"none": 0.0}
            suggested = max(points, key=lambda point: excess.get(point, 0.0))
            tau = kendalltau([excess.get(point, 0.0) for point in points], list(worth.values())).statistic
            rows.append((worth[suggested], max(worth.values()), mean(worth.values()), float(tau)))
            best = max(worth, key=worth.__getitem__)
            print(
                f"seed {seed}: suggested {suggested} {rows[-1][0]:.3f}, best {best} "
                f"{rows[-1][1]:.3f}, random {rows[-1][2]:.3f}, tau {rows[-1][3]:.2f}",
                flush=True,
            )
    means = [mean(column) for column in zip(*rows, strict=True)]
    print(
        f"{len(points)} points, {options.seeds} seeds, means: suggested {means[0]:.3f}, best {means[1]:.3f}, "
        f"random {means[2]:.3f}, tau {means[3]:.2f}"
    )


if __name__ == "__main__":
    main()
