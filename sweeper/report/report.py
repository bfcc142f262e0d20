"""One HTML page about one study, or about several side by side. It loads nothing from anywhere."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sweeper.report import analyses
from sweeper.report.front_plot import DARK, LIGHT, families, front_svg, hue
from sweeper.report.hypervolume_plot import Series, begins_above_zero, growth_svg
from sweeper.report.markers import marker
from sweeper.report.parallel_coordinates import parallel_svg
from sweeper.report.sparkline import spark_svg
from sweeper.results import formatting
from sweeper.results.comparing.compare import check_comparable, compare
from sweeper.results.comparing.comparison_types import FrontComparison
from sweeper.results.comparing.fronts import eligible, finished, front
from sweeper.results.comparing.published import PublishedRecords
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.controls import texts
from sweeper.results.controls.pretraining_distance import distance_risk, distance_sentence, distances
from sweeper.results.importance import ENOUGH, importances
from sweeper.results.panels.show import sentences
from sweeper.results.people import recovered, worst_off
from sweeper.results.record_types import StudyRecords
from sweeper.results.summary import summary
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.hypervolume import growth, work
from trainables.storage.disk import disk_errors, write_text

CARDS = 9  # trials whose reconstructions are shown large: the undefended one and the front
PICTURED = 60  # further trials with reconstructions on their own pages; more would make the file too large
VERIFIED = "attack_accuracy_verified"
TIMED = 60  # trials whose stages are drawn one by one


def write_report(
    records: Sequence[StudyRecords],
    path: Path,
    *,
    images: bool,
    comparison: FrontComparison | None = None,
    published: Sequence[PublishedRecords] = (),
) -> None:
    """Write the page about `records` (at least one) to `path`.

    images: show reconstructions and private examples, where their files exist. The page then holds private
    images. comparison: of `compare`, if that is known already; the studies count as comparable then.
    published: records of `published.points` to draw beside them. What an analysis concluded of a study that
    it derived is read from beside `path`. Raises `ConfigError` for several studies that do not compare,
    `DiskError` if it cannot be written.
    """
    found = {record.study: analyses.conclusion_beside(path, record.study) for record in records}
    concluded = {study: document for study, document in found.items() if document}
    text = render(records, images=images, comparison=comparison, published=published, concluded=concluded)
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() or not path.exists():
            write_text(path.resolve(), text)
        else:  # a pipe
            path.write_text(text, encoding="utf-8")


def render(
    records: Sequence[StudyRecords],
    *,
    images: bool,
    comparison: FrontComparison | None = None,
    published: Sequence[PublishedRecords] = (),
    concluded: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Return the page about `records` as HTML; see `write_report`.

    concluded: name of a study -> what the analysis that derived it concluded, of `conclusion_beside`.
    """
    check_comparable(records)
    comparison = comparison or compare(records, published=published)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,  # study names, parameters and reasons come from users
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    several = len(records) > 1
    prefixes = [f"study-{number}-trial-" if several else "trial-" for number in range(len(records))]
    mixed = several or bool(published)  # among several series a colour means a series
    colours = {} if mixed else families(records)
    environment.globals.update(
        formatting=formatting, light=LIGHT, dark=DARK, colours=colours, hue=hue, marker=marker, spark=_spark
    )
    growths = _growths(records, comparison, mixed)
    return environment.get_template("report.html.j2").render(
        title=", ".join(record.study for record in records),
        plot=Markup(front_svg(records, published=published, links=prefixes)),  # escapes what it is given
        growth=Markup(growth_svg(growths)),
        cut=begins_above_zero(growths),
        studies=[
            _study(record, number, prefix, images, colours, (concluded or {}).get(record.study))
            for number, (record, prefix) in enumerate(zip(records, prefixes, strict=True))
        ],
        comparison=comparison,
        objectives=records[0].objectives,
        enough=ENOUGH,
    )


def _growths(records: Sequence[StudyRecords], comparison: FrontComparison, mixed: bool) -> list[Series]:
    objectives = records[0].objectives
    corner = [comparison.reference_point[name] for name in objectives]
    return [
        Series(
            record.study,
            hue(number + 1) if mixed else "var(--link)",
            growth(
                record.trials, {t.number for t in eligible(record)}, objectives, corner, by=record.choosing()
            ),
        )
        for number, record in enumerate(records)
    ]


