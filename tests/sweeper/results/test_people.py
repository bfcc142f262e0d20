"""Who is recovered, person by person: the figures are computed from what a store holds, written by hand."""

import json
from dataclasses import replace

import pytest
from records import as_study, as_trial

from sweeper.results.people import recovered, worst_off
from sweeper.results.person_record import PersonRecord
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import Replicate, TrialConfirmation
from trainables.errors import ConfigError

NAMES = ["id_a", "id_b", "id_c"]


@pytest.fixture
def store(tmp_path):
    """Return a maker of artifacts of a target with attacks, name -> (rates, restarts)."""
    judge = tmp_path / "judge" / "j"
    judge.mkdir(parents=True)
    (judge / "result.json").write_text(json.dumps({"result": {"identities": NAMES}}))
    made = []

    def make(attacked=None, **attacks):
        folders = {}
        for name, (rates, restarts) in attacks.items():
            key = f"{name}{len(made)}"
            made.append(key)
            folder, verdict = tmp_path / "attack" / key, tmp_path / "verdict" / key
            for place, parts in (
                (folder, {"identities": attacked}),
                (verdict, {"attack": key, "judge": "j"}),
            ):
                place.mkdir(parents=True)
                (place / "key.json").write_text(json.dumps(parts))
            result = {"per_identity": rates, **({} if restarts is None else {"restarts": restarts})}
            (verdict / "result.json").write_text(json.dumps({"result": result}))
            folders[name] = str(folder)
        several = {f"attack.{name}": folder for name, folder in folders.items()} if len(folders) > 1 else {}
        return {"attack": next(iter(folders.values())), "judge": str(judge), **several}

    return make


def test_restarts_attacks_and_seeds_are_counted_one_by_one(store):
    searched = [
        Replicate(replicate=seed, artifacts=store(gmi=(rates, 4), brep=(others, 1)))
        for seed, (rates, others) in enumerate([([0.25, 0, 1], [0, 0, 1]), ([0.5, 0, 0.75], [1, 0, 0])])
    ]
    fresh = Replicate(replicate=9, artifacts=store(gmi=([0, 0, 0.5], 2)))
    trial = replace(
        as_trial({"number": 5}),
        replicates=searched,
        confirmed=TrialConfirmation(seeds=1, values={}, replicates=[fresh]),
    )
    other = as_trial({"number": 7, "artifacts": store(gmi=([0.5, 0, 0], 2))})
    people = recovered([trial, other])
    counts = [(p.identity, p.name, p.recovered, p.attempts, list(p.trials)) for p in people]
    attempts = 2 * (4 + 1) + 2 + 2
    assert counts == [
        (2, "id_c", 4 + 1 + 3 + 0 + 1, attempts, [5]),
        (0, "id_a", 1 + 0 + 2 + 1 + 0 + 1, attempts, [5, 7]),
        (1, "id_b", 0, attempts, []),
    ]
    assert people[0].rate == 9 / 14


def test_what_a_confirmation_let_another_judge_see_again_counts_once_by_the_study_s_judge(store, tmp_path):
    artifacts = store(gmi=([0.5, 0, 0], 4))
    other, key = tmp_path / "judge" / "other", artifacts["attack"].split("/")[-1]
    verdict = tmp_path / "verdict" / "again"
    for place in (other, verdict):
        place.mkdir()
    (other / "result.json").write_text(json.dumps({"result": {"identities": NAMES}}))
    (verdict / "key.json").write_text(json.dumps({"attack": key, "judge": "other"}))
    (verdict / "result.json").write_text(json.dumps({"result": {"per_identity": [1.0, 1, 0], "restarts": 4}}))
    again = Replicate(replicate=0, artifacts=artifacts | {"judge": str(other)})
    confirmed = TrialConfirmation(seeds=1, values={}, replicates=[again])
    trial = replace(as_trial({"artifacts": artifacts}), confirmed=confirmed)
    assert [(p.identity, p.recovered, p.attempts) for p in recovered([trial])] == [
        (0, 2, 4),
        (1, 0, 4),
        (2, 0, 4),
    ]


