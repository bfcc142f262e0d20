"""Studies whose truth is known: people and images whose difficulty all trials share, and training seeds."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from sweeper.statistics.hypervolume import hypervolume


@dataclass(frozen=True, kw_only=True)
class Regime:
    """True attack rates from `low` to `high` over trials whose accuracies rise with them.

    people, images: how many. person_icc, image_icc: shares of the variance (of a latent normal score) that a
    person or an image adds to all trials alike. probit, accuracy: standard deviations over training seeds.
    """

    name: str
    low: float
    high: float
    people: int
    images: int
    trials: int = 12
    person_icc: float = 0.3
    image_icc: float = 0.5
    probit: float = 0.0
    accuracy: float = 0.0

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the recipes' true attack rates and accuracies, (trials,) each."""
        rates = np.geomspace(self.low, self.high, self.trials)
        return rates, np.linspace(0.45, 0.92, self.trials)

    def hypervolume(self) -> float:
        """Return that of the true front."""
        rates, accuracies = self.truth()
        return hypervolume(np.stack([accuracies, rates], 1), ["maximize", "minimize"], [0.0, 1.0])

    def population(self, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of people (N,) and images (M,), which studies of the same data share."""
        return dice.standard_normal(self.people), dice.standard_normal(self.images)

    def measure(
        self, population: tuple[np.ndarray, np.ndarray], dice: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what one study sees: success of each person (n, N) and correctness of each image (n, M)."""
        rates, accuracies = self.truth()
        rates = norm.cdf(norm.ppf(rates) + self.probit * dice.standard_normal(self.trials))
        accuracies = np.clip(accuracies + self.accuracy * dice.standard_normal(self.trials), 0.01, 0.99)
        return (
            _outcomes(rates, population[0], self.person_icc, dice),
            _outcomes(accuracies, population[1], self.image_icc, dice),
        )


def _outcomes(shares: np.ndarray, scores: np.ndarray, icc: float, dice: np.random.Generator) -> np.ndarray:
    own = dice.standard_normal((len(shares), len(scores)))
    latent = np.sqrt(icc) * scores + np.sqrt(1 - icc) * own
    return (latent < norm.ppf(shares)[:, None]).astype(np.float64)


SEEDS = {"probit": 0.09, "accuracy": 0.015}
REGIMES = [
    Regime(name="real faces", low=0.007, high=0.033, people=214, images=1086),
    Regime(name="quickstart", low=0.05, high=0.62, people=40, images=240),
    Regime(name="ten to thirty per cent", low=0.1, high=0.3, people=100, images=500),
    Regime(name="strong attacks", low=0.3, high=0.9, people=214, images=1086),
    Regime(name="very low rates, many people", low=0.005, high=0.02, people=300, images=1000),
    Regime(name="up to seven in ten", low=0.02, high=0.7, people=100, images=500),
]
