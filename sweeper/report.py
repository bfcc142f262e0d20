"""One HTML page about one study, or about several side by side. It loads nothing from anywhere."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeper import words
from sweeper.compare import check_comparable, compare, finished, front
from sweeper.plot import DARK, LIGHT, families, front_svg
from sweeper.spark import spark_svg
from trainables.store import disk_errors

Record = dict[str, Any]
Trial = dict[str, Any]

# What a trial may leave out: one that failed early, or one read back from the JSON of `sweeper front`.
_ABSENT: Trial = {
    "interval": {},
    "seconds": {},
    "metrics": {},
    "history": {},
    "artifacts": {},
    "warnings": [],
    "trained_params": None,
    "total_params": None,
    "reason": None,
}

CARDS = 9  # trials whose reconstructions are shown: the undefended one and the front


def write_report(records: list[Record], path: Path, *, images: bool) -> None:
    """Write the page about `records` (of ``sweeper front``, at least one) to `path`.

    images: show reconstructions and private examples, where their files exist. The page then holds private
    images. Raises `ConfigError` for several studies that do not compare, `DiskError` if it cannot be written.
    """
    text = render(records, images=images)
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def render(records: list[Record], *, images: bool) -> str:
    """Return the page about `records` as HTML; see `write_report`."""
    check_comparable(records)
    records = [{**record, "trials": [_ABSENT | trial for trial in record["trials"]]} for record in records]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # study names, parameters and reasons come from users
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    several = len(records) > 1
    colours = {} if several else families(records)  # among several studies a colour means a study
    environment.globals.update(words=words, light=LIGHT, dark=DARK, colours=colours, spark=_spark)
    return environment.get_template("report.html.j2").render(
        title=", ".join(str(record["study"]) for record in records),
        plot=Markup(front_svg(records, links=not several)),  # escapes what it is given itself
        studies=[_study(record, number, several, images) for number, record in enumerate(records)],
        comparison=compare(records),
        objectives=records[0]["objectives"],
    )


def _study(record: Record, number: int, several: bool, images: bool) -> dict[str, Any]:
    """Return what the page says of one study. Trials have ids of their own, also among several studies."""
    done, best = finished(record), front(record)
    return {
        "name": record["study"],
        "number": number,
        "colour": f"var(--c{(number + 1) % 8})",
        "prefix": f"study-{number}-trial-" if several else "trial-",
        "record": record,
        "finished": done,
        "front": best,
        "on_front": {trial["number"] for trial in best},
        "failed": [trial for trial in record["trials"] if trial["state"] == "failed"],
        "other": Counter(t["state"] for t in record["trials"] if t["state"] not in ("complete", "failed")),
        "reference": next((trial for trial in done if words.undefended(trial)), None),
        "warnings": _warnings(record["trials"]),
        "stages": _stages(record["trials"]),
        "longest": max((_total(trial) for trial in record["trials"]), default=0.0),
        "seconds": sum(_total(trial) for trial in record["trials"]),
        "cards": _cards(done, best) if images else [],
        "images": images,
    }


def _total(trial: Trial) -> float:
    return float(sum((trial.get("seconds") or {}).values()))


def _stages(trials: Sequence[Trial]) -> list[str]:
    """Return the names of all stages in the order in which trials report them."""
    return list(dict.fromkeys(stage for trial in trials for stage in trial.get("seconds") or {}))


def _warnings(trials: Sequence[Trial]) -> dict[str, list[int]]:
    """Return each warning with the numbers of the trials that gave it."""
    found: dict[str, list[int]] = defaultdict(list)
    for trial in trials:
        for warning in trial.get("warnings") or []:
            found[str(warning)].append(trial["number"])
    return dict(found)


def _cards(done: Sequence[Trial], best: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return trials with their pictures: an undefended one first, to compare with, then the front."""
    from sweeper.pictures import sheet  # imports torch, which a report without images does not need

    reference = [trial for trial in done if words.undefended(trial)][:1]
    shown = reference + [trial for trial in best if trial not in reference]
    found: list[dict[str, Any]] = []
    for trial in shown:
        pictures = sheet(trial.get("artifacts") or {})
        if pictures and len(found) < CARDS:
            found.append({"trial": trial, "sheet": pictures})
    return found


def _spark(history: Sequence[dict[str, Any]]) -> list[tuple[str, float, Markup]]:
    """Return (name, last value, small plot) of each quantity in a stage's history."""
    series: dict[str, list[float]] = defaultdict(list)
    for row in history:
        for name, number in row.items():
            if isinstance(number, int | float) and name not in ("epoch", "iteration", "step"):
                series[name].append(float(number))
    return [(name, s[-1], Markup(spark_svg(s))) for name, s in series.items() if len(s) > 1]
