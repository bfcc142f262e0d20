"""What lies behind a study's paths: recorded, recognised wherever it lies, and named where it changed."""

import json
import shutil

import pytest
from picture_folders import write_people, write_pictures

from sweeper.study.loading import parse_study
from sweeper.study.sources import differences, missing, moved, refuse, study_sources
from trainables.errors import ConfigError

FACES = {"kind": "synthetic_faces", "population": "far", "identities": 4, "images_per_identity": 6}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a maker of studies over two folders in the current directory, of three and two people."""
    monkeypatch.chdir(tmp_path)
    write_people(tmp_path / "mine", "ann", "bob", "cid", images=4)
    write_people(tmp_path / "theirs", "dan", "eve", images=3, first=50)

    def make(space=None, **changes):
        trial = {
            "image_size": 32,
            "private": {"kind": "image_folder", "root": "mine"},
            "public": {"kind": "image_folder", "root": "theirs"},
            "pretraining": {"kind": "none"},
            "target": {"architecture": "small_cnn", "epochs": 1},
            "defense": {"kind": "none"},
            "prior": {"kind": "gmi", "width": 2, "epochs": 1},
            "attack": {"kind": "gmi", "iterations": 2},
            "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
            **changes,
        }
        space = space or [{"target.epochs": {"choice": [1, 2]}}]
        return parse_study({"name": "s", "trial": trial, "space": space}, "s")

    return make


def test_a_study_names_what_its_template_reads(study, tmp_path):
    sources = study_sources(study(), tmp_path / "memory")
    assert {knob: [s["value"] for s in values] for knob, values in sources.items()} == {
        "private.root": ["mine"],
        "public.root": ["theirs"],
    }
    assert (sources["private.root"][0]["people"], sources["private.root"][0]["images"]) == (3, 12)
    assert json.loads(json.dumps(sources)) == sources and not missing(sources)


def test_a_study_without_files_or_without_trials_has_no_sources(study, cheap):
    assert study_sources(cheap()) == {}
    assert study_sources(study(private={**FACES, "population": "private"}, public=FACES)) == {}


def test_every_value_of_a_searched_data_set_is_among_them(study, tmp_path):
    """Each is read once, however many values the other parts of a trial take."""
    write_people(tmp_path / "far", "x", "y", images=2, first=80)
    space = [
        {"pretraining.data.root": {"choice": ["theirs", "far"]}},
        {"attack.iterations": {"choice": [1, 2, 3]}},
    ]
    data = {"kind": "image_folder", "root": "theirs"}
    sources = study_sources(study(space, pretraining={"kind": "dataset", "data": data, "epochs": 1}))
    assert [s["value"] for s in sources["pretraining.data.root"]] == ["theirs", "far"]
    before = sources
    (tmp_path / "far" / "x" / "0.png").unlink()
    after = study_sources(study(space, pretraining={"kind": "dataset", "data": data, "epochs": 1}))
    (text,) = differences(before, after)
    assert text.startswith("pre-training data (pretraining.data.root): recorded 2 people with 4 images in")
    assert f"now 2 people with 3 images in {tmp_path / 'far'}" in text


def test_another_population_behind_the_same_path_is_named(study, tmp_path):
    before = study_sources(study())
    shutil.rmtree(tmp_path / "mine")
    write_people(tmp_path / "mine", "ann", "bob", "cid", images=4, first=500)
    (text,) = differences(before, study_sources(study()))
    place = tmp_path / "mine"
    assert text.startswith(f"private data (private.root): recorded 3 people with 12 images in {place} (fing")
    assert f"now 3 people with 12 images in {place} (fingerprint" in text
    with pytest.raises(ConfigError, match=r"study 's' must keep its data.*restore.*-S name="):
        refuse("s", [text])
    refuse("s", [])


def test_the_same_folder_name_in_another_directory_is_another_data_set(study, tmp_path, monkeypatch):
    before = study_sources(study())
    other = tmp_path / "other"
    write_people(other / "mine", "ann", "bob", images=4)
    shutil.copytree(tmp_path / "theirs", other / "theirs")
    monkeypatch.chdir(other)
    (text,) = differences(before, study_sources(study()))
    assert f"recorded 3 people with 12 images in {tmp_path / 'mine'}" in text
    assert f"now 2 people with 8 images in {other / 'mine'}" in text


@pytest.mark.parametrize("change", ["added", "removed", "changed"])
def test_images_that_come_go_or_change_are_another_data_set(study, tmp_path, change):
    before = study_sources(study())
    if change == "added":
        write_pictures(tmp_path / "mine", "ann/9.png", first=99)
    elif change == "removed":
        (tmp_path / "mine/ann/0.png").unlink()
    else:
        write_pictures(tmp_path / "mine", "ann/0.png", first=99)
    after = study_sources(study())
    assert [text.partition(":")[0] for text in differences(before, after)] == ["private data (private.root)"]
    assert not moved(before, after)


def test_a_moved_data_set_is_the_same(study, tmp_path):
    before = study_sources(study())
    shutil.move(tmp_path / "mine", tmp_path / "elsewhere")
    after = study_sources(study(private={"kind": "image_folder", "root": str(tmp_path / "elsewhere")}))
    assert differences(before, after) == [] and moved(before, after) == {"private.root"}
    gone = study_sources(study())
    assert missing(gone) and not moved(before, gone)
    (text,) = differences(before, gone)
    assert text.endswith(f"now nothing at {tmp_path / 'mine'}")


def test_weights_in_a_file_count_too(study, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"one")
    loaded = {"kind": "checkpoint", "path": "w.pt"}
    before = study_sources(study(pretraining=loaded))
    (tmp_path / "w.pt").write_bytes(b"two")
    (text,) = differences(before, study_sources(study(pretraining=loaded)))
    assert text.startswith(f"pre-training data (pretraining.path): recorded {tmp_path / 'w.pt'} (fingerprint")


def test_what_was_not_recorded_does_not_count(study):
    sources = study_sources(study())
    assert differences({}, sources) == [] and moved({}, sources) == set()
    assert differences({"public.root": sources["public.root"]}, sources) == []