def test_the_attacked_people_are_those_that_the_attack_names(store):
    half = as_trial({"artifacts": store(attacked=[0, 2], gmi=([0.0, 1.0], 1))})
    first = as_trial({"artifacts": store(attacked=2, gmi=([0.0, 1.0], 1))})
    assert [(p.identity, p.name) for p in recovered([half])] == [(2, "id_c"), (0, "id_a")]
    assert [(p.identity, p.name) for p in recovered([first])] == [(1, "id_b"), (0, "id_a")]


def test_a_score_is_that_of_the_best_reconstruction_by_any_attack(store, tmp_path):
    first, second = store(gmi=([0, 0.5, 0.5], 2)), store(gmi=([0, 0, 0], 1))
    kept = [(first, [[0.1, 0.5, 0.7], [0.3, 0.4, 0.9]]), (second, [[0.2, 0.6, 0.1]])]
    for artifacts, scores in kept:
        key = artifacts["attack"].split("/")[-1]
        place = tmp_path / "opinion" / key
        place.mkdir(parents=True)
        (place / "key.json").write_text(json.dumps({"attack": key, "judge": "j"}))
        (place / "result.json").write_text(
            json.dumps({"result": {"identities": [0, 1, 2], "scores": scores}})
        )
    people = recovered([as_trial({"number": n, "artifacts": a}) for n, (a, _) in enumerate(kept)])
    assert [(person.identity, person.score) for person in people] == [(2, 0.9), (1, 0.6), (0, 0.3)]
    assert "(33.3 %, best score 0.90) over 2 trials" in worst_off(people, trials=2)


def test_what_is_not_known_in_full_is_not_told(store, tmp_path):
    known = as_trial({"artifacts": store(gmi=([1.0, 0.0, 0.0], 1))})
    assert recovered([]) is None
    assert recovered([known, as_trial({})]) is None
    assert recovered([as_trial({"artifacts": store(gmi=([1.0, 0.0, 0.0], None))})]) is None  # of an old store
    gone = {"attack": str(tmp_path / "gone" / "attack" / "k"), "judge": known.artifacts["judge"]}
    assert recovered([known, as_trial({"artifacts": gone})]) is None
    other = tmp_path / "judge" / "other"
    other.mkdir()
    (other / "result.json").write_text(json.dumps({"result": {"identities": ["x", "y", "z"]}}))
    artifacts = store(gmi=([1.0, 0.0, 0.0], 1)) | {"judge": str(other)}
    (verdict,) = (p for p in (tmp_path / "verdict").iterdir() if p.name == artifacts["attack"].split("/")[-1])
    (verdict / "key.json").write_text(json.dumps({"attack": verdict.name, "judge": "other"}))
    assert recovered([known, as_trial({"artifacts": artifacts})]) is None


def test_the_worst_off_stands_in_one_sentence(store):
    people = recovered([as_trial({"artifacts": store(gmi=([0.25, 0, 0.75], 4))})])
    assert worst_off(people) == (
        "worst off: person 2, recovered in 3 of 4 reconstructions (75.0 %); 2 of 3 people were recovered at "
        "least once"
    )
    assert worst_off(people, names=True, trials=3).startswith(
        "worst off: person 2 (id_c), recovered in 3 of 4 reconstructions (75.0 %) over 3 trials of the front;"
    )
    nobody = recovered([as_trial({"artifacts": store(gmi=([0, 0, 0], 5))})])
    bound = f"{100 * (1 - 0.05 ** (1 / 3)):.1f} %"
    assert worst_off(nobody, names=True) == (
        f"nobody of 3 people was recovered in 5 reconstructions of each: below {bound} of people at 95 % "
        "for these targets"
    )
    assert worst_off(None) == "" == worst_off(())


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ([1], "recovered in 1 of 1 reconstruction (100.0 %); 1 of 1 person was recovered at least once"),
        ([0, 1], "recovered in 1 of 1 reconstruction (100.0 %); 1 of 2 people was recovered at least once"),
        ([1, 1], "recovered in 1 of 1 reconstruction (100.0 %); 2 of 2 people were recovered at least once"),
        (
            [0],
            "nobody of 1 person was recovered in 1 reconstruction of each: below 95.0 % of people at 95 % "
            "for these targets",
        ),
    ],
)
def test_one_person_and_one_reconstruction_are_no_several(store, rates, words):
    trial = as_trial({"artifacts": store(attacked=len(rates), gmi=(rates, 1))})
    assert words in worst_off(recovered([trial]))


