"""The record of one person: its rate, and its way into JSON and back."""

import json

import pytest

from sweeper.results.person_record import PersonRecord


@pytest.mark.parametrize(("recovered", "attempts", "rate"), [(3, 8, 0.375), (0, 5, 0), (4, 4, 1)])
def test_the_rate_is_a_share_of_the_attempts(recovered, attempts, rate):
    person = PersonRecord(identity=0, recovered=recovered, attempts=attempts)
    assert person.rate == person.to_json()["rate"] == rate


def test_all_of_it_is_in_the_json_and_back():
    person = PersonRecord(identity=4, name="id_c", recovered=3, attempts=8, score=0.75, trials=(1, 2))
    document = person.to_json()
    assert document == {
        "identity": 4,
        "name": "id_c",
        "recovered": 3,
        "attempts": 8,
        "rate": 0.375,
        "score": 0.75,
        "trials": [1, 2],
    }
    again = PersonRecord.from_json(json.loads(json.dumps(document)))
    assert again.to_json() == document and (again.name, again.score) == ("id_c", 0.75)


def test_one_of_an_earlier_version_has_no_name_no_score_and_no_trials():
    person = PersonRecord.from_json({"identity": 2, "recovered": 1, "attempts": 2, "rate": 0.5})
    assert person == PersonRecord(identity=2, name=None, recovered=1, attempts=2, score=None, trials=())
