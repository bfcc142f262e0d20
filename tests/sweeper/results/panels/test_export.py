"""Panels of a real study: what a reader gets tells nothing of what a panel is, and the key tells all."""

import base64
import csv
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from sweeper.results.panels.export import export_panels
from sweeper.results.records import study_records
from sweeper.study.loading import stored_study
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.stages.data import load_data

PEOPLE, RESTARTS = 4, 2


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "panels"
    return export_panels(tiny, "tiny", folder, trial=0, control=6)


def key_of(exported):
    with open(exported.key, encoding="utf-8") as file:
        return json.load(file)["panels"]


def config_of(home):
    trial = study_records(home, "tiny").trials[0]
    return trial, load_trial(stored_study(home.study("tiny")).document(trial.params))


def of_page(exported):
    """Return panel -> image of the page, in its order."""
    text = (exported.folder / "panels.html").read_text(encoding="utf-8")
    listed = json.loads(re.search(r"const panels = (\[.*\]);", text).group(1))
    prefix = "data:image/png;base64,"
    assert all(uri.startswith(prefix) for _, uri in listed)
    return {name: Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :]))) for name, uri in listed}


def cut(row):
    """Return the five images of a row as arrays; a row is as high as each of them is wide."""
    pixels, side = np.asarray(row), row.height
    starts = [0, *(row.width - side * place for place in (4, 3, 2, 1))]
    return [pixels[:, start : start + side].tobytes() for start in starts]


def as_bytes(pixels):
    return [image.permute(1, 2, 0).contiguous().numpy().tobytes() for image in pixels]


def test_every_reconstruction_is_a_panel_and_the_controls_are_beside_them(exported):
    kinds = [about["kind"] for about in key_of(exported).values()]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "attack": PEOPLE * RESTARTS,
        "genuine": 6,
        "impostor": 6,
        "swapped": 6,
    }
    assert (exported.panels, exported.controls, exported.people) == (PEOPLE * RESTARTS + 18, 18, PEOPLE)
    shown = {(a["identity"], a["restart"]) for a in key_of(exported).values() if a["kind"] == "attack"}
    assert shown == {(label, restart) for label in range(PEOPLE) for restart in range(RESTARTS)}


def test_panels_show_what_the_key_says_and_no_reference_is_held_out(tiny, exported):
    trial, config = config_of(tiny)
    split = load_data(config).split
    held_out = {label: as_bytes(split.test.pixels[split.test.labels == label]) for label in range(PEOPLE)}
    own = {
        label: [
            image
            for part in (split.train, split.validation)
            for image in as_bytes(part.pixels[part.labels == label])
        ]
        for label in range(PEOPLE)
    }
    made = torch.load(f"{trial.artifacts['attack']}/reconstructions.pt", weights_only=True)
    rows = of_page(exported)
    for name, about in key_of(exported).items():
        shown, *references = cut(rows[name])
        label = about["identity"]
        assert len(set(references)) == 4 and set(references) <= set(own[label])
        assert not set(references) & {image for images in held_out.values() for image in images}
        if about["kind"] in ("attack", "swapped"):
            assert (about.get("shows", label) == label) == (about["kind"] == "attack")
            place = made["identities"].tolist().index(about.get("shows", label))
            assert shown == as_bytes(made["images"][about["restart"]][place : place + 1])[0]
        else:
            assert (about["shows"] == label) == (about["kind"] == "genuine")
            assert shown in held_out[about["shows"]]


def test_the_key_says_what_the_judge_says(tiny, exported):
    trial, config = config_of(tiny)
    split = load_data(config).split
    saved = torch.load(f"{trial.artifacts['judge']}/judge.pt", weights_only=True)
    judge = config.judge.restore(saved, split, "cpu")
    for name, row in of_page(exported).items():
        about = key_of(exported)[name]
        pixels = np.asarray(row)[:, : row.height].copy()
        first = int(outputs(judge.logits, torch.tensor(pixels).permute(2, 0, 1)[None], "cpu").argmax())
        assert about["judge"] is (first == about["identity"])
    rates = [a["judge"] for a in key_of(exported).values() if a["kind"] == "attack"]
    assert sum(rates) / len(rates) == pytest.approx(trial.values["attack_accuracy"])


