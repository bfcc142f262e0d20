from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from trainables.attacks.gmi import GMI
from trainables.attacks.plan import AttackPlan
from trainables.config import absolute_paths, document, load_trial
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses.bido import BiDO
from trainables.errors import ConfigError
from trainables.pretraining.dataset import OnDataset
from trainables.storage.documents import merge

TRIAL = {
    "image_size": 32,
    "private": {
        "kind": "synthetic_faces",
        "population": "private",
        "identities": 4,
        "images_per_identity": 8,
    },
    "public": {
        "kind": "synthetic_faces",
        "population": "public",
        "identities": 8,
        "images_per_identity": 4,
    },
    "pretraining": {
        "kind": "dataset",
        "data": {
            "kind": "synthetic_faces",
            "population": "far",
            "identities": 4,
            "images_per_identity": 4,
        },
        "epochs": 1,
    },
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "bido", "lambda_x": "1e-2"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 2, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 1},
}


def changed(**params):
    return merge(TRIAL, {path.replace("__", "."): value for path, value in params.items()})


JUDGES = [TRIAL["judge"], {**TRIAL["judge"], "seed": 1}, {**TRIAL["judge"], "architecture": "small_cnn"}]


def test_a_list_of_judges_counts_the_first_and_survives_a_round_trip():
    single, several = load_trial(TRIAL), load_trial({**TRIAL, "judge": JUDGES})
    assert several.judge == single.judge and several.judges[0] is several.judge
    assert [judge.architecture for judge in several.other_judges] == ["small_resnet", "small_cnn"]
    assert [judge.seed for judge in several.judges] == [0, 1, 0]
    assert single.judges == (single.judge,) and isinstance(document(single)["judge"], dict)
    assert load_trial({**TRIAL, "judge": [TRIAL["judge"]]}) == single
    for config in (single, several):
        filled = document(config)
        assert "other_judges" not in filled and load_trial(filled) == config


@pytest.mark.parametrize(
    ("judge", "parts"),
    [
        ([], ("an empty list", "(trial: judge)", "name at least one")),
        (JUDGES + JUDGES[1:2], ("judge[1] and judge[3]", "agree with itself")),
        ([TRIAL["judge"], dict(TRIAL["judge"])], ("judge[0] and judge[1]",)),
        ([TRIAL["judge"], {"kind": "clasifier"}], ("did you mean 'classifier'", "judge[1].kind")),
        ([TRIAL["judge"], 3], ("expected a mapping, got 3", "judge[1]")),
        ([{**TRIAL["judge"], "epoch": 3}], ("unknown key 'epoch'", "judge[0].epoch")),
    ],
)
def test_a_list_of_judges_that_makes_no_sense_is_one_error(judge, parts):
    with pytest.raises(ConfigError) as caught:
        load_trial({**TRIAL, "judge": judge})
    assert all(part in str(caught.value) for part in parts)


def test_other_judges_are_no_key_of_a_document():
    with pytest.raises(ConfigError, match="unknown key 'other_judges'"):
        load_trial({**TRIAL, "other_judges": JUDGES[1:]})


def test_a_path_leads_into_a_list_of_judges_by_its_index():
    several = {**TRIAL, "judge": JUDGES}
    assert merge(several, {"judge.1.epochs": 7})["judge"][1]["epochs"] == 7
    with pytest.raises(ConfigError, match=r"'judge\.epochs' ends in a list of 3.*'judge\.0\.epochs'"):
        merge(several, {"judge.epochs": 7})


