"""Study files read: what is filled in, what `-S` changes, and every mistake with its place."""

import itertools
import json
import re

import pytest
import yaml
from small_trial import TRIAL

from sweeper.study.loading import described_study, load_study, parse_study, stored_study
from trainables.errors import ConfigError, MissingError


def test_a_study_gets_its_name_its_defaults_and_its_freeze_points(write):
    study = load_study(write())
    assert study.name == "mine"
    assert study.budget == 16
    assert study.objectives == {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    assert study.trial["target"]["freeze_point"] == "none"  # every default is written out
    assert study.domains["target.freeze_point"].values[0] == "none"
    json.dumps(study.definition())


def test_overrides_are_values_of_the_file(write):
    path = write()
    items = ["trial.attack.iterations=7", "search.seed=3", "trial.target.learning_rate=1e-4"]
    study = load_study(path, overrides=items, trials=5)
    assert study.trial["attack"]["iterations"] == 7
    assert (study.search.seed, study.budget) == (3, 5)
    assert study.trial["target"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serach": {}}, r"unknown key 'serach'; did you mean 'search'\?"),
        ({"search": {"sampler": "tep"}}, "search.sampler must be 'tpe', 'nsga2', .* or 'grid'; got 'tep'"),
        ({"search": {"replicates": 0}}, "search.replicates .*greater than or equal to 1; got 0"),
        ({"search": {"trials": 0}}, "search.trials .*greater than or equal to 1; got 0"),
        ({"search": {"trials": 10**30}}, "search.trials must be less than or equal to 100000; got 1000"),
        ({"search": {"replicates": 10**30}}, "search.replicates must be less than or equal to 1024; got 1"),
        ({"search": {"noise_replicates": 1025}}, "noise_replicates must be less than or equal to 1024"),
        ({"search": {"seed": -1}}, "search.seed must be greater than or equal to 0; got -1"),
        ({"search": {"seed": 10**30}}, "search.seed must be less than or equal to 2147483647; got 1000"),
        ({"search": []}, r"search must be a mapping; got \[\] \(.*: search\)"),
        ({"resources": 3}, r"resources must be a mapping; got 3 \(.*: resources\)"),
        ({"trial": 3}, r"trial must be a mapping; got 3 \(.*: trial\)"),
        ({"search": {"anchor": True}}, r"unknown key 'anchor'; did you mean 'anchors'\?"),
        ({"resources": {"concurrent": "many"}}, "resources.concurrent"),
        ({"space": []}, "space must not be empty"),
        ({"space": 3}, r"space must be a name, a list or a mapping of paths to domains; got 3 \(.*: space\)"),
        (
            {"space": ["freeze_depth", 3]},
            r"^space\[1\] must be a name or a mapping of a path to its domain; got 3 \(.*: space\[1\]\)$",
        ),
        ({"space": ["freeze_dept"]}, r"did you mean 'freeze_depth'\?"),
        ({"space": [{"target.learnin_rate": {"float": [0.1, 0.2]}}]}, r"did you mean 'learning_rate'\?"),
        ({"space": [{"target.epochs": {"choice": [0, 1]}}]}, "epochs"),
        ({"space": [{"target.architecture": {"choice": ["small_cn"]}}]}, r"did you mean 'small_cnn'\?"),
        (
            {"space": [{"target.freeze_point": {"choice": ["none", "last"]}}]},
            "freeze_point of small_cnn must be one of none, ",
        ),
        (
            {"space": [{"target.trained": {"choice": [["conv1"], ["convv2"]]}}]},
            r"got 'convv2'; did you mean 'conv2'\?",
        ),
        (
            {"space": ["freeze_depth", {"target.trained": {"choice": [["conv1"], ["conv2"]]}}]},
            "freeze_point must be 'none' beside trained",
        ),
        ({"search": {"sampler": "grid"}}, "grid.* needs a finite space"),
        ({"trial": TRIAL | {"defence": {}}}, r"unknown key 'defence'; did you mean 'defense'\?"),
        ({"trial": None}, "'trial' is missing"),
        ({"name": "a/b"}, "name must be letters"),
        ({"name": "my.yaml"}, "name must not end in .yaml, which names a file; got 'my.yaml'"),
        ({"name": "my.yml"}, "name must not end in .yml"),
        ({"name": "x" * 101}, r"name must have at most 100 characters, .*; got 101 \(.*: name\)"),
        ({"name": "a" + "張" * 34}, "at most 100 characters.*got 103"),  # a folder's name is bytes
        ({"objectives": {"test_accuracy": "up"}}, "objectives.test_accuracy must be"),
        ({"objectives": {}}, "objectives must name one to 3 results.*got 0"),
        (
            {"objectives": {"test_acuracy": "maximize"}},
            r"one of test_accuracy, .*; got 'test_acuracy'; did you mean 'test_accuracy'\?",
        ),
        (
            {
                "objectives": {
                    "test_accuracy": "maximize",
                    "attack_accuracy": "minimize",
                    "knn_distance": "maximize",
                    "train_seconds": "minimize",
                }
            },
            "one to 3 results.*got 4",
        ),
        ({"search": {"screening_share": 1}}, "screening_share .*less than 1; got 1"),
        ({"search": {"screening": True, "replicates": 2}}, "screening looks at one seed.*asks for 2"),
        (
            {"search": {"screening": True}, "objectives": {"test_accuracy": "maximize"}},
            "screening needs the objective attack_accuracy",
        ),
        (
            {
                "search": {"screening": True},
                "objectives": {"attack_accuracy": "minimize", "knn_distance": "maximize"},
            },
            "screening cannot bound the objective knn_distance",
        ),
        (
            {
                "search": {"screening": True},
                "trial": TRIAL | {"attack": [{"kind": "gmi"}, {"kind": "gmi"}], "suite": "mean"},
            },
            "screening expects suite 'worst'",
        ),
        ({"constraints": ["test_accuracy > 0.8"]}, r"a measure, >= or <=, and a number.*constraints\[0\]"),
        (
            {"constraints": "test_accuracy >= 0.8"},
            r"constraints must be a list in brackets, as \[a, b\]; got",
        ),
        (
            {"objectives": ["test_accuracy"]},
            r"mapping of names to directions, as {test_accuracy: maximize}; got",
        ),
        (
            {"objectives": "test_accuracy"},
            r"mapping of names to directions, as {test_accuracy: maximize}; got",
        ),
        ({"constraints": [1]}, r"^constraints\[0\] must be a valid string; got 1 \(.*: constraints\[0\]\)$"),
        (
            {"constraints": ["test_accuracy >= 0.9", "attack_accuracy <= 0.5", "test_accuracy<=0.1"]},
            r"'test_accuracy >= 0.9' and 'test_accuracy <= 0.1' \(mine: constraints\[0\] and .*\[2\]\)",
        ),
        ({"controls": {"cieling": False}}, r"unknown key 'cieling'; did you mean 'ceiling'\?"),
        ({"controls": {"null_pictures": -1}}, "null_pictures must be at least 0; got -1"),
        ({"controls": {"null_pictures": "many"}}, "controls.null_pictures"),
        ({"controls": {"null_pictures": 2.5}}, "null_pictures must be a valid integer.*; got 2.5"),
        ({"controls": {"null_pictures": None}}, "null_pictures must be a valid integer; got None"),
        ({"controls": {"stopped": [1]}}, "stopped must be a valid integer; got .1."),
        ({"controls": {"smoothing": None}}, "smoothing must be a valid number; got None"),
        ({"controls": {"attack": 5}}, "attack must be a valid string; got 5"),
        ({"controls": {"ceiling_architecture": 5}}, "ceiling_architecture must be a valid string; got 5"),
        ({"controls": {"bogus": 1}, "objectives": {"test_accuracy": "maximize"}}, "unknown key 'bogus'"),
        ({"controls": {"attack": "gmy"}}, r"got 'gmy'; did you mean 'gmi'\?.*`controls: false`"),
        ({"controls": {"sampler": 3}}, "sampler must be a valid boolean.*; got 3"),
        ({"controls": "perhaps"}, r"controls must be true, false or a mapping of controls; .*: controls\)"),
    ],
)
def test_each_mistake_is_one_clear_error(write, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_study(write(**changes))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("x", "path.to.key=value"),
        ("a=[", "must be YAML"),
        ("extends=quickstart", r"^extends cannot be overridden \(-S\); write it in the study file$"),
        (" extends =quickstart", "extends cannot be overridden"),
        (
            "resources.attack_shards=10" + "0" * 30,
            "attack_shards must be less than or equal to 1024, or 'aut",
        ),
    ],
)
def test_overrides_that_make_no_sense(write, item, message):
    with pytest.raises(ConfigError, match=message):
        load_study(write(), overrides=[item])


