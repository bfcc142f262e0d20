"""Attacks in bfloat16 against the same attacks in float32, on trained targets: does attack accuracy change?

    python tests/benchmarks/bfloat16_accuracy.py
    python tests/benchmarks/bfloat16_accuracy.py --seeds 1 --attacks gmi --set target.epochs=4
    python tests/benchmarks/bfloat16_accuracy.py --study my_faces.yaml --device cuda

Each seed trains a target, a prior and a judge, and attacks them in both formats from the same starts, so that
the difference is paired by person. ``precision: auto`` may take bfloat16 only where the interval of the mean
difference holds 0 and is no wider than 0.05 each way.
"""

import argparse
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from sweeper.study.loading import load_study
from trainables.config import load_trial
from trainables.storage.documents import merge
from trainables.storage.store import Store
from trainables.storage.strict_yaml import parse_yaml
from trainables.trial import run_trial

WIDEST = 0.05  # of the interval, each way, for a difference of "none"


def paired(first: list[float], second: list[float]) -> tuple[float, float]:
    """Return the mean of second - first over people, and half the width of its 95 % interval.

    Never less than 3 / n: n people without a difference leave that much room for one (the rule of three).
    """
    differences = torch.tensor(second, dtype=torch.float64) - torch.tensor(first, dtype=torch.float64)
    error = differences.std().item() / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    return differences.mean().item(), max(1.96 * error, 3 / len(differences))


def main() -> None:
    """Run all pairs and print a line for each, and one for each attack over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--study", default="rendered_faces")
    parser.add_argument("--attacks", nargs="+", default=["gmi"], help="kinds, with the study's knobs for gmi")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", dest="changes", nargs="*", default=[], metavar="PATH=VALUE")
    parser.add_argument("--home", type=Path, help="where finished stages are kept (default: nowhere)")
    options = parser.parse_args()
    study = load_study(options.study, check=False)
    changes = dict(item.split("=", 1) for item in options.changes)
    template = merge(study.trial, {path: parse_yaml(text, path) for path, text in changes.items()})
    own = template["attack"]
    totals: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in options.attacks}
    with tempfile.TemporaryDirectory() as folder:
        store = Store((options.home or Path(folder)) / "store")
        for seed in range(options.seeds):
            for kind in options.attacks:
                knobs: dict[str, Any] = own if own["kind"] == kind else {"kind": kind, "preset": "cpu"}
                results, spent = [], []
                for precision in ("float32", "bfloat16"):
                    attack = {**knobs, "precision": precision}
                    config = load_trial({**template, "seed": seed, "attack": attack}, options.study)
                    begin = time.perf_counter()
                    results.append(run_trial(config, store=store, device=options.device))
                    spent.append(sum(results[-1].attacks[kind].seconds.values()))
                    print(f"  {precision}: {time.perf_counter() - begin:.0f} s", flush=True)
                people = [result.attacks[kind].per_identity for result in results]
                for total, each in zip(totals[kind], people, strict=True):
                    total += each
                mean, half = paired(*people)
                accuracies = " and ".join(f"{sum(each) / len(each):.3f}" for each in people)
                print(
                    f"{kind}, seed {seed}: test accuracy {results[0].values['test_accuracy']:.3f}; attack "
                    f"accuracy {accuracies} (difference {mean:+.3f} +- {half:.3f}); "
                    f"{spent[0] / spent[1]:.2f} times as fast",
                    flush=True,
                )
    for kind, people in totals.items():
        mean, half = paired(*people)
        same = abs(mean) <= half <= WIDEST
        print(
            f"{kind} over {len(people[0])} people: {mean:+.3f} +- {half:.3f}: "
            f"{'no change' if same else 'not shown to be the same'} ({os.cpu_count()} processors)"
        )


if __name__ == "__main__":
    main()
