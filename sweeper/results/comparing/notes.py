"""Notes to a comparison: what its intervals hold, and what they lack."""

from collections.abc import Collection, Sequence

from sweeper.results.comparing.resample import BASES, holds_seeds
from sweeper.results.record_types import StudyRecords


def interval_notes(records: Sequence[StudyRecords], bases: Collection[str]) -> list[str]:
    """Return what the intervals of `records` hold; bases: keys of `BASES`, of what was drawn again."""
    notes = []
    if any(trial.interval for record in records for trial in record.complete):
        of_seeds = " and training seeds" if all(record.seed_noise for record in records) else ""
        notes.append(
            f"95 % intervals of trials: each trial's own, of its attacked identities or test images{of_seeds}"
        )
    notes += [
        f"95 % intervals of what trials are drawn again for (hypervolumes, leads, estimates): {BASES[basis]}"
        for basis in BASES
        if basis in bases
    ]
    if bases and not all(map(holds_seeds, bases)):
        notes.append("not in the intervals: that training again, under another seed, gives another target")
        if len(records) > 1:
            notes.append(
                "the lead lacks the noise of training seeds, which not every study knows "
                "(search.noise_replicates): nothing is said of recipes"
            )
    return notes