@pytest.mark.parametrize("search", [[3], "fast"])
def test_a_number_of_trials_beside_a_search_that_is_none(write, search):
    with pytest.raises(ConfigError, match="search must be a mapping"):
        load_study(write(search=search), trials=3)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (
            {"attack_shards": 0},
            "resources.attack_shards must be greater than or equal to 1, or 'auto'; got 0",
        ),
        (
            {"attack_shards": 10**30},
            "resources.attack_shards must be less than or equal to 1024, or 'auto'; got 1000",
        ),
        (
            {"concurrent": 1025},
            "resources.concurrent must be less than or equal to 1024, or 'auto'; got 1025",
        ),
        ({"attack_shards": 2.5}, "fractional part, or 'auto'; got 2.5 (mine: resources.attack_shards)"),
        ({"attack_shards": "all"}, "integer, or 'auto'; got 'all'"),
        ({"cpus_per_shard": 0}, "resources.cpus_per_shard must be greater than 0, or 'auto'; got 0"),
        ({"gpus_per_shard": -1}, "resources.gpus_per_shard must be greater than or equal to 0, or 'auto'"),
        ({"gpus_per_shard": 1.5}, "must be a part of one GPU, up to 1, or whole GPUs; got 1.5"),
        ({"gpus_per_trial": 2.5}, "must be a part of one GPU, up to 1, or whole GPUs; got 2.5"),
        ({"attack_shard": 2}, "did you mean 'attack_shards'?"),
    ],
)
def test_resources_that_make_no_sense(resources, said):
    document = {"name": "a", "trial": {}, "space": [{"x": {"float": [0, 1]}}], "resources": resources}
    with pytest.raises(ConfigError) as error:
        parse_study(document, "mine")
    assert said in str(error.value) and "constrained" not in str(error.value)


