"""What a dry run prints: the study that would run, how many trials, and their cost added up by hand."""

import pytest
import yaml
from picture_folders import write_people, write_pictures
from PIL import Image

from sweeper.cli.plan import power_text, show_plan
from sweeper.engine.machines.resources import Node
from sweeper.engine.people import begin
from sweeper.engine.progress import spell_range
from sweeper.engine.remaining import OVERHEAD, START
from sweeper.engine.sources import current_sources
from sweeper.search.optuna_study import OptunaStudy
from sweeper.statistics.power import smallest_difference
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.runtime.duration import Duration
from trainables.storage.documents import merge

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
    "controls": False,
}
SECONDS = {
    "pretrained": Duration(low=5, high=6),
    "judge": Duration(low=10, high=14),
    "prior": Duration(low=60, high=80),
    "target": Duration(low=2, high=4),
    "attack": Duration(low=3, high=5),
    "evaluation": Duration(low=1, high=1),
}


@pytest.fixture
def plan(home, monkeypatch, capsys):
    asked = []

    def estimate(config, device, *, threads, variants):
        asked.append((threads, [(v.target.freeze_point, v.defense.kind) for v in variants]))
        return SECONDS

    monkeypatch.setattr("trainables.cost.estimate", estimate)
    monkeypatch.setattr("trainables.runtime.load.load_average", lambda: 0.1)
    monkeypatch.setattr("trainables.runtime.run.device_of_this_process", lambda: "cpu")
    monkeypatch.setattr("sweeper.cli.plan._machine", lambda: Node(4, 2))

    def printed(**changes) -> str:
        show_plan(parse_study(DOCUMENT | changes, "test"), home)
        return capsys.readouterr().out

    printed.asked = asked
    return printed


def test_what_is_printed_is_the_study(plan):
    out = plan(search={"trials": 3, "seed": 4})
    assert parse_study(yaml.safe_load(out), "again") == parse_study(
        DOCUMENT | {"search": {"trials": 3, "seed": 4, "accuracy": "validation", "attacked": 1.0}}, "test"
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
    out = plan(search={"trials": 4, "noise_replicates": 1}, resources={"concurrent": 1})
    assert "runs beside" not in out
    assert f"# home: {home.root}\n" in out
    assert "on cpu, alone on its share" in out
    shown = "pretrained 5 to 6 s, judge 10 to 14 s, prior 1 to 1.5 min, target 2 to 4 s, attack 3 to 5 s"
    assert shown in out
    assert (5 + 10 + 60 + 4 * (2 + 3 + 1), 6 + 14 + 80 + 4 * (4 + 5 + 1)) == (99, 140)
    low = 99 + START.low + 4 * OVERHEAD.low
    high = 140 + START.high + 4 * OVERHEAD.high
    total = spell_range(Duration(low=low, high=high))
    assert f"in all 1.5 to 2.5 min of work: {total} from start to end\n" in out
    assert [path.relative_to(home.root).as_posix() for path in home.root.rglob("*.*")] == [
        "studies/tiny/contact_sheet.png"
    ]


def test_runs_that_tell_the_noise_of_training_seeds_are_paid_beside_the_trials(plan):
    out = plan(search={"trials": 4, "noise_replicates": 4}, resources={"concurrent": 1})
    assert "# 6 runs beside the trials: an undefended and a defended one under 4 seeds each\n" in out
    low, high = 75 + (4 + 2 * 3) * 6, 100 + (4 + 2 * 3) * 10
    total = spell_range(
        Duration(low=low + START.low + 10 * OVERHEAD.low, high=high + START.high + 10 * OVERHEAD.high)
    )
    work = spell_range(Duration(low=low, high=high))
    assert f"in all {work} of work: {total} from start to end\n" in out


def test_every_trial_pays_for_its_seeds(plan):
    out = plan(search={"trials": 4, "replicates": 3})
    assert "# each trained and attacked under 3 seeds\n" in out
    assert (75 + 4 * 3 * 6, 100 + 4 * 3 * 10) == (147, 220)
    assert "in all 2.5 to 3.5 min of work" in out


def test_controls_are_priced_one_after_the_other(plan):
    out = plan(search={"trials": 4}, resources={"concurrent": 1}, controls={"stopped": 2})
    # judge of the ceiling; undefended, leaking, sampler and two stopped targets; six attacks, of which GMI's
    # budget curves are parts; an evaluation of each and of six points.
    low, high = 10 + 5 * 2 + 6 * 3 + 12 * 1, 14 + 5 * 4 + 6 * 5 + 12 * 1
    assert f"# controls, one after the other: {spell_range(Duration(low=low, high=high))}, " in out
    runs = 4 + 2 * 2  # a defended and an undefended trial under two seeds more
    work = Duration(low=75 + runs * 6 + low, high=100 + runs * 10 + high)
    assert f"in all {spell_range(work)} of work" in out
    assert "# controls" not in plan(search={"trials": 4}, controls=False)


def test_it_is_measured_with_a_trials_threads_over_the_ends_of_the_space(plan):
    plan(resources={"concurrent": 2})
    threads, variants = plan.asked[-1]
    assert threads == 2  # of four cores
    assert variants == [("none", "none"), ("conv6", "none"), ("conv3", "none")]


@pytest.mark.parametrize(("load", "told"), [(0.2, False), (9.5, True)])
def test_a_busy_machine_is_told(plan, monkeypatch, load, told):
    monkeypatch.setattr("trainables.runtime.load.load_average", lambda: load)
    monkeypatch.setattr("trainables.runtime.load.cores", lambda: 2)
    assert ("this machine is busy (load average 9.5 on 2 cores)" in plan()) == told


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
        (
            {"attack_shards": 9},
            "WARNING: does not fit on this machine: resources.attack_shards 9 makes a trial",
        ),
    ],
)
def test_what_a_trial_would_get_of_this_machine(plan, resources, line):
    assert line in plan(resources=resources)


