"""A study analysis from a reference to its conclusion: derived, run by the sweep engine, concluded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sweeper.analyses import STUDY_ANALYSES
from sweeper.analyses.base import Conclusion, StudyAnalysis
from sweeper.analyses.runs import read_runs
from sweeper.engine.progress import Display
from sweeper.engine.sweep import SweepResult, sweep
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_names
from sweeper.storage.home import Home
from sweeper.study.checks import check_study
from sweeper.study.loading import check_name, load_study, stored_study
from sweeper.study.study import Study
from trainables.errors import ConfigError, DiskError, placed
from trainables.storage.disk import write_text

# Options of the command, and the knobs that they set.
OPTIONS = {
    "--seeds": "seeds",
    "--freeze-point": "freeze_points",
    "--epoch": "epochs",
    "--variants": "variants",
    "--defense": "defenses",
}


@dataclass(frozen=True, kw_only=True)
class StudyAnalyzed:
    """A finished study analysis.

    Attributes:
        study: that was derived and run.
        outcome: of the sweep.
        conclusion: what its trials show.
    """

    analysis: StudyAnalysis
    study: Study
    outcome: SweepResult
    conclusion: Conclusion

    def to_json(self) -> dict[str, Any]:
        """Return what the analysis shows, and what it does not, as JSON-ready data."""
        return _shown(self.analysis, self.study, self.conclusion)


def make_analysis(name: str, given: Mapping[str, Any]) -> StudyAnalysis:
    """Return the study analysis `name` with the knobs of the options `given`, by option.

    Raises `ConfigError` for an option that belongs to another analysis.
    """
    analysis = STUDY_ANALYSES[name]
    known = {field.name for field in fields(analysis)}
    for option in given:
        if OPTIONS[option] not in known:
            having = [other for other, cls in STUDY_ANALYSES.items() if hasattr(cls, OPTIONS[option])]
            raise ConfigError(
                f"{option} belongs to analysis {', '.join(repr(other) for other in having)}; got "
                f"'{name}'; leave it out"
            )
    return analysis(**{OPTIONS[option]: value for option, value in given.items()})


def derive_study(analysis: StudyAnalysis, reference: str, home: Home, overrides: Sequence[str] = ()) -> Study:
    """Return the study to run: derived from a stored study as it ran, else from a file or preset.

    Raises `ConfigError` for a study that does not fit, or whose name is too long to make another of, and for
    overrides of a stored one.
    """
    if reference in study_names(home) and (home.study(reference) / "study.yaml").is_file():
        if overrides:
            raise ConfigError(f"study '{reference}' is stored and stays as it ran; leave out -S")
        study = stored_study(home.study(reference))
    else:
        study = load_study(reference, overrides=overrides)
    derived = analysis.derive(study)
    try:
        check_name(derived.name, f"{reference}: analysis {analysis.kind}")
    except ConfigError as error:
        raise placed(error, "; analyze a study file under a shorter name (-S name=...)") from None
    check_study(derived)
    return derived


def analyze_study(
    analysis: StudyAnalysis,
    study: Study,
    home: Home,
    display: Display,
    *,
    address: str | None = None,
    anyway: bool = False,
) -> StudyAnalyzed:
    """Run the derived `study` until it has its results, or read them, and return what they show.

    The conclusion is kept beside the study's report, as ``analysis.json``. address, anyway: as of `sweep`.
    """
    conclusions: list[Conclusion] = []

    def conclude(records: StudyRecords) -> None:
        conclusions.append(analysis.conclude(read_runs(study, records)))
        _keep(home.study(study.name) / "analysis.json", _shown(analysis, study, conclusions[0]))

    outcome = sweep(study, home, address=address, display=display, anyway=anyway, conclude=conclude)
    return StudyAnalyzed(analysis=analysis, study=study, outcome=outcome, conclusion=conclusions[0])


def _shown(analysis: StudyAnalysis, study: Study, conclusion: Conclusion) -> dict[str, Any]:
    return {
        "analysis": analysis.kind,
        "study": study.name,
        "rows": [dict(row) for row in conclusion.rows],
        "sentences": list(conclusion.sentences),
        "does_not_show": analysis.does_not_show,
        "points": [dict(point) for point in conclusion.points],
    }


def _keep(path: Path, shown: Mapping[str, Any]) -> None:
    try:
        write_text(path, json.dumps(shown, indent=1))
    except OSError as error:
        raise DiskError(error.errno, f"cannot write {path}: {error.strerror}") from error
