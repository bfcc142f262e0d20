import pytest

from trainables import cost
from trainables.config import load_trial
from trainables.cost import estimate
from trainables.stages.target import new_target
from trainables.storage.documents import merge

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
        assert 30 < big[stage] / seconds < 30_000  # a busy machine stalls; it does not hide a factor 1000


@pytest.mark.parametrize(("surrogates", "networks"), [(["small_cnn", "small_cnn"], 2), ([], 1)])
def test_surrogates_of_a_prior_are_priced_each(monkeypatch, surrogates, networks):
    """If each run of 16 images takes 16 seconds, an identity takes as many as it has forward passes."""
    monkeypatch.setattr(cost, "_seconds", lambda work, device: (work(), 16.0)[1])
    config = load_trial(
        {
            **DOCUMENT,
            "attack": {"kind": "lokt", "iterations": 10, "restarts": 2},
            "prior": {"kind": "lokt", "width": 2, "latent_size": 4, "surrogates": surrogates},
        }
    )
    (plan,) = config.attack
    target = new_target(config, 4).eval()
    views = 2
    generated = 10 * 2 + 2
    assert cost._attack(config, plan, target, "cpu") == generated + networks * views * 10 * 2
