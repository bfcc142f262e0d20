"""The stage of a backbone: what it holds, what it depends on, and whom it is compared with."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from picture_folders import write_people
from PIL import Image
from small_trial import TRIAL

from trainables.architectures import ARCHITECTURES
from trainables.config import TrialConfig, load_trial
from trainables.errors import ConfigError
from trainables.pretraining.dataset import OnDataset
from trainables.pretraining.torchvision import Torchvision
from trainables.stages import pretrained
from trainables.stages.pretrained import make_pretrained, pretraining_key
from trainables.storage import digests
from trainables.storage.documents import merge
from trainables.storage.store import Store

FAR = {"kind": "synthetic_faces", "population": "far", "identities": 3, "images_per_identity": 4}
DOCUMENT = {**TRIAL, "pretraining": {"kind": "dataset", "data": FAR, "epochs": 2, "batch_size": 8}}


@pytest.fixture
def asked(monkeypatch):
    """Return what pre-training on a data set was asked for, in order; no network is trained."""
    calls = []

    def stages_state(self, architecture, image_size, *, run, normalization):
        calls.append((architecture, image_size, normalization, run.seed, run.device))
        run.report("pretrained", 1, self.epochs)
        return {"weight": torch.full((2,), float(len(calls)))}

    monkeypatch.setattr(OnDataset, "stages_state", stages_state)
    return calls


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store", None)


def stored(stage):
    return torch.load(stage.path / "stages.pt", weights_only=True)


def on_folders(private: Path, other: Path, knobs=None, **trial) -> TrialConfig:
    """Return a trial on a folder of private people whose backbone is trained on another folder."""
    return load_trial(
        {
            **DOCUMENT,
            "private": {"kind": "image_folder", "root": str(private), **(knobs or {})},
            "pretraining": {
                "kind": "dataset",
                "data": {"kind": "image_folder", "root": str(other)},
                "epochs": 1,
                "batch_size": 8,
            },
            **trial,
        }
    )


def test_it_holds_the_weights_that_pretraining_gives_for_this_target(asked, store):
    changes = {
        "target.architecture": "small_resnet",
        "target.normalization": "half",
        "image_size": 64,
        "seed": 7,
    }
    reports = []
    made = make_pretrained(
        load_trial(merge(DOCUMENT, changes)), store=store, report=lambda *done: reports.append(done)
    )
    assert asked == [("small_resnet", 64, "half", 7, "cpu")]
    assert reports == [("pretrained", 1, 2)]
    assert made.result == {"weights": True} and stored(made)["weight"].tolist() == [1, 1]
    assert made.machine["device"] == "cpu"


def test_random_weights_are_none_and_ask_for_no_private_images(store, tmp_path):
    nowhere = {"kind": "image_folder", "root": str(tmp_path / "nowhere")}
    config = load_trial({**TRIAL, "private": nowhere})
    made = make_pretrained(config, store=store)
    assert made.result == {"weights": False} and stored(made) is None
    assert not make_pretrained(config, store=store).made_now


@pytest.mark.parametrize(
    ("changes", "times"),
    [
        ({"seed": 1}, 2),
        ({"image_size": 64}, 2),
        ({"target.architecture": "small_resnet"}, 2),
        ({"target.normalization": "half"}, 2),
        ({"pretraining.epochs": 3}, 2),
        ({"pretraining.data.identities": 4}, 2),
        ({"replicate": 1, "identities": 2, "validation": 0.2, "test": 0.3}, 1),
        ({"target.epochs": 9, "target.freeze_point": "conv2", "defense": {"kind": "mid"}}, 1),
        ({"private.identities": 5, "public.identities": 5}, 1),
        ({"prior.epochs": 9, "attack.iterations": 9, "judge.epochs": 9}, 1),
    ],
    ids=str,
)
def test_targets_share_a_backbone_as_far_as_it_is_the_same(changes, times, asked, store):
    first = make_pretrained(load_trial(DOCUMENT), store=store)
    second = make_pretrained(load_trial(merge(DOCUMENT, changes)), store=store)
    assert len(asked) == times and second.made_now == (times == 2)
    assert stored(first)["weight"][0] == 1 and stored(second)["weight"][0] == times


def test_a_newer_version_of_the_architecture_is_another_backbone(asked, store, monkeypatch):
    def newer(name):
        monkeypatch.setitem(ARCHITECTURES, name, dataclasses.replace(ARCHITECTURES[name], version=2))
        return make_pretrained(load_trial(DOCUMENT), store=store)

    first = make_pretrained(load_trial(DOCUMENT), store=store)
    assert newer("small_resnet").key == first.key  # of which this one has nothing
    assert newer("small_cnn").key != first.key


def test_other_bytes_of_the_same_size_are_another_backbone(tmp_path, store):
    private = write_people(tmp_path / "private", "ada", "bob")
    other = tmp_path / "other"
    for n in range(4):
        for person in ("eve", "joe"):
            (other / person).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (n, ord(person[0]), 0)).save(other / person / f"{n}.bmp")
    config = on_folders(private, other)
    made = make_pretrained(config, store=store)
    assert make_pretrained(config, store=store).key == made.key
    size = (other / "eve" / "0.bmp").stat().st_size
    Image.new("RGB", (32, 32), (99, 98, 97)).save(other / "eve" / "0.bmp")
    assert (other / "eve" / "0.bmp").stat().st_size == size
    assert make_pretrained(config, store=store).key != made.key


def test_a_stored_backbone_is_checked_against_the_private_images_of_every_trial(tmp_path, store):
    harmless = write_people(tmp_path / "harmless", "ada", "bob", first=100)
    private = write_people(tmp_path / "private", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", first=50)
    shutil.copy(private / "bob" / "3.png", other / "eve" / "found.png")
    made = make_pretrained(on_folders(harmless, other), store=store)
    with pytest.raises(ConfigError, match="got 1 shared"):
        make_pretrained(on_folders(private, other), store=store)
    allowed = on_folders(private, other, {"allow_duplicates": True})
    assert make_pretrained(allowed, store=store).key == made.key
    with pytest.raises(ConfigError, match="got 1 shared"):  # nobody allowed it here
        make_pretrained(on_folders(private, other), store=store)


def test_each_pair_of_private_and_pretraining_images_is_compared_once(asked, store, monkeypatch):
    compared = []
    compare = pretrained.pretraining_warnings
    monkeypatch.setattr(
        pretrained, "pretraining_warnings", lambda config: compared.append(config) or compare(config)
    )
    again = {"seed": 3, "target.epochs": 9, "pretraining.epochs": 9, "public.identities": 5}
    others = ({"private.identities": 5}, {"pretraining.data.identities": 4}, {"image_size": 64})
    counts = []
    for changes in ({}, again, *others, {}):
        make_pretrained(load_trial(merge(DOCUMENT, changes)), store=store)
        counts.append(len(compared))
    assert counts == [1, 1, 2, 3, 4, 4]


def test_files_of_a_pretraining_set_are_read_once_for_all_keys_of_a_store(
    asked, store, tmp_path, monkeypatch
):
    read, digested = [], digests._bytes_digest
    monkeypatch.setattr(digests, "_bytes_digest", lambda path: (read.append(path), digested(path))[1])
    monkeypatch.setattr(digests, "FRESH_NS", -1)
    private = write_people(tmp_path / "private", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", images=3, first=50)
    for seed in (0, 1):
        make_pretrained(on_folders(private, other, seed=seed), store=store)
    assert len(asked) == 2
    assert sorted(path for path in read if path.is_relative_to(other)) == sorted(other.rglob("*.png"))


def test_what_pretraining_reads_is_the_same_whatever_is_learnt_of_it_and_wherever_it_lies(tmp_path):
    private = write_people(tmp_path / "private", "ada", "bob")
    other = write_people(tmp_path / "other", "eve", "joe", first=50)
    config = on_folders(private, other)
    key = pretraining_key(config)
    assert key == pretraining_key(dataclasses.replace(config, seed=9, image_size=64))
    longer = dataclasses.replace(config.pretraining, epochs=9)
    assert key == pretraining_key(dataclasses.replace(config, pretraining=longer))
    moved = other.rename(tmp_path / "moved")
    assert key == pretraining_key(on_folders(private, moved), tmp_path / "memory")
    assert key != pretraining_key(on_folders(moved, private))


def test_weights_that_are_downloaded_read_nothing_here():
    config = dataclasses.replace(load_trial(TRIAL), pretraining=Torchvision(weights="IMAGENET1K_V1"))
    assert pretraining_key(config) is None
