"""The data of a trial: refused where it would prove nothing, and in the keys by all that decides a result."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from picture_folders import write_people, write_pictures
from PIL import Image

from trainables.analyses.membership import Membership
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.stages.analysis import make_training_analysis
from trainables.stages.data import data_warnings, load_data, pretraining_warnings
from trainables.stages.judge import make_judge
from trainables.stages.pretrained import make_pretrained
from trainables.stages.target import make_target
from trainables.storage.store import Store
from trainables.trial import run_trial

DRAWN = {"kind": "synthetic_faces", "population": "public", "identities": 4, "images_per_identity": 4}
TRIAL = {
    "image_size": 32,
    "public": DRAWN,
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1, "batch_size": 8},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}


def trial(root: Path, knobs=None, **changes):
    return load_trial(
        {**TRIAL, "private": {"kind": "image_folder", "root": str(root), **(knobs or {})}, **changes}
    )


@pytest.mark.parametrize("files", [["1.png", "2.png"], ["ada/1.png", "ada/2.png"]])
def test_fewer_than_two_people_are_refused(tmp_path, files):
    with pytest.raises(
        ConfigError, match=r"at least 2 people, to tell them apart; got 1 \('all', 2 images\)"
    ):
        load_data(trial(write_pictures(tmp_path, *files)))


def test_one_person_left_by_a_limit_or_drawn_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 2 people"):
        load_data(trial(write_people(tmp_path, "ada", "bob"), {"limit": 1}))
    with pytest.raises(ConfigError, match="at least 2 people"):
        load_data(load_trial({**TRIAL, "private": {**DRAWN, "population": "private", "identities": 1}}))
    with pytest.raises(ConfigError, match="at least 2 people"):
        load_data(
            trial(
                write_pictures(
                    tmp_path / "parts", *(f"{p}/ada/{n}.png" for p in ("train", "test") for n in range(4))
                )
            )
        )


def test_public_images_may_be_of_nobody_in_particular(tmp_path):
    config = trial(
        write_people(tmp_path / "private", "ada", "bob"),
        public={
            "kind": "image_folder",
            "root": str(write_pictures(tmp_path / "public", "1.png", "2.png", first=50)),
        },
    )
    assert load_data(config).public.names == ("all",)


def test_a_leak_between_parts_is_refused_or_said_everywhere(tmp_path):
    root = write_people(tmp_path / "private", "ada", "bob", images=8)
    for n in range(1, 8):
        shutil.copy(root / "ada" / "0.png", root / "ada" / f"{n}.png")
    with pytest.raises(ConfigError, match=r"1 equal image in two of its parts .*of 16"):
        load_data(trial(root))
    config = trial(root, {"allow_duplicates": True})
    (warning,) = load_data(config).warnings
    assert "1 equal image in two of its parts" in warning
    result = run_trial(config, store=Store(tmp_path / "store", None))
    assert warning in result.warnings


def test_a_picture_under_two_people_is_refused_though_its_file_is_another(tmp_path):
    root = write_people(tmp_path, "ada", "bob")
    Image.open(root / "ada" / "0.png").save(root / "bob" / "copy.bmp")
    with pytest.raises(ConfigError, match=r"1 equal image under two people .*ada/0.png = .*bob/copy.bmp"):
        load_data(trial(root))


def test_warnings_name_the_set_that_they_are_of(tmp_path):
    private = write_people(tmp_path / "private", "ada", "bob")
    (private / "ada" / "1.cr2").write_bytes(b"x")
    public = write_pictures(tmp_path / "public", "1.png", first=50)
    (public / "2.mov").write_bytes(b"x")
    other = write_people(tmp_path / "other", "eve", "joe", first=100)
    (other / "eve" / "3.raw").write_bytes(b"x")
    config = trial(
        private,
        public={"kind": "image_folder", "root": str(public)},
        pretraining={"kind": "dataset", "data": {"kind": "image_folder", "root": str(other)}},
    )
    camera, mov, raw = data_warnings(config)
    assert camera.startswith("private data: ") and "1 .cr2" in camera
    assert mov.startswith("public data: ") and "1 .mov" in mov
    assert raw.startswith("pre-training data: ") and "1 .raw" in raw


def test_numbers_as_names_on_both_sides_want_the_switch(tmp_path):
    private, public = write_people(tmp_path / "a", "1", "2"), write_people(tmp_path / "b", "1", "2", first=50)
    sides = {"kind": "image_folder", "root": str(public)}
    with pytest.raises(ConfigError, match="anonymous_names: true"):
        load_data(trial(private, public=sides))
    assert load_data(trial(private, {"anonymous_names": True}, public=sides)).split.train.classes == 2
    assert load_data(trial(private, public={**sides, "anonymous_names": True})).split.train.classes == 2


# what enters the keys


def parts(root: Path) -> Path:
    return write_pictures(
        root, *(f"{p}/{name}/{n}.png" for p in ("train", "test") for name in ("ada", "bob") for n in range(5))
    )


def test_moving_images_between_given_parts_changes_the_key(tmp_path):
    root = parts(tmp_path / "data")
    before = load_data(trial(root))
    # "test" is now called "valid" to nobody: the order of all images stays, their parts change
    (root / "train").rename(root / "x")
    (root / "test").rename(root / "train")
    (root / "x").rename(root / "test")
    swapped = load_data(trial(root))
    assert swapped.private_key != before.private_key
    (root / "test" / "ada" / "0.png").rename(root / "train" / "ada" / "9.png")
    moved = load_data(trial(root))
    assert len({before.private_key, swapped.private_key, moved.private_key}) == 3


def test_parts_alone_change_the_key(tmp_path, monkeypatch):
    images = trial(parts(tmp_path)).private.load(32)

    def key(**changes) -> str:
        other = dataclasses.replace(images, **changes)
        config = trial(tmp_path, {"limit": 10 + len(seen)})  # nothing cached
        monkeypatch.setattr(type(config.private), "load", lambda self, size: other)
        seen.append(
            load_data(
                dataclasses.replace(config, public=load_trial(TRIAL | {"private": DRAWN}).public)
            ).private_key
        )
        return seen[-1]

    seen: list[str] = []
    reserved = images.reserved.clone()
    assert key() == key()
    swap = [int(reserved.nonzero()[0]), int((~reserved).nonzero()[0])]
    reserved[swap] = reserved[swap[::-1]]
    assert key(reserved=reserved) != key()
    assert key(names=("ada", "eve")) != key()
    checked = ~images.reserved
    for label in range(2):
        own = ((images.labels == label) & checked).nonzero().flatten()
        checked[own[:3]] = False
    assert key(checked=checked) != key()


def test_public_parts_change_no_key(tmp_path):
    public = {"kind": "image_folder", "root": str(parts(tmp_path / "public"))}
    private = write_people(tmp_path / "private", "eve", "joe", first=100)
    before = load_data(trial(private, public=public)).public_key
    flat = tmp_path / "flat"
    for file in sorted((tmp_path / "public").rglob("*.png")):
        target = flat / file.parent.name / f"{file.parent.parent.name}{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    assert load_data(trial(private, public={**public, "root": str(flat)})).public_key == before


def test_a_person_with_another_name_is_not_taken_for_the_one_that_was_trained_on(tmp_path):
    root, store = write_people(tmp_path / "people", "ada", "bob"), Store(tmp_path / "store", None)
    made = {stage: make(trial(root), store=store) for stage, make in STAGES.items()}
    assert all(stage.result["identities"] == ["ada", "bob"] for stage in made.values())
    (root / "bob").rename(root / "eve")  # the same images in the same order, and another split
    for stage, make in STAGES.items():
        renamed = make(trial(root), store=store)
        assert renamed.result["identities"] == ["ada", "eve"] and renamed.key != made[stage].key
        assert make(trial(root), store=store).key == renamed.key
    (root / "eve").rename(root / "bob")
    assert {stage: make(trial(root), store=store).key for stage, make in STAGES.items()} == {
        stage: done.key for stage, done in made.items()
    }


STAGES = {"target": make_target, "judge": make_judge}


@pytest.mark.parametrize("stage", STAGES)
def test_stages_of_before_that_note_no_names_still_count(tmp_path, stage):
    root, store = write_people(tmp_path / "people", "ada", "bob"), Store(tmp_path / "store", None)
    made = STAGES[stage](trial(root), store=store)
    record = json.loads((made.path / "result.json").read_text())
    del record["result"]["identities"]
    (made.path / "result.json").write_text(json.dumps(record))
    again = STAGES[stage](trial(root), store=store)
    assert again.key == made.key and not again.made_now


# pre-training


@pytest.mark.parametrize(
    ("people", "images", "enough"),
    [(1, 1, False), (1, 6, False), (2, 1, False), (3, 1, False), (2, 2, True)],
)
def test_too_little_to_pretrain_on_is_refused_before_any_work(people, images, enough):
    data = {**DRAWN, "population": "far", "identities": people, "images_per_identity": images}
    private = {**DRAWN, "population": "private"}
    config = load_trial({**TRIAL, "private": private, "pretraining": {"kind": "dataset", "data": data}})
    if enough:
        assert data_warnings(config) == []
        return
    with pytest.raises(ConfigError, match=rf"at least 2 people.*got {people} in {people * images} images"):
        data_warnings(config)


@pytest.mark.parametrize(("learnt", "enough"), [(1, False), (2, True)])
def test_parts_of_the_pretraining_data_are_not_trained_on(tmp_path, learnt, enough):
    """A validation part chooses the epoch, and what is reserved for testing is left out."""
    other = write_pictures(
        tmp_path / "other",
        *(f"{part}/{name}/{n}.png" for part in ("val", "test") for name in "ab" for n in range(3)),
        *(f"train/{name}/0.png" for name in "ab"[:learnt]),
        first=50,
    )
    config = trial(write_people(tmp_path / "private", "ada", "bob"), **pretrained_on(other))
    if enough:
        assert pretraining_warnings(config) == []
        return
    with pytest.raises(ConfigError, match=r"got 2 in 1 images that are not reserved \(pretraining.data\)"):
        pretraining_warnings(config)


def pretrained_on(root: Path, knobs=None, **private):
    data = {"kind": "image_folder", "root": str(root), **(knobs or {})}
    return {"pretraining": {"kind": "dataset", "data": data, "epochs": 1, "batch_size": 8}}


def test_pretraining_on_private_images_is_refused_before_any_work(tmp_path):
    private = write_people(tmp_path / "private", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", first=50)
    assert pretraining_warnings(trial(private, **pretrained_on(other))) == []
    shutil.copy(private / "bob" / "3.png", other / "eve" / "found.png")
    store = Store(tmp_path / "store", None)
    for check in (
        pretraining_warnings,
        data_warnings,
        lambda config: make_pretrained(config, store=store),
    ):
        with pytest.raises(ConfigError, match=r"got 1 shared of 12 private .*bob/3.png = .*eve/found.png"):
            check(trial(private, **pretrained_on(other)))
    assert not list((tmp_path / "store").glob("*/*/result.json"))
    for config in (
        trial(private, {"allow_duplicates": True}, **pretrained_on(other)),
        trial(private, **pretrained_on(other, {"allow_duplicates": True})),
    ):
        (warning,) = pretraining_warnings(config)
        assert "1 images are private ones" in warning
        assert load_data(config).warnings == (warning,) and data_warnings(config) == [warning]


def test_pretraining_is_compared_by_bytes_whatever_the_crop(tmp_path):
    private = write_people(tmp_path / "private", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", first=50)
    shutil.copy(private / "bob" / "3.png", other / "eve" / "found.png")
    with pytest.raises(ConfigError, match="got 1 shared"):
        pretraining_warnings(trial(private, **pretrained_on(other, {"crop": 20})))


def test_an_analysis_of_a_training_is_of_these_people(tmp_path, monkeypatch):
    """The same images of people of other names are split in another way, and are another measurement."""
    seen = []

    def measure(self, subject):
        seen.append(subject.private.train.names)
        return {"people": len(seen)}

    monkeypatch.setattr(Membership, "measure", measure)
    shapes = {"pretraining": {"kind": "dataset", "data": {**DRAWN, "population": "far"}, "epochs": 1}}
    people, store = write_people(tmp_path / "people", "ada", "bob", images=8), Store(tmp_path / "store")

    def figures():
        return make_training_analysis(trial(people, **shapes), Membership(), store=store).result["people"]

    assert (figures(), figures()) == (1, 1)
    (people / "bob").rename(people / "cyd")
    assert (figures(), figures()) == (2, 2)
    assert seen == [("ada", "bob"), ("ada", "cyd")]
