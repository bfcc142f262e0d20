"""A comparison as data: stored studies in, tables for pandas and flat rows for CSV out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.results.comparing.compare import compare
from sweeper.results.comparing.comparison_types import ComparedStudy, FrontComparison
from sweeper.results.comparing.published import points
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_records
from sweeper.storage.home import Home, open_home

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]


def load(home: Home, names: Sequence[str], *, history: bool = False) -> list[StudyRecords]:
    """Return the records of stored studies, each with its definition: the document that it keeps."""
    return [study_records(home, name, history=history) for name in names]


def rows(comparison: FrontComparison) -> list[Row]:
    """Return one flat row for each study and each published set-up of a comparison of `compare`.

    ``kind`` is measured or published. What is attained at a level is a column of its own, named
    ``attack_accuracy_at_0.8`` for the level 0.8. A figure that is not known is None.
    """
    table = [_measured(study, comparison) for study in comparison.studies]
    return table + [
        {
            "study": setup.name,
            "kind": "published",
            "trials": len(setup.points),
            "front": len(setup.front),
            "hypervolume": setup.hypervolume,
            "doubts": "; ".join(setup.doubts),
        }
        for setup in comparison.published
    ]


def _measured(study: ComparedStudy, comparison: FrontComparison) -> Row:
    estimate = study.estimate
    low, high = (None, None) if estimate is None else estimate.interval
    row: Row = {
        "study": study.study,
        "kind": "measured",
        "trials": study.trials,
        "front": len(study.front),
        "hypervolume": study.hypervolume,
        "hypervolume_corrected": None if estimate is None else estimate.value,
        "hypervolume_low": low,
        "hypervolume_high": high,
        "interval_basis": None if estimate is None else estimate.basis,
        "seconds": study.seconds,
        "hypervolume_per_hour": study.per_hour,
        "hypervolume_at_equal_work": study.at_equal_work,
    }
    dominated = comparison.dominated[study.study]
    row |= {f"dominated_by_{rival}": share for rival, share in dominated.items()}
    for entry in comparison.attainment:
        best = entry.reached[study.study]
        row[f"{entry.attained}_at_{entry.level:g}"] = None if best is None else best.value
    return row


@dataclass(frozen=True)
class Comparison:
    """A comparison for notebooks."""

    fronts: FrontComparison

    @property
    def found(self) -> dict[str, Any]:
        """Return the comparison as the JSON of ``sweeper compare``."""
        return self.fronts.to_json()

    @property
    def outcome(self) -> str:
        """Return the conclusion, in one sentence."""
        return self.fronts.outcome

    def studies(self) -> "pandas.DataFrame":
        """Return one row for each study and published set-up, as in ``sweeper compare -f csv``."""
        import pandas

        return pandas.DataFrame(rows(self.fronts))

    def attainment(self) -> "pandas.DataFrame":
        """Return a row for each study and level: what is attained there, by which trial, and an estimate.

        The interval is the trial's own. The estimate is without the luck of the trial that looks best.
        """
        import pandas

        table = []
        for entry in self.fronts.attainment:
            for study, best in entry.reached.items():
                low, high = (best and best.interval) or (None, None)
                estimate = best and best.estimate
                least, most = estimate.interval if estimate else (None, None)
                table.append(
                    {
                        "study": study,
                        entry.given: entry.level,
                        entry.attained: best and best.value,
                        f"{entry.attained}_low": low,
                        f"{entry.attained}_high": high,
                        "trial": best and best.trial,
                        "estimate": estimate and estimate.value,
                        "estimate_low": least,
                        "estimate_high": most,
                    }
                )
        return pandas.DataFrame(table)

    def pairs(self) -> "pandas.DataFrame":
        """Return a row for each two studies: the first one's lead in hypervolume, and the chance of it.

        ``level`` is that of the interval from ``lead_low`` to ``lead_high``, see `VolumeEstimate`.
        """
        import pandas

        table = []
        for pair in self.fronts.pairs:
            estimate = pair.estimate
            low, high = (None, None) if estimate is None else estimate.interval
            first, second = pair.studies
            table.append(
                {
                    "first": first,
                    "second": second,
                    "lead": pair.difference,
                    "lead_corrected": estimate and estimate.value,
                    "lead_low": low,
                    "lead_high": high,
                    "level": estimate and estimate.level,
                    "probability": estimate and estimate.probability,
                    "crossings": len(pair.crossings or ()),
                }
            )
        return pandas.DataFrame(table)


def compare_studies(
    *names: str, home: str | None = None, published: Sequence[str] = (), force: bool = False
) -> Comparison:
    """Return how the stored studies `names` compare; see `compare.compare` for errors and `force`.

    published: queries such as ``attack=KEDMI,architecture=VGG16``, see `published.points`.
    """
    beside = [record for query in published for record in points(query)]
    return Comparison(compare(load(open_home(home), names), published=beside, force=force))
