"""Attack accuracy of guessing."""

from dataclasses import dataclass

from trainables.metrics.base import Evidence, Metric


@dataclass(frozen=True, kw_only=True)
class Chance(Metric):
    """Measures the attack accuracy of a guess among the judge's identities."""

    kind = "chance"
    summary = "attack accuracy of a guess among the judge's identities"
    source = "this project"
    direction = "minimize"
    low = 0.0
    high = 1.0
    unit = "share"
    objective = False  # no attack changes it
    auxiliary = True

    def measure(self, evidence: Evidence) -> float:
        """Return the figure."""
        return 1 / evidence.logits.shape[2]
