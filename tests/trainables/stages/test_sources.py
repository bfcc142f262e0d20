import hashlib
import json
from dataclasses import asdict

import pytest
from picture_folders import write_people

from trainables.config import load_trial
from trainables.stages.sources import sources
from trainables.storage.documents import merge

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
TRIAL = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1},
    "attack": {"kind": "gmi", "iterations": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet"},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_people(tmp_path / "private", "ann", "bob", images=3)
    write_people(tmp_path / "public", "cid", "dan", "eve", images=2, first=50)
    (tmp_path / "w.pt").write_bytes(b"weights")
    (tmp_path / "s.pt").write_bytes(b"styles")
    return tmp_path


def folder(root):
    return {"kind": "image_folder", "root": root}


def test_a_trial_that_reads_no_files_has_none():
    assert sources(load_trial(TRIAL)) == {}


def test_every_file_that_a_trial_reads_is_named_once(place):
    document = merge(TRIAL, {"private": folder("private"), "public": folder(str(place / "public"))})
    document |= {
        "pretraining": {"kind": "dataset", "data": folder("public"), "epochs": 1},
        "judge": {"kind": "embedder", "path": "w.pt"},
        "attack": [
            {"kind": "gmi"},
            {"kind": "gmi", "prior": {"kind": "stylegan2", "path": "s.pt"}},
        ],
    }
    named = sources(load_trial(document, checked=False), place / "memory")  # a check looks into the files
    assert set(named) == {
        "private.root",
        "public.root",
        "pretraining.data.root",
        "judge.path",
        "attack[1].prior.path",
    }
    private, judge = named["private.root"], named["judge.path"]
    assert (private.value, private.path) == ("private", str(place / "private"))
    assert (private.people, private.images) == (2, 6)
    assert named["public.root"].fingerprint == named["pretraining.data.root"].fingerprint
    assert named["public.root"].people == 3
    assert judge.fingerprint == hashlib.sha256(b"weights").hexdigest()[:20] and judge.people is None
    assert json.loads(json.dumps(asdict(private))) == asdict(private)


def test_what_is_missing_has_no_fingerprint(place):
    config = load_trial(
        {**TRIAL, "private": folder("nowhere"), "pretraining": {"kind": "checkpoint", "path": "x"}}
    )
    named = sources(config)
    assert [source.fingerprint for source in named.values()] == [None, None]
    assert named["private.root"].path == str(place / "nowhere")


def test_a_home_is_understood(place, monkeypatch):
    monkeypatch.setenv("HOME", str(place))
    plain, home = (sources(load_trial({**TRIAL, "private": folder(f"{at}private")})) for at in ("", "~/"))
    assert plain["private.root"].path == home["private.root"].path
    assert plain["private.root"].fingerprint == home["private.root"].fingerprint
