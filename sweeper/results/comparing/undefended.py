"""The undefended trial that a trial, or a study, is held against: one choice for all tables and sentences."""

from collections.abc import Mapping
from typing import Any

from sweeper.results import formatting
from sweeper.results.comparing.fronts import eligible
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import VALIDATION, TrialRecord


def undefended_trial(records: StudyRecords, beside: TrialRecord | None = None) -> TrialRecord | None:
    """Return the undefended trial to hold `beside` against, or else the study; None if there is none.

    It is the one most like what it is held against in the other knobs of the search, such as the
    pre-training, since a difference would be theirs otherwise; a study is held against the one most like its
    template. Of several that are as like, the best in the first objective, as the search saw it, so that test
    images choose nothing. An undefended trial is held against none.
    """
    name, direction = next(iter(records.objectives.items()))
    plain = [trial for trial in records.complete if formatting.undefended(trial) and name in trial.values]
    if not plain or (beside is not None and formatting.undefended(beside)):
        return None
    template = (records.definition or {}).get("trial") or {}
    sign = 1 if direction == "maximize" else -1

    def order(trial: TrialRecord) -> tuple[int, float]:
        own = formatting.knobs_beside(trial)
        if beside is None:
            alike = [_at(template, path) == value for path, value in own.items()]
        else:
            others = formatting.knobs_beside(beside)
            alike = [path in own and own[path] == value for path, value in others.items()]
        seen = trial.searched if records.on_validation else trial.values
        return sum(alike), sign * (seen[name] if name in seen else seen.get(VALIDATION, trial.values[name]))

    return max(plain, key=order)


def defended_trials(records: StudyRecords) -> list[TrialRecord]:
    """Return the trials that something protects and that may be on the front, which was chosen among them."""
    return [trial for trial in eligible(records) if not formatting.undefended(trial)]


def _at(document: Any, path: str) -> Any:
    """Return the value at a dotted `path`; None where there is none."""
    for key in path.split("."):
        document = document.get(key) if isinstance(document, Mapping) else None
    return document