def test_data_warnings_and_a_contact_sheet_are_shown_before_any_work(plan, home, tmp_path):
    private = str(write_people(tmp_path / "private", "ada", "bob"))
    (tmp_path / "private" / "ada" / "9.cr2").write_bytes(b"x")
    public = str(write_pictures(tmp_path / "public", "1.png", "2.png", first=50, size=(48, 32)))
    folders = {
        "private": {"kind": "image_folder", "root": private, "fit": "pad"},
        "public": {"kind": "image_folder", "root": public},
    }
    out = plan(trial=DOCUMENT["trial"] | folders)
    assert "# WARNING: private data: left out 1 file that cannot be read as images: 1 .cr2" in out
    place = home.study("tiny") / "contact_sheet.png"
    assert f"# contact sheet: {place} (what training will see; private images: it is kept in the home" in out
    with Image.open(place) as sheet:
        assert sheet.format == "PNG" and sheet.height > 3 * 64
    assert not [path for path in tmp_path.rglob("*contact*") if home.root not in path.parents]


def test_a_home_that_cannot_be_written_costs_the_sheet_alone(plan, home):
    (home.root / "studies").write_text("a file")
    out = plan()
    assert "# no contact sheet: " in out and "# in all " in out


def test_data_that_cannot_be_used_is_refused(plan, tmp_path):
    root = str(write_pictures(tmp_path / "flat", "1.png", "2.png"))
    with pytest.raises(ConfigError, match="at least 2 people"):
        plan(trial=DOCUMENT["trial"] | {"private": {"kind": "image_folder", "root": root}})


def test_what_is_known_of_the_trials_is_said(plan):
    frozen = "# WARNING: frozen without pre-training"
    assert frozen in plan()
    assert "an epoch of the judge" not in plan()  # one batch holds all 20 images
    judge = {**DOCUMENT["trial"]["judge"], "batch_size": 13}
    assert "# WARNING: an epoch of the judge shows 65%" in plan(trial={**DOCUMENT["trial"], "judge": judge})
    assert frozen not in plan(space={"target.learning_rate": {"choice": [0.01]}})


def opened(home, **changes):
    """Open the study as a start would."""
    study = begin(parse_study(DOCUMENT | changes, "test"), home)
    return OptunaStudy(study, home.storage, home.root, sources=current_sources(study, home))


@pytest.mark.parametrize(
    "changes",
    [
        {"trial": merge(DOCUMENT["trial"], {"target.epochs": 2})},
        {"space": ["freeze_depth", {"target.learning_rate": {"float": [0.001, 0.1]}}]},
        {"objectives": {"attack_accuracy": "minimize"}},
        {"constraints": ["test_accuracy >= 0.5"]},
        {"search": {"accuracy": "test"}},
        {"search": {"replicates": 2}},
    ],
)
def test_a_changed_study_that_a_start_would_refuse_is_refused_alike(plan, home, capsys, changes):
    opened(home).ask()
    with pytest.raises(ConfigError, match="changed since it began") as refused:
        opened(home, **changes)
    with pytest.raises(ConfigError) as error:
        plan(**changes)
    assert str(error.value) == str(refused.value)
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "tiny" and not plan.asked


def test_a_study_that_goes_on_is_planned_as_a_new_one(plan, home):
    turned = {"objectives": {"attack_accuracy": "minimize", "test_accuracy": "maximize"}}
    before = plan()
    assert plan(**turned) != before
    source = opened(home)
    changed = {"trial": merge(DOCUMENT["trial"], {"target.epochs": 2})}
    plan(**changed)  # no trial of it began: a start would begin it as it is now
    source.ask()
    assert plan() == plan(**turned) == before
    assert "# trials: 3 " in plan(search={"trials": 3}, resources={"concurrent": 1})  # this may change


@pytest.mark.parametrize(("restarts", "seeds"), [(1, 1), (5, 1), (5, 3)])
def test_the_smallest_difference_that_the_study_can_show_is_known_before_it_runs(restarts, seeds):
    document = merge(DOCUMENT["trial"], {"attack.restarts": restarts, "private.identities": 40})
    people = 40 * restarts / (1 + (restarts - 1) * 0.5)
    drop = smallest_difference(0.6, people, seed_deviation=0.06 / seeds**0.5)
    text = power_text(load_trial(document), 40, seeds)
    assert f"from 0.6 by {drop:.2f} or more" in text
    assert text.startswith(f"40 people, {restarts} restart")
    assert text.endswith(" and no fall from 0.2") == (
        smallest_difference(0.2, people, seed_deviation=0.06 / seeds**0.5) is None
    )