def test_kinds_become_dataclasses_and_survive_a_round_trip():
    config = load_trial(TRIAL)
    assert config.private == SyntheticFaces(population="private", identities=4, images_per_identity=8)
    assert config.defense == BiDO(lambda_x=0.01)  # YAML reads 1e-2 as text
    assert config.attack == (AttackPlan(attack=GMI(iterations=2, restarts=2), prior=config.prior),)
    assert isinstance(config.pretraining, OnDataset)
    assert config.pretraining.data.population == "far"
    assert load_trial(document(config)) == config


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"attack__kind": "gmj"}, r"got 'gmj'; did you mean 'gmi'\? \(trial: attack.kind\)"),
        ({"defense__lambdax": 1}, r"unknown key 'lambdax'; did you mean 'lambda_x'\? \(trial: defense.l"),
        ({"attack__iterations": 0}, r"iterations must be at least 1; got 0 \(trial: attack\)"),
        ({"attack__iterations": "many"}, r"iterations must be a valid integer.*got 'many'"),
        ({"image_size": 16}, "image_size must be at least 32; got 16"),
        ({"image_size": 10**30}, rf"image_size must be at most 4096; got {10**30} \(trial\)"),
        ({"metrics": [{"kind": ["fid"]}]}, r"kind must be one of .*got \['fid'\].*metrics\[0\].kind\)"),
        ({"validation": 0.9}, r"validation \+ test must leave images"),
        (
            {"target__schedule": "linear"},
            r"schedule must be 'constant', 'cosine' or 'multistep'; got 'linear'",
        ),
        ({"target__learning_rate": float("nan")}, "learning_rate must be a finite number; got nan"),
        ({"pretraining__data__kind": "faces"}, r"trial: pretraining.data.kind"),
        ({"target__architecture": "vgg16"}, r"got 'vgg16'; did you mean 'vgg16_bn'\?.*\(trial\)"),
        ({"target__freeze_point": "block9"}, "must be one of none, conv1, .* conv6; got 'block9'"),
        ({"target__trained": ["con1"]}, r"of conv1, .*got 'con1'; did you mean 'conv1'\? .*\(trial\)"),
        (
            {"target__trained": "conv1"},
            r"trained must be a list in brackets, as \[a, b\]; got 'conv1' \(trial: target.trained\)",
        ),
        (
            {"target__trained": ["conv1"], "target__freeze_point": "conv2"},
            r"freeze_point must be 'none' beside trained.*\(trial: target\)",
        ),
        ({"judge__architecture": "resnet"}, r"got 'resnet'.*\(trial: judge\)"),
        ({"image_size": 48}, "a power of two from 32; got 48"),
        ({"private": 3}, r"expected a mapping, got 3 \(trial: private\)"),
        ({"defense": {"kind": "none", "lambda_x": 1}}, "'none' has no keys; 'lambda_x' is a key of bido$"),
        (
            {"defense": {"kind": "bido", "beta": 1}},
            "known keys: measure, .*; 'beta' is a key of mid, trap_mid$",
        ),
        ({"sed": 3}, r"unknown key 'sed'; did you mean 'seed'\?"),
    ],
)
def test_every_mistake_is_one_error_with_its_path(params, text):
    with pytest.raises(ConfigError, match=text):
        load_trial(changed(**params))


def test_a_missing_part_is_named():
    document = deepcopy(TRIAL)
    del document["target"]["architecture"]
    with pytest.raises(ConfigError, match=r"'target.architecture' is missing"):
        load_trial(document)


def test_a_file_is_read_and_named_in_errors(tmp_path: Path):
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump(TRIAL))
    assert load_trial(path) == load_trial(TRIAL)
    path.write_text(yaml.safe_dump(changed(seed="one")))
    with pytest.raises(ConfigError, match=r"seed must be a valid integer.*trial.yaml: seed\)"):
        load_trial(path)


def test_several_attacks_each_with_its_prior_and_preset():
    wide = {"kind": "gmi", "width": 3}
    config = load_trial(
        {**TRIAL, "attack": [{"kind": "gmi", "preset": "cpu", "restarts": 4}, {"kind": "gmi", "prior": wide}]}
    )
    first, second = config.attack
    assert first.attack == GMI(**{**GMI.presets["cpu"], "restarts": 4}) and first.prior == config.prior
    assert second.attack == GMI() and second.prior.width == 3
    assert list(config.attack_plans) == ["gmi", "gmi_2"]


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ([], "empty list"),
        ([{"kind": "gmi"}, "gmi"], r"expected a mapping, got 'gmi' \(trial: attack\[1\]\)"),
        ({"kind": "gmi", "preset": "papr"}, r"preset must be one of paper, cpu.*did you mean 'paper'"),
        ([{"kind": "gmi", "iteration": 3}], r"unknown key 'iteration'.*attack\[0\].iteration"),
        ({"kind": "gmi", "prior": {"kind": "gm"}}, r"kind must be one of.*attack.prior.kind"),
    ],
)
def test_attacks_that_cannot_be_read(attack, said):
    with pytest.raises(ConfigError, match=said):
        load_trial({**TRIAL, "attack": attack})


