"""Trials over different data are no front: refused by all that conclude something of a study."""

import pytest
from click.testing import CliRunner
from records import as_study

from sweeper.cli.app import main
from sweeper.engine.confirm import planned
from sweeper.results.comparing.compare import compare
from sweeper.results.one_data import check_one_data, mixed_data
from sweeper.results.pick import pick
from sweeper.results.records import StoredStudy, study_records
from sweeper.search.optuna_study import OptunaStudy
from trainables.errors import ConfigError

A, B = {"private": "a" * 20, "public": "c" * 20}, {"private": "b" * 20, "public": "c" * 20}


def study(*data, params=None, **more):
    trials = [
        {
            "number": number,
            "values": {"test_accuracy": 0.5 + 0.1 * number, "attack_accuracy": 0.1 * number},
            "data": keys,
            "feasible": True,
            "on_front": True,
            "params": params[number] if params else {},
        }
        for number, keys in enumerate(data)
    ]
    return as_study({"study": "s", "trials": trials, **more})


def test_trials_of_one_population_are_one_front():
    for data in ((A, A, A), (A, None, A), (None, None), (A, {"private": A["private"]})):
        assert mixed_data(study(*data)) == ""


@pytest.mark.parametrize("role", ["private", "public", "pretraining"])
def test_the_trials_of_each_data_set_are_named(role):
    first, second = A | {role: "1" * 20}, A | {role: "2" * 20}
    name = {"private": "private data", "public": "public data", "pretraining": "pre-training data"}[role]
    text = f"{name} 11111111 in trials 0, 2 and 22222222 in trial 1"
    assert mixed_data(study(first, second, first)) == text
    with pytest.raises(
        ConfigError, match=f"trials of study 's' are of different data, .*{text}; run it again"
    ):
        check_one_data(study(first, second, first))


def test_a_searched_data_set_may_differ_where_its_value_does():
    params = [{"private.root": "x"}, {"private.root": "y"}, {"private.root": "x"}]
    assert mixed_data(study(A, B, A, params=params)) == ""
    assert mixed_data(study(A, B, B, params=params)) == (
        "private data aaaaaaaa in trial 0 and bbbbbbbb in trial 2"
    )
    assert mixed_data(study(A, B, params=[{"image_size": 32}, {"image_size": 64}])) == ""
    assert mixed_data(study(A, B, params=[{"target.epochs": 1}, {"target.epochs": 2}]))


def test_every_seed_counts():
    for seeds in (
        {"replicates": [{"replicate": 0, "data": A}, {"replicate": 1, "data": B}]},
        {"confirmed": {"seeds": 1, "values": {}, "replicates": [{"replicate": 1, "data": B}]}},
    ):
        record = study(A)
        changed = as_study({"study": "s", "trials": [record.trials[0].to_json() | seeds]})
        assert mixed_data(changed) == "private data aaaaaaaa in trial 0 and bbbbbbbb in trial 0"


@pytest.mark.parametrize("images", ["i" * 20, None])  # parts that a data set gives, or a split of its own
def test_images_that_a_confirmation_dealt_anew_are_the_same_data(images):
    """The parts of a data set have a key of their own beside that of its images."""
    searched = A | ({"images": images} if images else {})
    dealt = {"private": "d" * 20, "public": A["public"], "images": images or A["private"]}
    seed = {"replicate": 0, "data": dealt, "changes": {"split_seed": 1}}

    def confirmed(seed):
        trial = study(searched).trials[0].to_json()
        return as_study(
            {
                "study": "s",
                "trials": [trial | {"confirmed": {"seeds": 1, "values": {}, "replicates": [seed]}}],
            }
        )

    assert mixed_data(confirmed(seed)) == ""
    assert mixed_data(confirmed(seed | {"data": dealt | {"images": "x" * 20}}))  # other images
    if images:
        assert mixed_data(confirmed({"replicate": 0, "data": dealt}))  # nothing says why


def test_an_older_key_of_the_images_alone_is_the_same():
    older, newer = {"private": "plain", "public": "c"}, {"private": "parts", "public": "c", "images": "plain"}
    assert mixed_data(study(older, newer, older)) == ""
    assert mixed_data(study({"private": "other", "public": "c"}, newer))


def test_whoever_concludes_something_refuses():
    mixed = study(A, B)
    with pytest.raises(ConfigError, match="different data"):
        pick(mixed, min_accuracy=0.1)
    with pytest.raises(ConfigError, match="different data"):
        compare([study(A, A), as_study({**mixed.to_json(), "study": "t"})], force=True)


def test_so_do_the_commands(cheap, home, result):
    template = cheap()
    source = OptunaStudy(template, home.storage, home.study("cheap") / "history")
    for data in (A, B):
        asked = source.ask()
        assert source.tell(asked.number, result(0.5) | {"params": asked.assignment, "data": data}) == ""
    records = study_records(home, "cheap")
    with pytest.raises(ConfigError, match="different data"):
        planned(template, records, seeds=1)
    with pytest.raises(ConfigError, match="different data"):
        StoredStudy("cheap", home).front()
    commands = (
        ["front", "cheap"],
        ["front", "cheap", "-f", "json"],
        ["compare", "cheap", "--force"],
        ["pick", "cheap", "--min-accuracy", "0.1"],
        ["export", "cheap", "--trial", "0", "-o", str(home.root / "out")],
    )
    for words in commands:
        run = CliRunner().invoke(main, [*words, "--home", str(home.root)])
        assert run.exit_code == 2, words
        assert "aaaaaaaa in trial 0 and bbbbbbbb in trial 1" in " ".join(run.stderr.split())
