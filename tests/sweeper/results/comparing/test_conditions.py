import json
from dataclasses import replace

import pytest
from records import as_study, as_trial

from sweeper.results.comparing.conditions import check_setups, differences, setup
from trainables.errors import ConfigError


@pytest.fixture
def study(tmp_path):
    """Return a maker of studies whose stages are in a store, as far as their conditions go."""

    def stage(kind, key, **parts):
        place = tmp_path / "store" / kind / key
        place.mkdir(parents=True, exist_ok=True)
        (place / "key.json").write_text(json.dumps(parts))
        return str(place)

    def make(name, *, private="p0", iterations=100, width=16, epochs=20, seed=0, trials=2, versions=None):
        own = {kind: {"version": number} for kind, number in (versions or {}).items()}
        prior = stage(
            "prior",
            f"prior-{width}-{versions}",
            prior={"kind": "gmi", "width": width, **own.get("prior", {})},
            public="q0",
            version=1,
        )
        found = []
        for number in range(trials):
            key = f"{name}-{number}"
            target = stage("target", key, private=private, validation=0.1, test=0.2, seed=seed, defense={})
            knobs = {"kind": "gmi", "iterations": iterations, **own.get("attack", {})}
            attack = stage(
                "attack",
                key,
                attack=knobs,
                prior=prior.split("/")[-1],
                target=key,
                identities=None,
                version=1,
            )
            judge = stage(
                "judge",
                f"{epochs}-{versions}",
                judge={"kind": "classifier", "epochs": epochs, **own.get("judge", {})},
                image_size=32,
                version=1,
            )
            artifacts = {"target": target, "attack": attack, "judge": judge}
            found.append({"number": number, "state": "complete", "params": {}, "artifacts": artifacts})
        return as_study({"study": name, "trials": found})

    return make


def document(name, **changes):
    trial = {
        "private": {"kind": "image_folder", "root": "people"},
        "seed": 0,
        "attack": {"kind": "gmi", "iterations": 100},
        "target": {"epochs": 5},
    }
    return as_study({"study": name, "trials": [{}], "definition": {"trial": trial | changes}})


def test_trials_of_other_targets_are_under_the_same_conditions(study):
    assert differences(study("a"), study("b", trials=3)) == []
    assert check_setups([study("a"), study("b"), study("c")]) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"private": "p1"}, "private: p0 in 'a', p1 in 'b'"),
        ({"iterations": 300}, "attack.iterations: 100 in 'a', 300 in 'b'"),
        ({"width": 24}, "attack.prior.width: 16 in 'a', 24 in 'b'"),
        ({"epochs": 40}, "judge.epochs: 20 in 'a', 40 in 'b'"),
        ({"seed": 1}, "seed: 0 in 'a', 1 in 'b'"),
        ({"versions": {"judge": 2}}, "judge.version: 1 in 'a', 2 in 'b'"),  # of the method, not the stage
        ({"versions": {"attack": 3}}, "attack.version: 1 in 'a', 3 in 'b'"),
        ({"versions": {"prior": 2}}, "attack.prior.version: 1 in 'a', 2 in 'b'"),
    ],
)
def test_what_differs_is_named(study, changes, text):
    pair = [study("a"), study("b", **changes)]
    assert differences(*pair) == [text]
    with pytest.raises(ConfigError, match=r"same data, judge and attacks; .*--force") as error:
        check_setups(pair)
    assert text in str(error.value)
    assert check_setups(pair, force=True) == [f"'a' and 'b' were measured under different conditions: {text}"]


def test_many_differences_are_counted(study):
    pair = [document("a"), document("b", attack={f"k{n}": n for n in range(9)})]
    with pytest.raises(ConfigError, match="and 5 more"):
        check_setups(pair)


def test_a_condition_that_a_study_varies_is_a_set_of_values(study):
    a = study("a")
    a = replace(a, trials=(*a.trials, *study("a2", iterations=300).trials))
    assert differences(a, study("b")) == ["attack.iterations: 100 or 300 in 'a', 100 in 'b'"]


