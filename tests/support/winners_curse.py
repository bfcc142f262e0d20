"""Studies whose recipes' true accuracies are known: what a pick says of its trial, and what is true of it."""

from dataclasses import replace

import numpy as np
from records import as_study

from sweeper.results.pick import pick

VALIDATION = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
WORST = {"test_accuracy": 0.0, "attack_accuracy": 1.0}


def on_validation(*rows):
    """Return records of trials given as accuracy on test and on validation images, attack accuracy."""
    trials = [
        {
            "number": number,
            "feasible": True,
            "on_front": True,
            "params": {"target.freeze_point": f"conv{number}"},
            "values": {"test_accuracy": tested, "attack_accuracy": attacked},
            "searched": {"validation_accuracy": checked, "attack_accuracy": attacked},
            "interval": {"test_accuracy": [tested - 0.05, tested + 0.05]},
            "attacks": {"gmi": {}},
        }
        for number, (tested, checked, attacked) in enumerate(rows)
    ]
    return replace(as_study({"reference_point": WORST, "trials": trials}), searched=VALIDATION)


def too_good(
    by: str,
    *,
    studies: int,
    trials: int = 40,
    images: int = 240,
    checked: int = 120,
    spread: float = 0.02,
    seed: int = 3,
) -> tuple[float, float]:
    """Return by how much the test accuracy of the pick exceeds its true one, and that true one; on average.

    by: "validation" or "test", which images choose. images, checked: of the test and the validation images.
    spread: standard deviation of the recipes' true accuracies around .85.
    """
    dice = np.random.default_rng(seed)
    excess, reached = [], []
    for _ in range(studies):
        truth = np.clip(0.85 + spread * dice.standard_normal(trials), 0, 1)
        tested, seen = dice.binomial(images, truth) / images, dice.binomial(checked, truth) / checked
        rows = np.stack([tested, seen if by == "validation" else tested, np.full(trials, 0.3)], 1)
        best = pick(on_validation(*rows.tolist()), max_attack_accuracy=0.5)
        excess.append(best["values"]["test_accuracy"] - truth[best["trial"]])
        reached.append(truth[best["trial"]])
    return float(np.mean(excess)), float(np.mean(reached))