def _study(
    record: StudyRecords,
    number: int,
    prefix: str,
    images: bool,
    colours: Mapping[str, int],
    concluded: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what the page says of one study. prefix: what the ids of its trials begin with."""
    done, best = finished(record), front(record)
    on_front = {trial.number for trial in best}
    people = recovered(best)  # their files may have come to this machine after `record` was read
    cards = _cards(undefended_trial(record), best) if images else []
    carded = {card["trial"].number for card in cards}
    own = hue(number + 1)
    said = {trial.number: formatting.defense_figures(trial) for trial in done}
    unknowing = [(trial, formatting.non_adaptive(record, trial)) for trial in done]

    def colour(trial: TrialRecord) -> str:
        return hue(colours[formatting.family(trial)]) if colours else own

    return {
        "name": record.study,
        "number": number,
        "colour": own,
        "prefix": prefix,
        "record": record,
        "finished": done,
        "front": best,
        "on_front": on_front,
        "confirmed": record.confirmed,
        "controls": formatting.controls(record.controls),
        "plain": formatting.verdict(record),
        "people": people or (),
        "readers": sentences(record.panels, names=False),
        "worst": worst_off(people, names=images, trials=len(best)),
        "summary": summary(record),
        "distances": [(distance_sentence(row), distance_risk(row)) for row in distances(record)],
        "budget": texts.budget_sentence(record.controls),
        "rising": texts.rising_warning(record.controls),
        "stopped": [
            (trial, texts.stopped_after(trial.stopped), texts.stopped_sentence(trial))
            for trial in best
            if trial.stopped is not None
        ],
        "judges": formatting.judges(record),
        "analyses": [
            *([analyses.derived_section(concluded)] if concluded else []),
            *analyses.sections(record),
        ],
        "verified": VERIFIED not in record.objectives and any(VERIFIED in trial.metrics for trial in best),
        "searched": formatting.searched(record),
        "non_adaptive": {trial.number: text for trial, text in unknowing if text},
        "said": {number: text for number, text in said.items() if text},
        "behind": [trial.number for trial in formatting.behind(record)],
        "missed": formatting.missed(record.trials),
        "infeasible": [trial for trial in done if trial.feasible is False],
        "screened": [trial for trial in record.trials if trial.state == "screened"],
        "failed": [trial for trial in record.trials if trial.state == "failed"],
        "other": Counter(
            trial.state for trial in record.trials if trial.state not in ("complete", "screened", "failed")
        ),
        "reference": undefended_trial(record),
        "warnings": formatting.warnings(record.trials),
        "stages": _totals(record.trials),
        "timed": sorted(done, key=work, reverse=True)[:TIMED],
        "longest": max((work(trial) for trial in record.trials), default=0.0),
        "seconds": sum(work(trial) for trial in record.trials),
        "parallel": Markup(parallel_svg(done, record.objectives, on_front, colour, str(number))),
        "importances": importances(done, record.objectives),
        "cards": cards,
        "pictures": _pictures([trial for trial in done if trial.number not in carded], on_front)
        if images
        else {},
        "carded": carded,
        "images": images,
    }


def _totals(trials: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the seconds of each stage over all trials, stages in the order in which trials report them."""
    total: dict[str, float] = {}
    for trial in trials:
        for stage, seconds in trial.seconds.items():
            total[stage] = total.get(stage, 0.0) + float(seconds)
    return total


def _cards(plain: TrialRecord | None, best: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Return trials with their pictures: the undefended one first, to compare with, then the front."""
    from sweeper.report.thumbnails import sheet

    reference = [] if plain is None else [plain]
    shown = reference + [trial for trial in best if trial not in reference]
    cards: list[dict[str, Any]] = []
    for trial in shown:
        pictures = sheet(trial.artifacts)
        if pictures and len(cards) < CARDS:
            cards.append({"trial": trial, "sheet": pictures})
    return cards


def _pictures(trials: Sequence[TrialRecord], on_front: set[int]) -> dict[int, Any]:
    """Return the reconstructions of the first trials that have some, of those on the front before others."""
    from sweeper.report.thumbnails import sheet

    sheets: dict[int, Any] = {}
    for trial in sorted(trials, key=lambda trial: trial.number not in on_front):
        if len(sheets) == PICTURED:
            break
        pictures = sheet(trial.artifacts, private=False)
        if pictures:
            sheets[trial.number] = pictures
    return sheets


def _spark(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, Markup]]:
    """Return (name, last value, small plot) of each quantity in a stage's history."""
    series: dict[str, list[float]] = defaultdict(list)
    for row in history:
        for name, number in row.items():
            if isinstance(number, int | float) and name not in ("epoch", "iteration", "step"):
                series[name].append(float(number))
    return [(name, s[-1], Markup(spark_svg(s))) for name, s in series.items() if len(s) > 1]
