import dataclasses
from typing import Any

import pytest
import torch

from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.judges.base import Judge, JudgeModel
from trainables.stages.data import load_data
from trainables.stages.judge import judge_parts, make_judge
from trainables.storage.store import Store

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
CONFIG = load_trial(
    {
        "image_size": 32,
        "private": FACES,
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stranger(Judge):
    """A judge that tells so many people apart."""

    kind = "stranger"
    people: int

    def fit(self, split, *, run) -> dict[str, Any]:
        return {"train_features": torch.zeros(len(split.train), 2)}

    def restore(self, saved, split, device) -> JudgeModel:
        def told(images):
            return torch.zeros(len(images), self.people)

        return JudgeModel(logits=told, features=told, test_accuracy=0.5)


@pytest.mark.parametrize("people", [3, 5])
def test_a_judge_of_other_people_is_one_error_and_leaves_nothing(people, tmp_path):
    config = dataclasses.replace(CONFIG, other_judges=(Stranger(people=people),))
    with pytest.raises(
        ConfigError, match=f"the 4 people of the private images, got a model that tells {people}"
    ):
        make_judge(config, config.other_judges[0], store=Store(tmp_path, None))
    assert not list(tmp_path.glob("judge/*/result.json"))


def test_a_judge_of_the_same_people_is_taken(tmp_path):
    assert make_judge(CONFIG, Stranger(people=4), store=Store(tmp_path, None)).made_now


def test_another_seed_is_another_judge_and_the_usual_one_keeps_its_key():
    other = dataclasses.replace(CONFIG.judge, seed=1)
    assert judge_parts(CONFIG) == judge_parts(CONFIG, CONFIG.judge)
    assert "seed" not in judge_parts(CONFIG)["judge"] and judge_parts(CONFIG, other)["judge"]["seed"] == 1


def test_the_seed_that_dealt_the_split_is_in_the_key_of_a_judge_with_a_seed_of_its_own(tmp_path):
    first, second = (dataclasses.replace(CONFIG, seed=seed, judge_seed=7) for seed in (0, 1))
    assert not torch.equal(load_data(first).split.test.pixels, load_data(second).split.test.pixels)
    store = Store(tmp_path, None)
    made = [make_judge(config, store=store) for config in (first, second)]
    assert made[0].key != made[1].key and made[1].made_now
    plain = dataclasses.replace(CONFIG, seed=7)
    for fresh in (first, second):
        assert judge_parts(fresh) != judge_parts(plain)
    own = dataclasses.replace(first, judge_seed=0)
    assert judge_parts(own) == judge_parts(dataclasses.replace(CONFIG, seed=0))
    split = [dataclasses.replace(config, split_seed=3) for config in (first, second)]
    assert judge_parts(split[0]) == judge_parts(split[1])  # one judge of one split


def test_only_a_judge_of_images_that_shrink_is_fitted_anew():
    """It was not smoothed before; nothing else of a judge is other than it was."""
    same, small = (dataclasses.replace(CONFIG.judge, input_size=CONFIG.image_size // k) for k in (1, 2))
    assert all("version" not in judge_parts(CONFIG, judge)["judge"] for judge in (CONFIG.judge, same))
    assert judge_parts(CONFIG, small)["judge"]["version"] == 2
