from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from trainables.attacks.gmi import GMI
from trainables.config import Threat, document, load_trial
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses.bido import BiDO
from trainables.document import merge
from trainables.errors import ConfigError
from trainables.pretraining import OnDataset

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


def test_kinds_become_dataclasses_and_survive_a_round_trip():
    config = load_trial(TRIAL)
    assert config.private == SyntheticFaces(population="private", identities=4, images_per_identity=8)
    assert config.defense == BiDO(lambda_x=0.01)  # YAML reads 1e-2 as text
    assert config.attack == (Threat(attack=GMI(iterations=2, restarts=2), prior=config.prior),)
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
        ({"validation": 0.9}, r"validation \+ test must leave images"),
        ({"target__schedule": "linear"}, r"schedule must be 'constant' or 'cosine'; got 'linear'"),
        ({"target__learning_rate": float("nan")}, "learning_rate must be a finite number; got nan"),
        ({"pretraining__data__kind": "faces"}, r"trial: pretraining.data.kind"),
        ({"target__architecture": "vgg16"}, r"got 'vgg16'; did you mean 'vgg16_bn'\?.*\(trial\)"),
        ({"target__freeze_point": "block9"}, "must be one of none, conv1, .* conv6; got 'block9'"),
        ({"judge__architecture": "resnet"}, r"got 'resnet'.*\(trial: judge\)"),
        ({"image_size": 48}, "a power of two from 32; got 48"),
        ({"private": 3}, r"expected a mapping, got 3 \(trial: private\)"),
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
    assert list(config.threats) == ["gmi", "gmi_2"]


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
