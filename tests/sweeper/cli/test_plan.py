"""What a dry run prints: the study that would run, how many trials, and their cost added up by hand."""

import pytest
import yaml
from picture_folders import write_people, write_pictures
from PIL import Image

from sweeper.cli.plan import show_plan
from sweeper.engine.resources import Node
from sweeper.study.loading import parse_study
from trainables.errors import ConfigError

FACES = {"kind": "synthetic_faces", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private"},
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_cnn"},
    },
    "space": ["freeze_depth"],  # none, conv1 .. conv6
}
SECONDS = {"pretrained": 5.0, "judge": 10.0, "prior": 60.0, "target": 2.0, "attack": 3.0}


@pytest.fixture
def plan(home, monkeypatch, capsys):
    monkeypatch.setattr("trainables.cost.estimate", lambda config, device: SECONDS)
    monkeypatch.setattr("sweeper.cli.plan._device", lambda: "cpu")
    monkeypatch.setattr("sweeper.cli.plan._machine", lambda: Node(4, 2))

    def printed(**changes) -> str:
        show_plan(parse_study(DOCUMENT | changes, "test"), home)
        return capsys.readouterr().out

    return printed


def test_what_is_printed_is_the_study(plan):
    out = plan(search={"trials": 3, "seed": 4})
    assert parse_study(yaml.safe_load(out), "again") == parse_study(
        DOCUMENT | {"search": {"trials": 3, "seed": 4}}, "test"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "7 (space: 7 assignments; 3 anchors first)"),  # 16 are more than there are
        ({"search": {"trials": 2}}, "2 (space: 7 assignments; 2 anchors first)"),
        ({"search": {"anchors": False}}, "7 (space: 7 assignments; 0 anchors first)"),
        ({"search": {"sampler": "grid"}}, "7 (space: 7 assignments; 0 anchors first)"),
        (
            {"space": {"target.learning_rate": {"float": [0.001, 0.1]}}},
            "16 (space: endless; 1 anchors first)",
        ),
    ],
)
def test_trials_and_anchors(plan, changes, line):
    assert f"# trials: {line}\n" in plan(**changes)


def test_shared_stages_are_paid_once_and_the_rest_by_every_trial(plan, home):
    out = plan(search={"trials": 4})
    assert f"# home: {home.root}\n" in out
    assert "on cpu, undefended" in out
    assert "pretrained 5 s, judge 10 s, prior 1 min 00 s, target 2 s, attack 3 s" in out
    assert 5 + 10 + 60 + 4 * (2 + 3) == 95
    assert "in all about 1 min 35 s" in out
    assert [path.relative_to(home.root).as_posix() for path in home.root.rglob("*.*")] == [
        "studies/tiny/contact_sheet.png"
    ]


def test_every_trial_pays_for_its_seeds(plan):
    out = plan(search={"trials": 4, "replicates": 3})
    assert "# each trained and attacked under 3 seeds\n" in out
    assert "in all about 2 min 15 s" in out  # 75 s once, 4 x 3 x 5 s


def test_screening_is_announced(plan):
    out = plan(search={"trials": 4, "screening": True, "screening_share": 0.1})
    assert "# a short attack first (10% of the steps)" in out


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"concurrent": 2}, "on this machine, up to 2 at once, each on 2 cores and 1 GPU"),
        (
            {"concurrent": 1, "attack_shards": 2, "gpus_per_shard": 0.5, "cpus_per_shard": 1},
            "on this machine, up to 1 at once, each on 2 cores and 1 GPU, and 1 x 1 core and 0.5 GPU",
        ),
        (
            {"concurrent": 1, "attack_shards": "auto"},
            "each on 2 cores and 1 GPU, and 1 x 2 cores and 1 GPU for its attacks' other shards",
        ),
        ({"attack_shards": 9}, "does not fit on this machine: resources.attack_shards 9 makes a trial"),
    ],
)
def test_what_a_trial_would_get_of_this_machine(plan, resources, line):
    assert line in plan(resources=resources)


def test_data_warnings_and_a_contact_sheet_are_shown_before_any_work(plan, home, tmp_path):
    private = str(write_people(tmp_path / "private", "ada", "bob"))
    (tmp_path / "private" / "ada" / "9.heic").write_bytes(b"x")
    public = str(write_pictures(tmp_path / "public", "1.png", "2.png", first=50, size=(48, 32)))
    folders = {
        "private": {"kind": "image_folder", "root": private, "fit": "pad"},
        "public": {"kind": "image_folder", "root": public},
    }
    out = plan(trial=DOCUMENT["trial"] | folders)
    assert "# WARNING: private data: left out 1 file that cannot be read as images: 1 .heic" in out
    place = home.study("tiny") / "contact_sheet.png"
    assert f"# contact sheet: {place} (what training will see; private images: it is kept in the home" in out
    with Image.open(place) as sheet:
        assert sheet.format == "PNG" and sheet.height > 3 * 64
    assert not [path for path in tmp_path.rglob("*contact*") if home.root not in path.parents]


def test_a_home_that_cannot_be_written_costs_the_sheet_alone(plan, home):
    (home.root / "studies").write_text("a file")
    out = plan()
    assert "# no contact sheet: " in out and "in all about" in out


def test_data_that_cannot_be_used_is_refused(plan, tmp_path):
    root = str(write_pictures(tmp_path / "flat", "1.png", "2.png"))
    with pytest.raises(ConfigError, match="at least 2 people"):
        plan(trial=DOCUMENT["trial"] | {"private": {"kind": "image_folder", "root": root}})
