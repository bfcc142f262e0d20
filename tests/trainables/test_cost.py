import pytest

from trainables.config import load_trial
from trainables.cost import estimate
from trainables.document import merge

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "epochs": 2},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 2, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 50, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
}


def test_the_estimate_names_the_stages_and_grows_with_the_work():
    small = estimate(load_trial(DOCUMENT))
    assert list(small) == ["pretrained", "judge", "prior", "target", "attack"]
    assert small.pop("pretrained") > 0 and all(seconds > 0 for seconds in small.values())
    thousand = {"attack.iterations": 50_000, "prior.epochs": 2_000, "target.epochs": 2_000}
    large = merge(DOCUMENT, {**thousand, "judge.epochs": 1_000, "pretraining.kind": "none"})
    big = estimate(load_trial(large))
    assert big["pretrained"] == 0
    for stage, seconds in small.items():
        assert big[stage] == pytest.approx(1000 * seconds, rel=0.9)  # machines vary, a factor 1000 does not
