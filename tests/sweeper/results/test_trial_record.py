"""A trial's JSON comes back as it was, whichever accuracy was searched for and whichever is reported."""

import json

import pytest

from sweeper.results.trial_record import Replicate, TrialConfirmation, TrialRecord

ATTACK = "attack_accuracy"


@pytest.mark.parametrize("measured", [0.7, None])
@pytest.mark.parametrize(
    ("reported", "seen"),
    [
        (["test_accuracy", ATTACK], ["validation_accuracy", ATTACK]),  # as a study does if nothing is said
        (["test_accuracy", ATTACK], ["test_accuracy", ATTACK]),
        (["validation_accuracy", ATTACK], ["validation_accuracy", ATTACK]),
        ([ATTACK], [ATTACK]),
        (["test_accuracy"], []),  # of a version that did not say what the search saw
    ],
)
def test_the_validation_accuracy_is_printed_once_and_no_objective_by_that(reported, seen, measured):
    figures = {"test_accuracy": 0.8, "validation_accuracy": 0.7, ATTACK: 0.3}
    trial = TrialRecord(
        number=3,
        state="complete",
        values={name: figures[name] for name in reported},
        searched={name: figures[name] for name in seen},
        metrics={"validation_accuracy": measured},
    )
    printed = json.loads(json.dumps(trial.to_json()))
    names = [*reported, *([] if measured is None else ["validation_accuracy"])]
    assert printed["values"] == {name: figures[name] for name in names}
    again = TrialRecord.from_json(printed)
    assert again.values == trial.values and again.searched == trial.searched
    assert again.to_json() == trial.to_json()


def test_what_a_version_does_not_know_is_left_aside_and_what_it_lacks_has_its_default():
    known = {"replicate": 4, "values": {ATTACK: 0.5}, "interval": {}, "artifacts": {}}
    assert Replicate.from_json({**known, "of_a_later_version": 1}).to_json() == known
    fuller = {**known, "data": {"private": "p"}, "machines": {"target": None}, "changes": {"judge_seed": 1}}
    assert Replicate.from_json(fuller).to_json() == fuller
    confirmation = TrialConfirmation.from_json({"seeds": 1, "values": {ATTACK: 0.5}, "replicates": [fuller]})
    assert confirmation.replicates == (Replicate.from_json(fuller),)
    assert (confirmation.fresh, confirmation.attacks) == (("seeds",), None)
    assert TrialConfirmation.from_json(confirmation.to_json()).to_json() == confirmation.to_json()
    bare = TrialRecord.from_json({"number": "5", "state": "failed", "replicates": None, "confirmed": None})
    assert bare == TrialRecord(number=5, state="failed")
