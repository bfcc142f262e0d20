"""Studies whose truth is known, with two trials under several seeds: what their printed intervals cover."""

import dataclasses

import numpy as np
import torch
from scipy.stats import norm
from simulated_studies import Regime

from sweeper.statistics.seed_noise import pooled
from trainables.metrics.attack_accuracy import interval95


@dataclasses.dataclass(frozen=True)
class Covered:
    """Shares of trials whose 95 % interval holds the truth, and mean widths; without and with seeds."""

    rate_without: float
    rate: float
    accuracy_without: float
    accuracy: float
    width_without: float
    width: float


def truth(regime: Regime) -> tuple[np.ndarray, np.ndarray]:
    """Return what people, images and seeds give on average: rates and accuracies, (trials,) each."""
    rates, accuracies = regime.truth()
    return norm.cdf(norm.ppf(rates) / np.sqrt(1 + regime.probit**2)), accuracies


def simulate(regime: Regime, repetitions: int, *, replicates: int = 3, seed: int = 0) -> Covered:
    """Return what the intervals of the trials of `repetitions` studies cover.

    The noise is pooled over the trial with the highest rate, as an undefended one, and one in the middle.
    """
    rates, accuracies = truth(regime)
    rows = []
    for number in range(repetitions):
        dice = np.random.default_rng([seed, number])
        population = regime.population(dice)
        runs = [regime.measure(population, dice) for _ in range(replicates)]
        noise = pooled(
            [
                ([people[k].mean() for people, _ in runs], [images[k].mean() for _, images in runs])
                for k in (regime.trials - 1, regime.trials // 2)
            ],
            regime.people,
        )
        assert noise is not None
        for k in range(regime.trials):
            people, images = runs[0][0][k], runs[0][1][k]
            found, right = float(people.mean()), float(images.mean())
            own = interval95(torch.tensor(people), restarts=1)
            of_images = interval95(torch.tensor(images), restarts=1)
            full = noise.around_rate(found, own, people=regime.people)
            with_seeds = noise.around_accuracy(right, of_images)
            rows.append(
                (
                    own[0] <= rates[k] <= own[1],
                    full[0] <= rates[k] <= full[1],
                    of_images[0] <= accuracies[k] <= of_images[1],
                    with_seeds[0] <= accuracies[k] <= with_seeds[1],
                    (own[1] - own[0]) / 2,
                    (full[1] - full[0]) / 2,
                )
            )
    return Covered(*np.mean(rows, axis=0))