BIDO = {"kind": "bido", "lambda_x": 0.3}


@pytest.mark.parametrize(
    ("items", "path", "expected"),
    [
        (["trial.defense.kind=bido", "trial.defense.lambda_x=0.3"], "defense", BIDO),
        (["trial.defense={kind: bido, lambda_y: 0.7}", "trial.defense.lambda_x=0.3"], "defense", BIDO),
        (["trial.defense={kind: mid, beta: 2}", "trial.defense.kind=bido"], "defense", {"kind": "bido"}),
        (
            [
                "trial.pretraining.kind=dataset",
                "trial.pretraining.data={kind: synthetic_faces, identities: 3, images_per_identity: 4}",
                "trial.pretraining.data.population=far",
            ],
            "pretraining",
            {"kind": "dataset"},
        ),
    ],
)
def test_overrides_given_together_all_count_in_any_order(write, items, path, expected):
    """None is lost to a kind, or a whole mapping, that comes after it on the command line."""
    path_of_file = write()
    found = [
        load_study(path_of_file, overrides=order, check=False).trial[path]
        for order in itertools.permutations(items)
    ]
    assert all(trial == found[0] for trial in found)
    assert found[0].items() >= expected.items()
    if path == "pretraining":
        assert (found[0]["data"]["population"], found[0]["data"]["identities"]) == ("far", 3)


def test_a_value_may_be_written_over_several_lines(write):
    item = "trial.defense=\n  kind: bido\n  lambda_x: 0.3"
    assert load_study(write(), overrides=[item], check=False).trial["defense"].items() >= BIDO.items()


def test_overrides_beside_a_whole_part_count_in_any_order_and_the_last_of_one_path(write):
    path = write()
    for order in itertools.permutations(["search={seed: 3, sampler: random}", "search.trials=5"]):
        search = load_study(path, overrides=order).search
        assert (search.seed, search.sampler, search.trials) == (3, "random", 5)
    assert load_study(path, overrides=["search.seed=1", " search.seed =2"]).search.seed == 2
    assert load_study(path, overrides=["search.trials=9"], trials=4).budget == 4


@pytest.mark.parametrize("item", ["name", "=3", " =3", ""])
def test_an_override_needs_a_path_and_a_value(write, item):
    with pytest.raises(ConfigError, match=rf"^an override must be path.to.key=value; got '{item}' \(-S\)$"):
        load_study(write(), overrides=[item])


def test_a_value_of_an_override_that_is_no_yaml_says_why(write):
    with pytest.raises(ConfigError) as error:
        load_study(write(), overrides=["search={seed: 1, seed: 2}"])
    assert str(error.value) == (
        "the value of an override must be YAML; got '{seed: 1, seed: 2}' (-S search): expected every key "
        "once, got 'seed' on line 1 and on line 1"
    )


