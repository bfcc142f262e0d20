import json

import pytest
import yaml

from sweeper.engine.machines.calibration import variants
from sweeper.study.checks import check_study, control_options, known_warnings
from sweeper.study.loading import load_study, parse_study
from trainables.errors import ConfigError

TRIAL = {
    "image_size": 32,
    "private": {
        "kind": "synthetic_faces",
        "population": "private",
        "identities": 4,
        "images_per_identity": 6,
    },
    "public": {"kind": "synthetic_faces", "population": "public", "identities": 4, "images_per_identity": 6},
    "pretraining": {"kind": "none"},
    "target": {
        "architecture": "small_cnn",
        "epochs": 1,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "augmentation": "none",
        "normalization": "none",
    },
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 8, "epochs": 1},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_resnet"},
}


@pytest.fixture
def write(tmp_path):
    def make(**changes):
        document = {"trial": TRIAL, "space": ["freeze_depth", "defenses"]} | changes
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}))
        return str(path)

    return make


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


def test_studies_that_do_not_exist_name_the_nearest(write, tmp_path, monkeypatch):
    write()
    with pytest.raises(ConfigError, match=r"did you mean 'mine.yaml'\?"):
        load_study(str(tmp_path / "mime.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"expected a study file, got the folder .*folder\.yaml$"):
        load_study(str(tmp_path / "folder.yaml"))
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "quickstart.yaml").write_text("{}")
    monkeypatch.setattr("sweeper.study.presets.PRESETS", presets)
    with pytest.raises(
        ConfigError, match=r"presets quickstart; got 'quickstat'; did you mean 'quickstart'\?"
    ):
        load_study("quickstat")


def test_a_finite_space_bounds_the_budget(cheap):
    space = [{"a": {"choice": [1, 2, 3]}}]
    assert cheap(space=space, search={"trials": 50}).budget == 3
    assert cheap(space=space, search={"trials": 2}).budget == 2
    assert cheap(space=space, search={"sampler": "grid"}).budget == 3
    assert cheap(search={}).budget == 16


def test_every_branch_of_a_space_is_checked():
    space = [{"defense.kind": {"choice": ["none", "nothing"]}}]
    study = parse_study({"name": "s", "trial": TRIAL, "space": space}, "s")
    with pytest.raises(ConfigError, match=r"kind must be one of .*'nothing'.*defense.kind=nothing"):
        check_study(study)


def test_a_defense_of_the_space_that_the_target_does_not_take_is_left_out_while_others_are_left():
    """small_cnn has no skip connections to take away; small_resnet has."""

    def study(architecture, *space):
        target = {**TRIAL["target"], "architecture": architecture}
        return parse_study({"name": "s", "trial": {**TRIAL, "target": target}, "space": list(space)}, "s")

    every = study("small_cnn", "freeze_depth", "all_defenses")
    check_study(every)
    known_warnings(every)
    kinds = {document["defense"]["kind"] for document in variants(every)}
    assert not kinds & {"rolss", "ssf", "tts"} and {"none", "midre", "loft"} <= kinds
    everywhere = {d["defense"]["kind"] for d in variants(study("small_resnet", "all_defenses"))}
    assert kinds | {"rolss", "ssf", "tts"} == everywhere
    with pytest.raises(ConfigError, match=r"skip connections.*defense.kind=rolss"):
        check_study(study("small_cnn", {"defense.kind": {"choice": ["rolss"]}}))
    check_study(study("small_resnet", {"defense.kind": {"choice": ["rolss"]}}))


def test_a_set_of_trained_stages_without_effect_on_a_defense_is_not_offered():
    space = [{"target.trained": {"choice": [None, ["conv1"], []]}}, {"defense.kind": {"choice": ["bido"]}}]
    study = parse_study({"name": "s", "trial": TRIAL, "space": space}, "s")
    check_study(study)
    tried = {"defense.kind": "bido"}
    for trained in (None, ["conv1"], []):
        assert study.offers({**tried, "target.trained": trained}) == (trained != [])


def test_every_attack_that_a_space_may_choose_meets_every_prior(monkeypatch):
    """Found by looking at all pairs, not by the luck of some draws."""
    monkeypatch.setattr("sweeper.study.checks._CHECKED_DRAWS", 0)
    trial = {**TRIAL, "prior": {"kind": "gmi", "width": 2}, "attack": {"kind": "gmi"}}
    space = [{"attack.kind": {"choice": ["gmi", "rlb"]}}, {"prior.kind": {"choice": ["gmi", "kedmi", "plg"]}}]
    study = parse_study({"name": "s", "trial": trial, "space": space}, "s")
    with pytest.raises(ConfigError, match=r"attack 'rlb' .* got 'plg'.*attack.kind=rlb, prior.kind=plg"):
        check_study(study)
    check_study(parse_study({"name": "s", "trial": trial, "space": space[1:]}, "s"))


def test_a_path_of_a_template_or_of_a_choice_may_begin_with_the_home(tmp_path, monkeypatch):
    """A worker has a directory, and perhaps a home, of its own: it is given the whole path."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = {"kind": "image_folder", "root": "~/people"}
    space = [{"public.root": {"choice": ["~/near", "far"]}}]
    trial = {**TRIAL, "private": folder, "public": {**folder, "root": "~/others"}}
    study = parse_study({"name": "s", "trial": trial, "space": space}, "s")
    for given, path in (("~/near", "home/near"), ("far", "far")):
        document = study.document({"public.root": given})
        assert document["private"]["root"] == str(tmp_path / "home" / "people")
        assert document["public"]["root"] == str(tmp_path / path)
    assert study.document({})["public"]["root"] == str(tmp_path / "home" / "others")


def test_screening_is_on_or_off_as_yaml_says_it(write, tmp_path):
    path = write()
    for word, on in (("on", True), ("off", False)):
        assert load_study(path, overrides=[f"search.screening={word}"]).search.screening is on


def test_constraints_and_objectives_belong_to_the_identity(write):
    plain = load_study(write()).definition()
    assert "constraints" not in plain  # studies from before there were any stay what they were
    assert "replicates" not in plain
    assert load_study(write(search={"replicates": 2})).definition() == plain | {"replicates": 2}
    limited = load_study(write(constraints=["attack_accuracy<=.50", "test_accuracy >= 0.8"])).definition()
    assert limited == plain | {"constraints": ["attack_accuracy <= 0.5", "test_accuracy >= 0.8"]}


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


def test_what_the_configuration_shows_is_known_at_the_start(write):
    (text,) = known_warnings(load_study(write()))
    assert "frozen without pre-training" in text
    pretrained = TRIAL | {
        "pretraining": {"kind": "dataset", "data": TRIAL["private"] | {"population": "far"}}
    }
    assert known_warnings(load_study(write(trial=pretrained))) == []


def test_objectives_turned_round_are_warned_of(write):
    turned = {"test_accuracy": "minimize", "attack_accuracy": "minimize"}
    texts = [text for text in known_warnings(load_study(write(objectives=turned))) if "worst" in text]
    assert len(texts) == 1 and "for a target to release: {test_accuracy: maximize}" in texts[0]


def test_numbers_of_controls_are_read_as_those_of_trials(write):
    study = load_study(write(controls={"null_pictures": 1e3, "smoothing": "0.2", "stopped": "2"}))
    assert control_options(study) == {"null_pictures": 1000, "smoothing": 0.2, "stopped": 2}


@pytest.mark.parametrize(
    "knob", [{"replicate": {"choice": [0, 1]}}, {"seed": {"cases": {"a": {"replicate": 0}, "b": {}}}}]
)
def test_seeds_that_are_averaged_and_varied_too_are_warned_of(write, knob):
    def warned(**changes):
        return "share seeds" in " ".join(known_warnings(load_study(write(**changes))))

    assert warned(space=[knob], search={"replicates": 2})
    assert not warned(space=[knob])
    assert not warned(search={"replicates": 2})


def test_one_accuracy_is_searched_for(cheap):
    both = {"test_accuracy": "maximize", "validation_accuracy": "maximize"}
    with pytest.raises(ConfigError, match="objectives must name one accuracy"):
        cheap(objectives=both)
    assert cheap(objectives=both, search={"accuracy": "test"}).searched == both
    study = cheap(constraints=["test_accuracy >= 0.8"])
    assert study.searched == {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    assert [str(limit) for limit in study.searched_limits] == ["validation_accuracy >= 0.8"]
    with pytest.raises(ConfigError, match=r"search.accuracy must be .*'validation'.*got 'train'"):
        cheap(search={"accuracy": "train"})
