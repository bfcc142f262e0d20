"""How honest the intervals of fronts are: coverage, false winners and widths in simulated studies.

``python tests/benchmarks/coverage.py [repetitions]`` prints a row for each regime, without and with the noise
of training seeds.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from simulated_studies import REGIMES, SEEDS, Regime

from sweeper.statistics.cross_fitting import (
    SeedNoise,
    attained_figures,
    cross_fit,
    difference_figure,
    hypervolume_figure,
)

LEVEL = 0.7


@dataclasses.dataclass(frozen=True)
class Row:
    """Shares over the repetitions of one regime; half_width is a mean."""

    coverage: float
    half_width: float
    called_different: float
    attained_coverage: float


def simulate(regime: Regime, repetitions: int, *, draws: int = 100, seed: int = 0) -> Row:
    """Return how the cross-fitted figures do on `repetitions` pairs of studies of one recipe each."""
    noise = SeedNoise(probit=regime.probit, accuracy=regime.accuracy)
    rates, accuracies = regime.truth()
    best = rates[accuracies >= LEVEL].min()
    covered, widths, different, attained = [], [], [], []
    for number in range(repetitions):
        dice = np.random.default_rng([seed, number])
        population = regime.population(dice)
        studies = [
            cross_fit(
                *regime.measure(population, dice), noise=noise, draws=draws, seed=number, seed_of_noise=k
            )
            for k in (1, 2)
        ]
        figure = hypervolume_figure(studies[0])
        assert figure is not None
        covered.append(figure.low <= regime.hypervolume() <= figure.high)
        widths.append((figure.high - figure.low) / 2)
        lead = difference_figure(*studies)
        assert lead is not None
        different.append(lead.low > 0 or lead.high < 0)
        (level,) = attained_figures(studies[0], [LEVEL])
        if level is not None:
            attained.append(level.low <= best <= level.high)
    return Row(*(float(np.mean(column)) for column in (covered, widths, different, attained)))


def main() -> None:
    """Print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    print(f"{repetitions} repetitions each; 95 % intervals; attained at accuracy {LEVEL}")
    print("| regime | people | seeds | coverage | half width | equal called different | attained: coverage |")
    print("|---|---|---|---|---|---|---|")
    for regime in REGIMES:
        for seeds in (False, True):
            row = simulate(dataclasses.replace(regime, **(SEEDS if seeds else {})), repetitions)
            print(
                f"| {regime.name} | {regime.people} | {'yes' if seeds else 'no'} | {row.coverage:.2f} | "
                f"{row.half_width:.3f} | {row.called_different:.2f} | {row.attained_coverage:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
