"""A comparison as data: stored studies in, tables for pandas and flat rows for CSV out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.results.compare import compare
from sweeper.results.published import points
from sweeper.results.records import study_records
from sweeper.storage.home import Home, open_home

if TYPE_CHECKING:
    import pandas

Record = dict[str, Any]
Row = dict[str, Any]


def load(home: Home, names: Sequence[str], *, history: bool = False) -> list[Record]:
    """Return the records of stored studies, each with its ``identity``: the document that it keeps."""
    from sweeper.search.reading import open_storage
    from sweeper.storage.databases import storage_errors

    records = [study_records(home, name, history=history) for name in names]
    with storage_errors(home.storage):
        storage = open_storage(home.storage)
        for record in records:
            kept = storage.get_study_user_attrs(storage.get_study_id_from_name(record["study"]))
            record["identity"] = kept.get("identity")
    return records


def rows(found: Mapping[str, Any]) -> list[Row]:
    """Return one flat row for each study and each published set-up of what `compare` found.

    ``kind`` is measured or published. What is attained at a level is a column of its own, named
    ``attack_accuracy_at_0.8`` for the level 0.8. A figure that is not known is None.
    """
    table = [_measured(study, found) for study in found["studies"]]
    return table + [
        {
            "study": one["name"],
            "kind": "published",
            "trials": len(one["points"]),
            "front": len(one["front"]),
            "hypervolume": one["hypervolume"],
            "doubts": "; ".join(one["doubts"]),
        }
        for one in found["published"]
    ]


def _measured(study: Mapping[str, Any], found: Mapping[str, Any]) -> Row:
    sure = study["estimate"] or {"value": None, "interval": [None, None], "basis": None}
    row: Row = {
        "study": study["study"],
        "kind": "measured",
        "trials": study["trials"],
        "front": len(study["front"]),
        "hypervolume": study["hypervolume"],
        "hypervolume_corrected": sure["value"],
        "hypervolume_low": sure["interval"][0],
        "hypervolume_high": sure["interval"][1],
        "interval_basis": sure["basis"],
        "seconds": study["seconds"],
        "hypervolume_per_hour": study["per_hour"],
        "hypervolume_at_equal_work": study["at_equal_work"],
    }
    row |= {f"dominated_by_{rival}": share for rival, share in found["dominated"][study["study"]].items()}
    for entry in found["attainment"]:
        (_, wanted), (other, reached) = entry.items()
        best = reached[study["study"]]
        row[f"{other}_at_{wanted:g}"] = None if best is None else best["value"]
    return row


@dataclass(frozen=True)
class Comparison:
    """What `compare` found, for notebooks. found: the same as JSON-ready data, see `compare.compare`."""

    found: dict[str, Any]

    @property
    def outcome(self) -> str:
        """Return what it comes to, in one sentence."""
        return str(self.found["outcome"])

    def studies(self) -> "pandas.DataFrame":
        """Return one row for each study and published set-up, as in ``sweeper compare -f csv``."""
        import pandas

        return pandas.DataFrame(rows(self.found))

    def attainment(self) -> "pandas.DataFrame":
        """Return a row for each study and level: what is attained there, its interval, and by which trial."""
        import pandas

        table = []
        for entry in self.found["attainment"]:
            (level, wanted), (other, reached) = entry.items()
            for study, best in reached.items():
                best = best or {"value": None, "interval": None, "trial": None}
                low, high = best["interval"] or (None, None)
                ends = {f"{other}_low": low, f"{other}_high": high}
                table.append(
                    {"study": study, level: wanted, other: best["value"], **ends, "trial": best["trial"]}
                )
        return pandas.DataFrame(table)

    def pairs(self) -> "pandas.DataFrame":
        """Return a row for each two studies: the first one's lead in hypervolume, and the chance of it."""
        import pandas

        table = []
        for pair in self.found["pairs"]:
            sure = pair["estimate"] or {"value": None, "interval": [None, None], "probability": None}
            low, high = sure["interval"]
            first, second = pair["studies"]
            table.append(
                {
                    "first": first,
                    "second": second,
                    "lead": pair["difference"],
                    "lead_corrected": sure["value"],
                    "lead_low": low,
                    "lead_high": high,
                    "probability": sure["probability"],
                    "crossings": len(pair.get("crossings") or []),
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