def test_the_name_is_that_of_the_file_unless_it_says_another(write):
    assert load_study(write(name="other")).name == "other"
    assert load_study(write(), overrides=["name=third"]).name == "third"


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("a", True),
        ("9.a_b-c", True),
        ("é" * 50, False),  # the first letter is one of ASCII
        ("a" + "é" * 49, True),
        ("a" * 100, True),
        ("-a", False),
        (".a", False),
        ("a b", False),
        ("a\n", False),
    ],
)
def test_a_name_is_one_of_a_folder(name, taken):
    document = {"name": name, "trial": {}, "space": [{"x": {"float": [0, 1]}}]}
    if taken:
        assert parse_study(document, "s").name == name
        return
    with pytest.raises(ConfigError, match=r"name must be letters, digits, .* \(s: name\)"):
        parse_study(document, "s")


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("search", {"trials": True}, "search.trials must be a number; got True (s: search.trials)"),
        ("search", {"trials": "1_0"}, "search.trials must be a number; got '1_0' (s: search.trials)"),
        (
            "resources",
            {"concurrent": True},
            "resources.concurrent must be a number, or 'auto'; got True (s: resources.concurrent)",
        ),
    ],
)
def test_yes_and_no_are_no_numbers(part, value, said):
    document = {"name": "a", "trial": {}, "space": [{"x": {"float": [0, 1]}}]}
    with pytest.raises(ConfigError) as error:
        parse_study({**document, part: value}, "s")
    assert str(error.value) == said
    assert parse_study({**document, "search": {"trials": "5"}}, "s").search.trials == 5


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        (
            {"tracking": {"mlflw": True}},
            "; did you mean 'mlflow'? (s: tracking.mlflw); known keys: mlflow, im",
        ),
        ({"resources": {"concurent": 1}}, "; did you mean 'concurrent'? (s: resources.concurent); known key"),
        ({"extend": "quickstart"}, "; did you mean 'extends'? (s: extend); known keys: name, trial, space,"),
    ],
)
def test_an_unknown_key_is_held_against_those_of_its_own_part(changes, known):
    document = {"name": "a", "trial": {}, "space": [{"x": {"float": [0, 1]}}]}
    with pytest.raises(ConfigError) as error:
        parse_study({**document, **changes}, "s")
    assert known in str(error.value)


@pytest.mark.parametrize("key", ["trial[image_size]", "bool", "constrained-int", "[", "dict[str,any]", ""])
@pytest.mark.parametrize("part", [None, "search", "resources", "tracking"])
def test_a_key_that_looks_like_a_part_of_the_reader_is_an_unknown_key_too(key, part):
    document = {"name": "a", "trial": {}, "space": [{"x": {"float": [0, 1]}}]}
    with pytest.raises(ConfigError) as error:
        parse_study({**document, **({key: 64} if part is None else {part: {key: 64}})}, "s")
    known = {"search": "sampler", "resources": "cpus_per_trial", "tracking": "mlflow"}.get(part, "name")
    path = key if part is None else f"{part}.{key}"
    assert str(error.value).startswith(f"unknown key '{key}'")
    assert f" (s: {path}); known keys: {known}, " in str(error.value)
    with pytest.raises(ConfigError, match=rf"^objectives.{re.escape(key)} must be 'maximize' or 'minimize'"):
        parse_study({**document, "objectives": {key: "up"}}, "s")


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ("trial[image_size]=64", "trial[image_size]"),
        ("bool=3", "bool"),
        ("attack[0].iterations=3", "attack[0]"),
        ("search.bool=1", "bool"),
        ("trial.target[epochs]=3", "target[epochs]"),
        ("trial.target.bool=3", "bool"),
    ],
)
def test_an_override_of_such_a_key_is_one_clear_error_too(write, item, key):
    with pytest.raises(ConfigError, match=rf"^unknown key '{re.escape(key)}'"):
        load_study(write(), overrides=[item])


def test_a_study_whose_files_are_not_here_can_be_described_and_not_loaded(write, tmp_path):
    missing = f"trial.prior={{kind: stylegan2, path: {tmp_path / 'none.pkl'}}}"
    with pytest.raises(MissingError, match=r"none\.pkl"):
        load_study(write(), overrides=[missing])
    study = described_study(write(), overrides=[missing], trials=3)
    assert study.trial["prior"]["path"] == str(tmp_path / "none.pkl") and study.budget == 3
    assert study.trial["target"]["freeze_point"] == "none"  # every default is written out
    with pytest.raises(ConfigError, match=r"epochs must be at least 1; got 0"):
        described_study(write(), overrides=[missing, "trial.target.epochs=0"])


def test_a_space_is_tried_unless_nobody_wants_to(write):
    bad = {"space": [{"target.epochs": {"choice": [0]}}]}
    with pytest.raises(ConfigError, match=r"epochs .*target.epochs=0"):
        load_study(write(**bad))
    assert load_study(write(**bad), check=False).domains["target.epochs"].values == (0,)


def test_the_study_of_a_home_is_read_as_it_was_started(tmp_path):
    document = {"name": "a", "trial": {"seed": 3}, "space": [{"x": {"float": [0, 1]}}]}
    with pytest.raises(ConfigError) as error:
        stored_study(tmp_path)
    path = tmp_path / "study.yaml"
    assert str(error.value) == (f"expected the study file of a sweep started here, found nothing at {path}")
    path.write_text(yaml.safe_dump(document))
    assert stored_study(tmp_path) == parse_study(document, "a")  # its template as it is written
    path.write_text(yaml.safe_dump({**document, "search": {"trials": 0}}))
    with pytest.raises(ConfigError, match=rf"search.trials .*got 0 \({path}: search.trials\)"):
        stored_study(tmp_path)