@pytest.mark.parametrize(
    "attack",
    [
        {"kind": "gmi", "iterations": 7},
        {"kind": "gmi", "prior": {"kind": "gmi", "width": 3}},
        [{"kind": "gmi"}, {"kind": "gmi", "restarts": 2}],
    ],
)
def test_a_configuration_becomes_a_document_and_back(attack):
    config = load_trial({**TRIAL, "attack": attack})
    filled = document(config)
    assert load_trial(filled) == config
    assert isinstance(filled["attack"], list) == isinstance(attack, list)


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ({"kind": "ppa"}, "attack 'ppa' expects a prior with a style space"),
        ({"kind": "if_gmi"}, "attack 'if_gmi' expects a prior with a style space"),
        ({"kind": "mirror"}, "attack 'mirror' expects a prior with a style space"),
        ({"kind": "mirror_blackbox"}, "attack 'mirror_blackbox' expects a prior with a style space"),
        ({"kind": "plg"}, "attack 'plg' expects a prior that makes images of an identity"),
        ({"kind": "lokt"}, "attack 'lokt' expects a prior that makes images of an identity"),
        (
            {"kind": "lokt", "prior": {"kind": "plg", "width": 2}},
            "attack 'lokt' expects a prior that learnt the target's labels",
        ),
        ({"kind": "vmi", "layers": 7}, "latent is 7 vectors of equal length; got a latent of 100 numbers"),
    ],
)
def test_a_prior_that_an_attack_cannot_use_is_named_before_any_work(attack, said):
    with pytest.raises(ConfigError, match=said):
        load_trial({**TRIAL, "attack": attack})


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (
            {"kind": "brep", "prior": {"kind": "kedmi", "width": 2}},
            r"attack 'brep' sees of the target its labels alone, and its prior may see no more; got 'kedmi', "
            r"which is trained with its scores \(prior\); choose gmi, lokt, stylegan2, eigenfaces, dcgan "
            r"\(trial\)",
        ),
        (
            [{"kind": "gmi"}, {"kind": "brep", "prior": {"kind": "kedmi", "width": 2}}],
            "'brep'.*'kedmi'.*scores",
        ),
    ],
)
def test_a_prior_that_saw_more_of_the_target_than_the_attack_may_is_refused(attack, message):
    with pytest.raises(ConfigError, match=message):
        load_trial({**TRIAL, "attack": attack})


def test_precision_and_compile_belong_to_the_attack():
    """They are read beside its knobs, said again by the document, and left out of it where they are usual."""
    fast = {**TRIAL["attack"], "precision": "bfloat16", "compile": True}
    config = load_trial({**TRIAL, "attack": fast})
    (plan,) = config.attack
    assert (plan.precision, plan.compile) == ("bfloat16", True)
    assert plan.attack == GMI(iterations=2, restarts=2)
    assert load_trial(document(config)) == config != load_trial(TRIAL)
    assert document(config)["attack"]["precision"] == "bfloat16"
    assert "precision" not in document(load_trial(TRIAL))["attack"]
    listed = load_trial({**TRIAL, "attack": [TRIAL["attack"], {**TRIAL["attack"], "compile": True}]})
    assert [plan.compile for plan in listed.attack] == [False, True]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        (
            {"kind": "gmi", "precision": "float16"},
            r"precision must be .*bfloat16.*got 'float16'.*attack.precision",
        ),
        ({"kind": "gmi", "compile": "fast"}, r"compile must be .*got 'fast' \(trial: attack.compile\)"),
        (
            {"kind": "brep", "compile": True},
            r"attack 'brep' sees no gradients.*compile: true; .*\(trial: attack\)",
        ),
    ],
)
def test_precision_and_compile_that_do_not_fit(knobs, message):
    with pytest.raises(ConfigError, match=message):
        load_trial({**TRIAL, "attack": knobs})


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"kind": "if_gmi", "prior": {"kind": "stylegan2"}}, "blocks from 0 to 3.*got 7"),
        ({"kind": "if_gmi"}, "expects a prior with a style space"),
        ({"kind": "plg"}, "expects a prior that makes images of an identity"),
    ],
)
def test_a_prior_that_the_attack_cannot_use_is_an_error_at_once(knobs, message):
    with pytest.raises(ConfigError, match=message):
        load_trial({**TRIAL, "attack": knobs})


def test_relative_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    template = {
        "private": {"root": "faces", "kind": "image_folder"},
        "public": {"root": "faces", "kind": "misspelt"},
        "pretraining": {"kind": "dataset", "data": {"kind": "image_folder", "root": "others"}},
        "judge": {"kind": "embedder", "path": None},
        "attack": [{"kind": "ppa", "prior": {"kind": "stylegan2", "path": "a/w.pt"}}],
        "prior": {"kind": "stylegan2", "path": str(tmp_path / "w.pt")},
    }
    document = absolute_paths(template)
    assert document["private"] == {"root": str(tmp_path / "faces"), "kind": "image_folder"}
    assert document["pretraining"]["data"]["root"] == str(tmp_path / "others")
    assert document["attack"][0]["prior"]["path"] == str(tmp_path / "a" / "w.pt")
    unchanged = ("public", "judge", "prior")  # no such kind, no path, absolute already
    assert [document[part] for part in unchanged] == [template[part] for part in unchanged]
    assert template["private"]["root"] == "faces"
    assert absolute_paths(document) == document
    single = absolute_paths({**template, "attack": template["attack"][0]})
    assert single["attack"] == document["attack"][0]


