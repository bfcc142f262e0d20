"""Runs of a derived study as a simulation makes them: faces, training seeds, a freeze point, an accuracy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sweeper.analyses.runs import EPOCH, POINT, Run

PEOPLE, SEEDS, RESTARTS = 40, 3, 2
POINTS = ("none", "conv2", "conv4", "conv6")
ACCURACIES = {1: 0.45, 2: 0.62, 4: 0.75, 8: 0.86}  # after an epoch, nothing frozen
COST = 0.04  # of accuracy, a freeze point further


class Simulation:
    """People with faces that are easier or harder to find, attacked on targets of one study."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.faces = 0.8 * self.dice.standard_normal(PEOPLE)

    def rates(self, score: float) -> Any:
        """Return the rates of the people on one target where the attack has this `score`."""
        return self.dice.binomial(RESTARTS, ndtr(score + self.faces)) / RESTARTS

    def run(self, settings: Mapping[str, Any], seed: int, accuracy: float, score: float) -> Run:
        """Return a target's run under one attack that sees gradients."""
        rates = self.rates(score)
        depth = POINTS.index(settings[POINT]) / (len(POINTS) - 1)
        return Run(
            settings=settings,
            depth=depth,
            seed=seed,
            test_accuracy=accuracy,
            rates=rates,
            attacks={"map": rates},
            threat_models={"map": "white-box"},
        )

    def checkpoints(
        self,
        effect: Callable[[float], float],
        epochs: Sequence[int],
        *,
        cost: float = COST,
        seeds: int = SEEDS,
        **settings: Any,
    ) -> list[Run]:
        """Return runs of all freeze points after `epochs`: leakage follows accuracy and `effect` of depth."""
        runs = []
        for place, point in enumerate(POINTS):
            noise = self.dice.standard_normal(seeds)
            for epoch in epochs:
                for seed, own in enumerate(noise):
                    accuracy = ACCURACIES[epoch] - cost * place + 0.015 * self.dice.standard_normal()
                    score = 1.3 * ndtri(accuracy) - 1 + 0.15 * own + effect(place / (len(POINTS) - 1))
                    at = {**settings, POINT: point, EPOCH: epoch}
                    runs.append(self.run(at, seed, accuracy, score))
        return runs
