"""Records of tests, written as the JSON of `sweeper front`, with defaults for what a test is not about."""

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def as_trial(document: dict) -> TrialRecord:
    return TrialRecord.from_json({"number": 0, "state": "complete", **document})


def as_study(document: dict) -> StudyRecords:
    trials = [{"number": 0, "state": "complete", **trial} for trial in document.get("trials", ())]
    return StudyRecords.from_json({"study": "mine", "objectives": OBJECTIVES, **document, "trials": trials})
