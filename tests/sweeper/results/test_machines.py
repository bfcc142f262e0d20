from dataclasses import replace

import pytest
from records import as_study

from sweeper.results.comparing.compare import compare
from sweeper.results.machines import confirmation_warning, machines_text, studies_warning

PLAIN = {"device": "cpu", "name": "EPYC", "threads": 2, "torch": "2.9.0"}
STAGES = ("target", "judge", "prior", "attack")


def study(name, *machines):
    trials = [
        {
            "number": number,
            "values": {"test_accuracy": 0.5, "attack_accuracy": 0.5},
            "machines": None if machine is None else {s: PLAIN | machine.get(s, {}) for s in STAGES},
        }
        for number, machine in enumerate(machines)
    ]
    return as_study({"study": name, "trials": trials, "reference_point": {}})


def both(**change):
    return {"target": change, "attack": change}


def test_equal_machines_are_no_word():
    assert studies_warning([study("a", {}, {}), study("b", {})]) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"threads": 1}, "threads of target and attack: 1 ('b'), 2 ('a')"),
        ({"name": "H200", "device": "cuda"}, "device of target and attack: cpu ('a'), cuda ('b'); "),
        ({"name": "Xeon"}, "processor of target and attack: EPYC ('a'), Xeon ('b')"),
        ({"torch": "2.8.0"}, "version of torch of target and attack: 2.8.0 ('b'), 2.9.0 ('a')"),
    ],
)
def test_a_difference_is_named_with_its_studies(change, text):
    (sentence,) = studies_warning([study("a", {}, {}), study("b", both(**change))])
    assert sentence.startswith(
        "what trials are computed on changes figures under one seed, and is not the same"
    )
    assert text in sentence


def test_trials_of_one_study_may_differ():
    (sentence,) = studies_warning([study("a", {}, both(threads=4), {}), study("b", {})])
    assert sentence.endswith(
        "threads of target and attack: 2 (trials 0, 2 of 'a' and 'b'), 4 (trial 1 of 'a')"
    )


def test_what_was_not_recorded_is_said():
    (sentence,) = studies_warning([study("a", {}), study("b", None)])
    assert sentence.endswith("and is not known: not recorded: 'b'")
    (sentence,) = studies_warning([study("a", {}, both(threads=4)), study("b", None)])
    assert "not the same: threads" in sentence and sentence.endswith("; not recorded: 'b'")
    assert machines_text(None) == machines_text({}) == "not recorded"
    assert machines_text({**PLAIN, "threads": 1}) == "cpu (EPYC), 1 thread, torch 2.9.0"


def test_replicates_count_each():
    record = study("a", {}, {})
    seeds = [{"replicate": n, "machines": {s: PLAIN | {"threads": n + 1} for s in STAGES}} for n in (0, 1)]
    trial = record.trials[1].to_json() | {"replicates": seeds}
    record = replace(record, trials=(record.trials[0], type(record.trials[0]).from_json(trial)))
    (sentence,) = studies_warning([record])
    assert "threads of target and prior and attack and judge: 1 (trial 1 of 'a'), 2 ('a')" in sentence


def test_a_confirmation_is_held_against_the_search_and_within_itself():
    record = study("a", {}, {})

    def confirmed(*threads):
        trials = []
        for trial, number in zip(record.trials, threads, strict=True):
            machines = {stage: PLAIN | {"threads": number} for stage in STAGES}
            fresh = {"seeds": 1, "values": {}, "replicates": [{"replicate": 1, "machines": machines}]}
            trials.append(type(trial).from_json(trial.to_json() | {"confirmed": fresh}))
        return replace(record, trials=tuple(trials))

    assert confirmation_warning(record) == confirmation_warning(confirmed(2, 2)) == []
    (sentence,) = confirmation_warning(confirmed(1, 1))
    assert "1 (the fresh seeds), 2 (the search)" in sentence
    (sentence,) = confirmation_warning(confirmed(2, 1))
    assert "1 (trial 1 of the fresh seeds), 2 (the search and trial 0 of the fresh seeds)" in sentence


def test_compare_says_it():
    notes = compare([study("a", {}), study("b", both(threads=1))]).notes
    assert [note for note in notes if "threads of target and attack: 1 ('b'), 2 ('a')" in note]
    assert not [note for note in compare([study("a", {}), study("b", {})]).notes if "computed on" in note]
