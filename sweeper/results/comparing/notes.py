"""Notes to a comparison: what its intervals hold, and what they lack."""

from collections.abc import Sequence

from sweeper.results import formatting
from sweeper.results.comparing.resample import ACCURACIES, BASES, FittedStudy, Redraw, holds_seeds
from sweeper.results.record_types import StudyRecords


def interval_notes(
    records: Sequence[StudyRecords],
    fitted: Sequence[FittedStudy] | None,
    drawn: Sequence[Redraw | None],
) -> list[str]:
    """Return what the intervals of `records` hold, and what they lack.

    fitted: by which hypervolumes and leads are estimated; None where `drawn` has to do, which estimates what
    is attained at levels too, where it has something.
    """
    notes = []
    if any(trial.interval for record in records for trial in record.complete):
        notes.append(
            "95 % intervals of trials: each trial's own, of its attacked identities or test images"
            + _seeds_of_trials(records)
        )
    again = [one for one in drawn if one is not None]
    if fitted is None:
        notes += _bases("hypervolumes, leads, estimates", again)
    else:
        notes += _bases("hypervolumes, leads" if again else "hypervolumes, leads, estimates", fitted)
        notes += _bases("estimates", again)
    notes += _seeds([*(fitted or ()), *again])
    if len(records) < 2:
        return notes
    if fitted is None:
        notes.append(
            "no half of people and test images chose a front and the other valued it: that takes the "
            "objectives test_accuracy and attack_accuracy alone, the files of every trial's evaluation, and "
            "a finished trial in every study. Without it intervals make a difference of equal recipes in 15 "
            "to 55 of 100 simulated cases: nothing is said of recipes"
        )
    elif not all(holds_seeds(study.basis) for study in fitted):
        notes.append(
            "the lead lacks the noise of training seeds, which not every study knows "
            "(search.noise_replicates): nothing is said of recipes"
        )
    if fitted is not None and len(records) > 2:
        notes.append(f"leads have intervals of {100 * fitted[0].level:.1f} %, so that all hold with 95 %")
    return notes


def _seeds_of_trials(records: Sequence[StudyRecords]) -> str:
    """Return whether trials' own intervals hold training seeds: those of the two accuracies may."""
    if not all(record.seed_noise for record in records):
        return ""
    held = [name for name in records[0].objectives if name in ACCURACIES]
    if len(held) == len(records[0].objectives):
        return " and training seeds"
    return f"; of {' and '.join(map(formatting.objective, held))} also of training seeds" if held else ""


def _bases(of: str, drawn: Sequence[FittedStudy | Redraw]) -> list[str]:
    """Return a note for each basis among `drawn`, and what else stayed as measured."""
    kinds = dict.fromkeys((again.basis, again.held) for again in drawn)
    return [
        f"95 % intervals of what trials are drawn again for ({of}): {BASES[basis]}"
        + (f"; as measured in all draws: {', '.join(held)}" if held else "")
        for basis, held in kinds
    ]


def _seeds(drawn: Sequence[FittedStudy | Redraw]) -> list[str]:
    """Return that intervals lack the noise of training seeds, and of which objectives if not of all."""
    lacking = dict.fromkeys(again.seedless for again in drawn if again.seedless)
    if not lacking:
        return []
    names = [", ".join(map(formatting.objective, seedless)) for seedless in lacking]
    return [
        "not in the intervals: that training again, under another seed, gives another target "
        f"(another {'; '.join(names)})"
    ]