def test_people_are_in_the_json_of_a_study_and_back():
    person = PersonRecord(identity=4, name="id_c", recovered=3, attempts=8, trials=(1, 2))
    document = replace(as_study({}), people=(person,)).to_json()
    assert document["people"] == [person.to_json()]
    again = StudyRecords.from_json(json.loads(json.dumps(document)))
    assert list(again.people[0].trials) == [1, 2] and again.to_json() == document
    assert as_study({}).to_json()["people"] is None


def test_the_end_of_a_run_names_the_worst_off_and_a_table_everybody(store, capsys):
    from sweeper.cli.tables import show_front, show_people

    trial = as_trial({"on_front": True, "artifacts": store(gmi=([0.25, 0, 0.75], 4))})
    records = replace(as_study({}), trials=(trial,), people=recovered([trial]))
    show_front(records)
    out = capsys.readouterr().out
    assert "worst off: person 2 (id_c), recovered in 3 of 4 reconstructions (75.0 %);" in out
    show_people(records)
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert rows == [
        ["2", "id_c", "3", "4", "0.750", "–", "0"],
        ["0", "id_a", "1", "4", "0.250", "–", "0"],
        ["1", "id_b", "0", "4", "0.000", "–", ""],
    ]
    with pytest.raises(ConfigError, match=r"some are not here, or there is no front yet \(--people\)"):
        show_people(as_study({}))


@pytest.mark.parametrize("images", [False, True])
def test_what_travels_tells_names_only_where_images_are_shown(store, images):
    from sweeper.report.report import render
    from sweeper.results.model_card import card

    values = {"test_accuracy": 0.9, "attack_accuracy": 1 / 3}
    trial = as_trial(
        {
            "on_front": True,
            "values": values,
            "artifacts": store(gmi=([0.25, 0, 0.75], 4)),
            "attacks": {"gmi": {"threat_model": "white-box", "metrics": {"attack_accuracy_top1": 1 / 3}}},
        }
    )
    records = replace(as_study({}), trials=(trial,))
    config = {"image_size": 32, "target": {"architecture": "small_cnn"}}
    seed = Replicate(replicate=0, values=values)
    text = card(records, trial, seed, config, 3, "folder", names=images)
    assert "Worst off: person 2" in text and ("| person 0 (id_a) |" if images else "| person 0 |") in text
    page = render([records], images=images)
    assert "Worst off: person 2" in page
    for name in ("id_a", "id_c"):
        assert (name in text) == images and (f"<td>{name}</td>" in page) == images
    assert ("(id_c)" in page) == images
    assert not card(records, as_trial({"values": values}), seed, config, 3, "folder").count(
        "Person by person"
    )


def test_people_who_were_not_attacked_alike_are_told_by_the_fewest_and_the_most():
    people = [PersonRecord(identity=label, recovered=0, attempts=1 + 2 * (label % 2)) for label in range(4)]
    assert worst_off(people).startswith(
        "nobody of 4 people was recovered in 1 to 3 reconstructions of each: "
    )
    assert "recovered in 1 reconstruction of each: " in worst_off(people[:1])
