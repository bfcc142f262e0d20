"""How honest the printed intervals of single trials are: coverage and widths in simulated studies.

``python tests/benchmarks/seed_noise.py [repetitions]`` prints a row for each regime and size of the noise of
training seeds, which two trials under three seeds each tell.
"""

import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from simulated_seeds import simulate
from simulated_studies import REGIMES

# (probit, accuracy): none, as in the simulations of fronts, and as eight replicates on rendered faces gave.
SEEDS = [(0.0, 0.0), (0.09, 0.015), (0.16, 0.016), (0.3, 0.03)]


def main() -> None:
    """Print the table."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"{repetitions} studies of 12 trials each; 95 % intervals; people or images alone -> with seeds")
    print("| regime | people | seeds: probit, accuracy | rate: coverage | half width | accuracy: coverage |")
    print("|---|---|---|---|---|---|")
    for regime in REGIMES:
        for probit, accuracy in SEEDS:
            row = simulate(dataclasses.replace(regime, probit=probit, accuracy=accuracy), repetitions)
            print(
                f"| {regime.name} | {regime.people} | {probit}, {accuracy} | {row.rate_without:.3f} -> "
                f"{row.rate:.3f} | {row.width_without:.3f} -> {row.width:.3f} | "
                f"{row.accuracy_without:.3f} -> {row.accuracy:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