def test_a_path_may_begin_with_the_home(tmp_path, monkeypatch):
    """In every knob that holds a path, wherever it stands, and whether it is made absolute first or not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "trial.yaml").write_text("x: 1\n")
    template = {
        **TRIAL,
        "private": {"root": "~/faces", "kind": "image_folder"},
        "pretraining": {"kind": "checkpoint", "path": "~/w.pt"},
        "judge": {"kind": "embedder", "path": "~/e.pt"},
    }
    faces, weights, embedder = (str(tmp_path / name) for name in ("faces", "w.pt", "e.pt"))
    for given in (template, absolute_paths(template)):
        config = load_trial(given)
        assert config.private.root == faces and config.pretraining.path == weights
        assert config.judge.path == embedder
    assert absolute_paths(template)["private"]["root"] == faces
    elsewhere = {**template, "private": {"root": "a~b/~", "kind": "image_folder"}}
    assert load_trial(elsewhere).private.root == "a~b/~"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"target__architecture": "inception_v3"},
            r"inception_v3 expects .* 75 pixels; got 32 \(image_size\)",
        ),
        ({"judge__architecture": "inception_v3"}, r"got 32 \(image_size, and no judge.input_size\)"),
        ({"judge__architecture": "inception_v3", "judge__input_size": 74}, r"got 74 \(judge.input_size\)"),
        ({"target__architecture": "torchvision:resnet19"}, r"got 'resnet19'; did you mean 'resnet18'"),
        (
            {"target__architecture": "torchvision:resnet18", "target__freeze_point": "layer9"},
            r"none, conv1, layer1_0",
        ),
    ],
)
def test_an_architecture_that_does_not_fit_is_an_error_at_once(params, message):
    with pytest.raises(ConfigError, match=message):
        load_trial(changed(**params))


def test_an_architecture_of_a_library_survives_a_round_trip():
    config = load_trial(changed(target__architecture="torchvision:resnet18", target__freeze_point="layer2_1"))
    assert load_trial(document(config)) == config


@pytest.mark.parametrize(
    ("defense", "kept", "finished"),
    [
        ({"kind": "calor", "rank": 3}, 8, False),
        ({"kind": "negative_label_smoothing", "alpha": -0.5}, 1, False),
        ({"kind": "negative_label_smoothing", "alpha": -0.5}, 8, True),
        ({"kind": "none"}, 1, True),
    ],
)
def test_a_target_is_not_kept_before_its_defense_is_finished(defense, kept, finished):
    trial = {**TRIAL, "defense": defense, "target": {**TRIAL["target"], "epochs": 8, "kept_epoch": kept}}
    if finished:
        assert load_trial(trial).target.kept_epoch == kept
        return
    with pytest.raises(
        ConfigError, match=f"kept_epoch expects .*'{defense['kind']}' is finished.* got {kept} of 8"
    ):
        load_trial(trial)


FAMILIES = ("private", "pretraining", "pretraining__data", "defense", "prior", "attack", "judge")


@pytest.mark.parametrize("kind", [["a"], [], {"a": 1}, {}, 3, None])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_kind_that_is_no_text_is_one_error(family, kind):
    path = family.replace("__", ".")
    with pytest.raises(ConfigError) as caught:
        load_trial(changed(**{f"{family}__kind": kind}))
    assert "kind must be one of" in str(caught.value)
    assert f"got {kind!r}" in str(caught.value) and f"(trial: {path}.kind)" in str(caught.value)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"kind": ["gmi"], "preset": "paper"}, r"kind must be one of .*got \['gmi'\].*attack.kind\)"),
        ({"kind": "gmj", "preset": "paper"}, r"kind must be one of .*did you mean 'gmi'.*attack.kind\)"),
        ({"preset": "paper"}, r"kind must be one of .*got None .*attack.kind\)"),
        ({"kind": "gmi", "preset": ["paper"]}, r"preset must be one of .*got \['paper'\].*attack.preset\)"),
        ({"kind": "gmi", "preset": {}}, r"preset must be one of .*got {} \(trial: attack.preset\)"),
    ],
)
def test_a_preset_of_no_attack_or_that_is_no_text(knobs, said):
    with pytest.raises(ConfigError, match=said):
        load_trial({**TRIAL, "attack": knobs})