def test_without_the_stages_the_documents_are_compared(study):
    assert differences(document("a"), document("b", target={"epochs": 50})) == []
    assert differences(document("a"), document("b", attack={"kind": "gmi", "iterations": 300})) == [
        "attack.iterations: 100 in 'a', 300 in 'b'"
    ]
    params = {"attack.iterations": 200, "target.epochs": 9}
    varied = replace(document("b"), trials=[as_trial({"params": params})])
    assert differences(document("a"), varied) == ["attack.iterations: 100 in 'a', 200 in 'b'"]
    # One with stages and one without: both by their documents.
    exact = replace(study("c"), definition=document("c").definition)
    assert setup(exact).exact and differences(exact, document("a")) == []


def test_without_the_stages_data_count_by_the_keys_that_trials_noted():
    """Another population behind one name differs, one population under two names does not."""

    def noted(name, data, root="people"):
        record = document(name, private={"kind": "image_folder", "root": root})
        return replace(record, trials=[as_trial({"data": data})])

    a, b = {"private": "p0", "public": "q0"}, {"private": "p1", "public": "q0"}
    assert differences(noted("a", a), noted("b", b)) == ["private: p0 in 'a', p1 in 'b'"]
    assert differences(noted("a", a), noted("b", a, root="/moved/people")) == []
    assert differences(noted("a", a), noted("b", {}, root="others")) == [
        "private.root: people in 'a', others in 'b'"
    ]
    parts = {"private": "with parts", "public": "q0", "images": "p0"}
    assert differences(noted("a", a), noted("b", parts)) == []


def test_what_is_not_known_is_said():
    bare, other = (as_study({"study": name, "trials": [{}]}) for name in "ab")
    assert differences(bare, other) is None
    assert check_setups([bare, other]) == [
        "whether 'a' and 'b' were measured under the same conditions is not known"
    ]


def test_a_study_without_results_is_under_no_condition(study):
    empty = as_study({"study": "b", "trials": [{"state": "failed"}]})
    assert check_setups([study("a"), empty]) == []


def test_several_attacks_are_told_apart_by_name(study):
    a, b = study("a", trials=1), study("b", trials=1)
    for record, second in ((a, study("a3", trials=1)), (b, study("b3", iterations=9, trials=1))):
        artifacts = record.trials[0].artifacts
        artifacts["attack.gmi"] = artifacts["attack"]
        artifacts["attack.kedmi"] = second.trials[0].artifacts["attack"]
    assert differences(a, b) == ["attack.kedmi.iterations: 100 in 'a', 9 in 'b'"]


def test_all_judges_are_conditions_and_the_first_of_a_list_is_the_one_alone(study):
    a, b, c = study("a", trials=1), study("b", trials=1), study("c", trials=1)
    others = {
        epochs: study("other", epochs=epochs, trials=1).trials[0].artifacts["judge"] for epochs in (5, 9)
    }
    b.trials[0].artifacts["judge_2"], c.trials[0].artifacts["judge_2"] = others[5], others[9]
    assert differences(b, c) == ["judge.1.epochs: 5 in 'b', 9 in 'c'"]
    assert differences(a, b) == [
        "judge.1.epochs: nothing in 'a', 5 in 'b'",
        "judge.1.kind: nothing in 'a', classifier in 'b'",
        "judge.1.version: nothing in 'a', 1 in 'b'",
    ]
    with pytest.raises(ConfigError, match=r"judge\.1\.epochs: 5 in 'b', 9 in 'c'"):
        check_setups([b, c])


def test_documents_of_one_judge_and_of_a_list_differ_in_the_others_alone():
    judge, other = {"kind": "classifier", "epochs": 5}, {"kind": "embedder"}
    alone, pair = document("a", judge=judge), document("b", judge=[judge, other])
    assert differences(alone, document("b", judge=[judge])) == []
    assert differences(alone, pair) == ["judge.1.kind: nothing in 'a', embedder in 'b'"]
    varied = replace(pair, trials=[as_trial({"params": {"judge.0.epochs": 7}})])
    assert "judge.epochs: 5 in 'a', 7 in 'b'" in differences(alone, varied)
