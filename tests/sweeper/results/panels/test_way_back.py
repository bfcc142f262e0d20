"""The way of panels there and back, by the commands alone: out of a study, answered, and in its figures."""

import csv
import json

import pytest
from click.testing import CliRunner

from sweeper.cli.app import main
from sweeper.results.model_card import card
from sweeper.results.records import study_records
from sweeper.results.trial_record import Replicate


@pytest.fixture(scope="module")
def answered(tiny, tmp_path_factory):
    """Answer as the judge would, of trial 0; a second reader says no to everything. Return the outputs."""
    place = tmp_path_factory.mktemp("way")
    call = CliRunner().invoke
    out = place / "panels"
    done = call(main, ["export", "panels", "tiny", "--trial", "0", "-o", str(out), "--home", str(tiny.root)])
    assert done.exit_code == 0, done.output
    (path,) = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("key: "))
    with open(path, encoding="utf-8") as file:
        key = json.load(file)["panels"]
    with (out / "panels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        row["answer"] = "yes" if key[row["panel"]]["judge"] else "no"
    texts = []
    for reader in ("first", "second"):
        filled = place / f"{reader}.csv"
        with filled.open("w", newline="") as lines:
            writer = csv.DictWriter(lines, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows if reader == "first" else [{**row, "answer": "no"} for row in rows])
        done = call(main, ["import", "answers", "tiny", str(filled), "--home", str(tiny.root)])
        assert done.exit_code == 0, done.output
        texts.append(done.stdout)
    return tiny, key, texts


def test_answers_stand_in_the_front_the_report_and_the_card(answered):
    home, key, texts = answered
    accepted = [about["judge"] for about in key.values() if about["kind"] == "attack"]
    assert texts[0].startswith(f"answers: {len(key)} added\nreaders of panels (first): {len(key)} answers")
    assert "the judge agrees in 100.0 %" in texts[0]
    done = CliRunner().invoke(main, ["front", "tiny", "--home", str(home.root), "--people"])
    assert f"readers of panels (first, second): {2 * len(key)} answers" in done.stdout
    document = json.loads(
        CliRunner().invoke(main, ["front", "tiny", "--home", str(home.root), "-f", "json"]).stdout
    )
    figures = document["panels"]
    (trial,) = figures["trials"]
    assert trial["trial"] == 0 and trial["panels"] == len(accepted)
    assert trial["rate"] == pytest.approx(sum(accepted) / len(accepted) / 2)  # the mean of both readers
    genuine = [about["judge"] for about in key.values() if about["kind"] == "genuine"]
    assert figures["readers"][0]["false_negative_rate"] == pytest.approx(1 - sum(genuine) / len(genuine))
    assert figures["readers"][1]["false_negative_rate"] == 1
    assert figures["readers"][1]["false_positive_rate"] == 0

    from sweeper.report.report import render

    records = study_records(home, "tiny")
    page = render([records], images=False)
    assert (
        "What readers recognise" in page and "readers of panels (2):" in page and "first, second" not in page
    )
    config = {"image_size": 32, "target": {"architecture": "small_cnn"}}
    first, other = (
        card(records, trial, Replicate(replicate=0, values=trial.values), config, 4, "folder")
        for trial in records.trials
    )
    assert "### What readers recognise" in first and "trial 0: readers recognise" in first
    assert "readers" not in other  # nobody looked at it


def test_the_people_of_a_real_study_are_counted(tiny):
    document = study_records(tiny, "tiny").to_json()
    members = [trial for trial in document["trials"] if trial["on_front"]]
    people = document["people"]
    assert sorted(person["identity"] for person in people) == list(range(4))
    assert {person["attempts"] for person in people} == {2 * len(members)}
    assert sum(person["recovered"] for person in people) == round(
        sum(trial["values"]["attack_accuracy"] * 4 * 2 for trial in members)
    )
    found = [sum(trial["number"] in person["trials"] for person in people) for trial in members]
    assert found == [trial["people"]["found"] for trial in members]
    assert all(person["name"] for person in people)