def test_nothing_that_a_reader_gets_tells_what_a_panel_is(tiny, exported):
    panels = key_of(exported)
    files = sorted(path.name for path in exported.folder.iterdir())
    assert files == sorted([*(f"{name}.png" for name in panels), "panels.csv", "panels.html"])
    text = (exported.folder / "panels.html").read_text(encoding="utf-8")
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)
    for word in (
        "tiny",
        "genuine",
        "impostor",
        "swapped",
        "attack",
        "gmi",
        "conv2",
        "trial",
        "control",
        "judge",
    ):
        assert word not in text.lower(), word
    with (exported.folder / "panels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["panel"] for row in rows] == list(panels) == list(of_page(exported))
    assert all(
        row == {"panel": n, "file": f"{n}.png", "answer": "", "reader": ""}
        for n, row in zip(panels, rows, strict=True)
    )
    sizes = {Image.open(exported.folder / f"{name}.png").size for name in panels}
    assert sizes == {(5 * 224 + 100, 324)}
    assert not exported.key.startswith(str(exported.folder)) and str(tiny.root) in exported.key


def test_the_order_does_not_leak(tiny, tmp_path):
    """Over many seeds each kind stands as often in front as behind."""
    place = {"attack": [], "genuine": [], "impostor": [], "swapped": []}
    for seed in range(12):
        exported = export_panels(tiny, "tiny", tmp_path / str(seed), trial=0, control=8, seed=seed)
        kinds = [about["kind"] for about in key_of(exported).values()]
        for position, kind in enumerate(kinds):
            place[kind].append(position)
    # Each mean of 96 places of 32 lies within 4 standard errors, 4 x 9.2 / sqrt(96), of the middle.
    assert {len(places) for places in place.values()} == {96}
    for places in place.values():
        assert abs(sum(places) / 96 - 15.5) < 3.8


def test_the_same_seed_gives_the_same_and_another_seed_another_export(tiny, tmp_path):
    first, again, other = (
        export_panels(tiny, "tiny", tmp_path / name, trial=0, control=1, most=3, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.key == again.key != other.key
    for path in first.folder.iterdir():
        assert path.read_bytes() == (again.folder / path.name).read_bytes()
    assert first.panels == 3 + 3 and not set(key_of(first)) & set(key_of(other))


def test_the_front_is_shown_where_no_trial_is_named_and_few_are_spread_over_it(tiny, tmp_path):
    members = {trial.number for trial in study_records(tiny, "tiny").members}
    exported = export_panels(tiny, "tiny", tmp_path / "out", most=len(members), control=0)
    assert sorted(about["trial"] for about in key_of(exported).values()) == sorted(members)


def test_the_page_asks_for_nothing_from_anywhere(exported):
    text = (exported.folder / "panels.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "data:", text)
    assert not re.findall(r"https?:|//[a-z]|url\(|@import|<script src|fetch\(|XMLHttpRequest|WebSocket", text)
    assert not [uri for uri in re.findall(r"(?:src|href)=\"([^\"]*)\"", text) if not uri.startswith("data:")]


def test_two_trials_are_compared_person_by_person(tiny, tmp_path):
    exported = export_panels(tiny, "tiny", tmp_path / "out", trial=0, against=1)
    panels = key_of(exported)
    assert len(panels) == PEOPLE * RESTARTS and exported.controls == 0
    assert {about["kind"] for about in panels.values()} == {"pair"}
    firsts = [about["trials"][0] for about in panels.values()]
    assert {tuple(sorted(about["trials"])) for about in panels.values()} == {(0, 1)} and len(set(firsts)) == 2
    records = study_records(tiny, "tiny").trials
    made = [torch.load(f"{t.artifacts['attack']}/reconstructions.pt", weights_only=True) for t in records]
    for name, row in of_page(exported).items():
        about = panels[name]
        assert row.size == (6 * 32 + round(100 * 32 / 224), 32)
        for position, number in enumerate(about["trials"]):
            shown = np.asarray(row)[:, 32 * position : 32 * (position + 1)]
            place = made[number]["identities"].tolist().index(about["identity"])
            truth = made[number]["images"][about["restart"], place].permute(1, 2, 0).numpy()
            assert (shown == truth).all()
    assert "const seconds = 60;" in (exported.folder / "panels.html").read_text()


def test_mistakes_are_named_before_anything_is_written(tiny, tmp_path, monkeypatch):
    place = tmp_path / "out"
    before = sorted((tiny.study("tiny") / "panels").glob("*"))
    for options, said in (
        ({"trial": 7}, r"got 7, no such trial \(--trial\)"),
        ({"trial": 0, "against": 0}, r"two different trials to compare"),
        ({"against": 1}, r"two different trials to compare"),
        ({"trial": 0, "most": 0, "control": 0}, "at least one panel"),
    ):
        with pytest.raises(ConfigError, match=said):
            export_panels(tiny, "tiny", place, **options)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("")
    with pytest.raises(ConfigError, match=r"a new or empty folder to write panels into, got .* \(-o\)"):
        export_panels(tiny, "tiny", tmp_path / "used", trial=0)
    with pytest.raises(ConfigError, match="expected a study of"):
        export_panels(tiny, "other", place)
    moved = (tiny.store.root / "attack").rename(tiny.root / "moved")
    try:
        with pytest.raises(ConfigError, match="expected the reconstructions of trial 0"):
            export_panels(tiny, "tiny", place, trial=0)
    finally:
        moved.rename(tiny.store.root / "attack")
    records = study_records(tiny, "tiny")
    import dataclasses

    other = dataclasses.replace(
        records, trials=tuple(dataclasses.replace(t, data={"private": "x"}) for t in records.trials)
    )
    monkeypatch.setattr("sweeper.results.panels.export.study_records", lambda *_, **__: other)
    with pytest.raises(ConfigError, match="the images \\(private\\) are others today"):
        export_panels(tiny, "tiny", place, trial=0)
    assert not place.exists() and sorted((tiny.study("tiny") / "panels").glob("*")) == before
