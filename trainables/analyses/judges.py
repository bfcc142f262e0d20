"""Judges beside each other: how far they agree, and what one accepts that another rejects."""

import itertools
from dataclasses import dataclass
from typing import Any

from trainables.analyses.base import Analysis, Subject
from trainables.judges.agreement import cohen_kappa, second_opinion
from trainables.metrics.attack_accuracy import interval95


@dataclass(frozen=True, kw_only=True)
class Judges(Analysis):
    """Compares all judges of a trial in pairs, on the reconstructions of one attack.

    What it says: how much of what one judge counts as success another one denies, and whether judges of
    different design name the same people. What it cannot say: who is right. Two judges that learnt from the
    same images, or are of one design, err together, so that their agreement is no proof; a judge with a low
    test accuracy of its own disagrees because it is weak.
    """

    kind = "judges"
    summary = "agreement and false-positive rates among all judges, in pairs"
    source = "this project"
    limits = "who is right: judges that learnt from the same images, or are of one design, err together"
    takes_opinions = True
    least_judges = 2
    columns = ("judge", "other_judge", "agreement", "kappa", "accepted", "false_positive_rate")

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return lists over ordered pairs of judges, and over judges.

        judge, other_judge: their names. agreement: share of the reconstructions for which both name the same
        person, attacked or not; agreement_low, agreement_high: its 95 % interval over identities. kappa: the
        same beyond chance, see `trainables.judges.agreement.cohen_kappa`. accepted: share of all
        reconstructions that `judge` gives to the attacked person. false_positive_rate: share of those that
        `other_judge` does not; None where nothing is accepted. judges, test_accuracy: of each judge on its
        own.
        Raises `ConfigError` with fewer than two judges.
        """
        opinions = subject.opinions
        self.check_judges(len(opinions))
        figures: dict[str, list[Any]] = {}
        for first, other in itertools.permutations(opinions, 2):
            equal = (first.choices == other.choices).double().mean(0)
            low, high = interval95(equal, len(first.choices))
            accepted = first.choices == subject.identities
            row = {
                "judge": first.judge,
                "other_judge": other.judge,
                **second_opinion(first.choices, other.choices, subject.identities),
                "agreement_low": low,
                "agreement_high": high,
                "kappa": cohen_kappa(*(each.choices.flatten().tolist() for each in (first, other))),
                "accepted": accepted.double().mean().item(),
            }
            for name, value in row.items():
                figures.setdefault(name, []).append(value)
        return {
            **figures,
            "judges": [opinion.judge for opinion in opinions],
            "test_accuracy": [opinion.test_accuracy for opinion in opinions],
            "identities": len(subject.identities),
            "restarts": len(subject.reconstructions),
        }
