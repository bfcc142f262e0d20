"""Seeds of split, priors and judge: each makes its own stage another; without them no key moves."""

import pytest

from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.stages.data import attacked_identities, load_data
from trainables.stages.judge import judge_parts, make_judge
from trainables.stages.prior import make_prior, prior_parts
from trainables.stages.target import make_target
from trainables.storage.store import Store, content_key
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "identities": 4, "images_per_identity": 6}
TRIAL = {
    "image_size": 32,
    "private": {**FACES, "population": "private"},
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1, "batch_size": 8},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}


def trial(**changes):
    return load_trial({**TRIAL, **changes})


def test_the_seed_of_the_study_serves_where_none_is_given():
    plain, named = trial(seed=3), trial(seed=3, split_seed=3, prior_seed=3, judge_seed=3)
    assert judge_parts(plain) == judge_parts(named)
    assert prior_parts(plain, plain.prior) == prior_parts(named, named.prior)
    assert load_data(plain).private_key == load_data(named).private_key
    # A judge of another seed is no judge of a study of that seed, which deals another split.
    assert content_key(**judge_parts(trial(judge_seed=7))) != content_key(**judge_parts(trial(seed=7)))


def test_each_makes_its_own_stage_another_and_no_other(tmp_path):
    store = Store(tmp_path)

    def stages(config):
        trained = make_target(config, store=store)
        return {
            "target": trained.key,
            "prior": make_prior(config, config.prior, store=store).key,
            "judge": make_judge(config, store=store).key,
        }

    plain = stages(trial())
    for knob, moved in (
        ("judge_seed", {"judge"}),
        ("prior_seed", {"prior"}),
        ("split_seed", {"target", "judge"}),  # both learn from the training images
    ):
        changed = stages(trial(**{knob: 1}))
        assert {name for name in plain if changed[name] != plain[name]} == moved, knob


def test_a_fresh_judge_judges_the_same_reconstructions(tmp_path):
    store = Store(tmp_path)
    first, second = (run_trial(trial(judge_seed=seed), store=store) for seed in (0, 1))
    assert first.artifacts["attack"] == second.artifacts["attack"]
    assert first.artifacts["judge"] != second.artifacts["judge"]
    assert len(list((tmp_path / "target").glob("*/result.json"))) == 1


def test_a_fresh_split_holds_out_other_images():
    plain, fresh = load_data(trial()), load_data(trial(split_seed=1))
    assert plain.split.test.files != fresh.split.test.files
    assert sorted(plain.split.test.labels) == sorted(fresh.split.test.labels)
    assert plain.private_key != fresh.private_key and plain.public_key == fresh.public_key


def test_named_people_are_attacked_alone(tmp_path):
    config = trial(attacked=[3, 1])
    assert attacked_identities(config, load_data(config)).tolist() == [3, 1]
    result = run_trial(config, store=Store(tmp_path))
    assert result.people["attacked"] == 2
    assert len(result.attacks["gmi"].per_identity) == 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([4], r"labels from 0 to 3.*got 4"),
        ([-1], r"labels from 0 to 3.*got -1"),
        ([], r"labels of people, each once; got \[\]"),
        ([1, 1], r"labels of people, each once; got \[1, 1\]"),
        ([True], "must be a number"),
        ("ada", "attacked"),
    ],
)
def test_labels_that_nobody_has_are_refused(labels, message):
    with pytest.raises(ConfigError, match=message):
        load_data(trial(attacked=labels))
