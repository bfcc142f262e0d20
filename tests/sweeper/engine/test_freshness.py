from types import SimpleNamespace

import pytest

from sweeper.engine.freshness import changes, check_fresh, parse_fresh, usual
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.priors.stylegan2 import StyleGAN2Prior

FACES = {"kind": "synthetic_faces", "identities": 3, "images_per_identity": 6}
TRIAL = {
    "image_size": 32,
    "private": {**FACES, "population": "private"},
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_cnn"},
}


@pytest.mark.parametrize(
    ("texts", "fresh"),
    [
        ([], None),
        (["judge,seeds"], ("seeds", "judge")),
        (["prior", "split", "prior"], ("split", "prior")),
        (["seeds, judge"], ("seeds", "judge")),
    ],
)
def test_parts_of_the_command_line(texts, fresh):
    assert parse_fresh(texts) == fresh


def test_another_word_is_named():
    with pytest.raises(ConfigError, match=r"one of seeds, split, prior, judge; got 'seed'; did you mean"):
        parse_fresh(["seed"])


def test_seeds_and_a_trained_judge_are_usual(cheap):
    assert usual(cheap(trial={"judge": {"kind": "classifier"}})) == ("seeds", "judge")
    assert usual(cheap(trial={"judge": [{"kind": "embedder"}, {"kind": "classifier"}]})) == (
        "seeds",
        "judge",
    )
    assert usual(cheap(trial={"judge": {"kind": "embedder", "path": "w"}})) == ("seeds",)
    assert usual(cheap()) == ("seeds",)


def test_one_seed_serves_all_trials(cheap):
    study = cheap(trial={"seed": 4})
    assert changes(study, ("seeds",)) == {}
    assert changes(study, ("seeds", "split", "prior", "judge")) == {
        "split_seed": 5,
        "prior_seed": 5,
        "judge_seed": 5,
    }
    assert changes(cheap(trial={"seed": 4, "judge_seed": 9}), ("judge",)) == {"judge_seed": 10}


@pytest.mark.parametrize(
    ("trial", "space", "seed"),
    [
        ({"seed": 4}, {"seed": {"choice": [7, 3]}}, 8),
        ({"seed": 4}, {"seed": {"int": [0, 9]}}, 10),
        ({"seed": 4}, {"judge_seed": {"choice": [0, 1]}}, 5),
        ({"seed": 4}, {"judge_seed": {"choice": [5, 2]}}, 6),
        ({"seed": 4, "judge_seed": 1}, {"seed": {"choice": [0, 8]}}, 2),  # no trial's judge takes the other
        ({"judge_seed": 1}, {"seed": {"int": [0, 8]}, "judge_seed": {"choice": [2, None]}}, 9),
    ],
)
def test_the_seed_is_fresh_for_every_trial_where_the_space_varies_one(cheap, trial, space, seed):
    assert changes(cheap(trial=trial, space=space), ("judge",)) == {"judge_seed": seed}


def test_all_of_it_can_be_fresh_where_all_of_it_is_made_here():
    everything = {"split_seed": 1, "prior_seed": 1, "judge_seed": 1}
    check_fresh(load_trial({**TRIAL, **everything}), ("seeds", "split", "prior", "judge"))


def test_what_is_not_made_here_cannot_be_fresh(tmp_path):
    embedder = load_trial({**TRIAL, "judge": {"kind": "embedder", "path": str(tmp_path / "w")}})
    with pytest.raises(ConfigError, match=r"judge 'embedder' is not trained.*--fresh judge"):
        check_fresh(embedder, ("seeds", "judge"))
    check_fresh(embedder, ("seeds",))
    published = SimpleNamespace(attack=[SimpleNamespace(prior=StyleGAN2Prior(path="p"))])  # no such file here
    with pytest.raises(ConfigError, match=r"prior 'stylegan2' is not trained here.*--fresh prior"):
        check_fresh(published, ("prior",))


def test_a_split_that_the_data_give_cannot_be_fresh(tmp_path):
    from picture_folders import write_pictures

    files = [
        f"{part}/{person}/{number}.png"
        for part, count in (("train", 3), ("val", 1), ("test", 1))
        for person in ("ada", "bob")
        for number in range(count)
    ]
    root = write_pictures(tmp_path, *files)
    given = {**TRIAL, "private": {"kind": "image_folder", "root": str(root)}, "split_seed": 1}
    with pytest.raises(ConfigError, match=r"no other split \(--fresh split\)"):
        check_fresh(load_trial(given), ("split",))
