"""Finished work stays valid: the content keys of one trial of every attack, defense and prior, as recorded.

A key that changes makes every user compute again what lies finished in their store. When a method's result
changes on purpose, raise that method's `version` and record its keys anew; no other key may move.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.architectures import ARCHITECTURES
from trainables.attacks import ATTACKS
from trainables.attacks.distillation import Distillation
from trainables.config import FAMILIES, load_trial
from trainables.defenses import DEFENSES
from trainables.method import NAMED
from trainables.priors import PRIORS
from trainables.storage.store import Stage, Store, content_key
from trainables.training.classifier import Target
from trainables.trial import make_shared, run_trial

RECORDED = json.loads((Path(__file__).parent / "content_keys.json").read_text())

# which prior each attack runs on
PRIOR_OF = {
    "kedmi": "kedmi",
    "lomma_kedmi": "kedmi",
    "ppa": "stylegan2",
    "if_gmi": "stylegan2",
    "mirror": "stylegan2",
    "mirror_blackbox": "stylegan2",
    "ppdg_ppa": "stylegan2",
    "smile": "stylegan2",
    "plg": "plg",
    "lokt": "lokt",
}
# defenses that need skip connections
UNDER = {kind: {"target": {"architecture": "small_resnet"}} for kind in ("rolss", "ssf", "tts")}
FITTING = {"if_gmi": {"blocks": 3, "radii": [9, 9, 0.5, 9]}}  # the published ones want a larger generator


@dataclasses.dataclass(frozen=True)
class Noting(Store):
    """A store in which every stage is there already, and which notes the keys that it is asked for."""

    noted: dict[str, str] = dataclasses.field(default_factory=dict)

    def get(self, stage: str, parts: dict[str, Any], make: Any) -> Stage:
        key = content_key(**parts)
        self.noted[stage] = key
        metrics = {"attack_accuracy_top1": 0.5, "attack_accuracy_top5": 0.5, "knn_distance": 1.0}
        result = {
            "weights": True,
            "test_accuracy": 0.5,
            "validation_accuracy": 0.5,
            "train_accuracy": 0.5,
            "parameters": {
                "trained": 1,
                "total": 1,
                "trained_without_head": 1,
                "total_without_head": 1,
            },
            "history": [],
            "queries": None,
            "metrics": {**metrics, "target_confidence": 0.5, "chance": 0.25},
            "interval": [0.0, 1.0],
            "per_identity": [0.5] * 4,
            "restarts": 1,
        }
        return Stage(self.root / stage / key, result, 0.0, made_now=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Two folders of small pictures made of whole numbers alone, and the smallest DCGAN: the same bytes on
    every machine."""
    root = tmp_path_factory.mktemp("pictures")
    for offset, (part, people) in enumerate({"private": 4, "public": 5}.items()):
        for person in range(people):
            folder = root / part / f"{part}{person}"
            folder.mkdir(parents=True)
            for number in range(8):
                seed = np.random.MT19937(1000 * offset + 10 * person + number)
                pixels = (seed.random_raw(64 * 64 * 3) % 256).astype(np.uint8).reshape(64, 64, 3)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    weights = {"0.weight": {"dtype": "F32", "shape": [2, 3, 4, 4], "data_offsets": [0, 384]}}
    head = json.dumps(weights).encode()
    (root / "dcgan.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(384))
    return root


def keys(folders: Path, **changes: Any) -> dict[str, str]:
    """Return stage -> content key of the trial that `changes` make of the template."""
    document = {
        "image_size": 64,
        "private": {"kind": "image_folder", "root": str(folders / "private")},
        "public": {"kind": "image_folder", "root": str(folders / "public")},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_resnet"},
        **changes,
    }
    if document["prior"]["kind"] == "dcgan":
        document["prior"] = {"path": str(folders / "dcgan.safetensors"), **document["prior"]}
    store = Noting(folders / "store", None)
    config = load_trial(document)
    run_trial(config, store=store)
    for name in ("pretrained", "judge"):
        make_shared(config, name, store=store)
    # "disjoint" is a check, and no stage that others rest on
    return {stage: key for stage, key in store.noted.items() if stage != "disjoint"}


def cases() -> dict[str, dict[str, Any]]:
    """Return name -> what the trial changes of the template: every method once, and some other knobs."""
    rendered = {"kind": "synthetic_faces", "population": "far", "identities": 6, "images_per_identity": 4}
    return {
        **{
            f"attack {kind}": {
                "attack": {"kind": kind, **FITTING.get(kind, {})},
                "prior": {"kind": PRIOR_OF.get(kind, "gmi")},
            }
            for kind in ATTACKS
        },
        **{
            f"attack {kind}:cpu": {
                "attack": {"kind": kind, "preset": "cpu", **FITTING.get(kind, {})},
                "prior": {"kind": PRIOR_OF.get(kind, "gmi")},
            }
            for kind in ATTACKS
        },
        **{f"defense {kind}": {"defense": {"kind": kind}, **UNDER.get(kind, {})} for kind in DEFENSES},
        **{f"prior {kind}": {"prior": {"kind": kind}, **ATTACK_ON.get(kind, {})} for kind in PRIORS},
        "pretraining dataset": {"pretraining": {"kind": "dataset", "data": rendered, "epochs": 2}},
        "target knobs": {
            "target": {
                "architecture": "small_resnet",
                "freeze_point": "block1",
                "frozen_batchnorm": "train",
                "epochs": 3,
                "schedule": "cosine",
                "optimizer": "adam",
                "learning_rate": 0.1,
            },
            "seed": 3,
            "replicate": 2,
            "identities": 2,
        },
        "half precision": {"attack": {"kind": "gmi", "precision": "bfloat16", "compile": True}},
    }


ATTACK_ON = {
    prior: {"attack": {"kind": kind}}
    for kind, prior in (
        *(("kedmi", "kedmi"), ("plg", "plg"), ("lokt", "lokt")),
        *(("ppa", "stylegan2"), ("map", "dcgan")),  # the file has no discriminator
    )
}


@pytest.mark.parametrize("name", cases())
def test_the_keys_are_those_of_finished_work(name, folders):
    if name == "defense dp_sgd":
        pytest.importorskip("opacus", reason="the extra dp is not installed")
    if name not in RECORDED:
        pytest.skip("newer than the record: nobody had finished work of it then")
    assert keys(folders, **cases()[name]) == RECORDED[name]


def test_every_method_of_the_record_is_still_there():
    assert set(RECORDED) <= set(cases())


MOBILE = ["mobilenet_v2"]


@pytest.mark.parametrize(
    ("architecture", "changes", "stages"),
    [
        ("small_cnn", {}, {"pretrained", "target", "attack", "verdict"}),
        ("small_resnet", {}, {"judge", "verdict"}),
        ("resnet18", {}, set()),
        (
            "mobilenet_v2",
            {"attack": {"kind": "lokt"}, "prior": {"kind": "lokt", "surrogates": MOBILE}},
            {"prior", "attack", "verdict"},
        ),
        (
            "mobilenet_v2",
            {"attack": {"kind": "lomma_gmi", "students": MOBILE}},
            {"auxiliary", "attack", "verdict"},
        ),
    ],
)
def test_a_new_version_of_an_architecture_changes_the_keys_of_its_own_stages(
    architecture, changes, stages, folders, monkeypatch
):
    before = keys(folders, **changes)
    newer = dataclasses.replace(ARCHITECTURES[architecture], version=2)
    monkeypatch.setitem(ARCHITECTURES, architecture, newer)
    after = keys(folders, **changes)
    assert before.keys() == after.keys()
    assert {stage for stage in before if before[stage] != after[stage]} == stages


def takes(method: Any, **changes: Any) -> bool:
    try:
        dataclasses.replace(method, **changes)
    except (ValueError, TypeError, AttributeError):
        return False
    return True


def test_every_knob_that_names_architectures_says_so():
    """A knob that takes an architecture's name, and refuses what is none, carries its version in the key."""
    methods = [method for family in FAMILIES.values() for method in family.values()]
    filled = {
        "architecture": "small_cnn",
        "path": "x",
        "root": "x",
        "population": "near",
        "identities": 4,
        "images_per_identity": 4,
        "data": None,
    }
    marked = []
    for method in [Target, *methods, Distillation]:
        parts = dataclasses.fields(method)
        lacking = {field.name for field in parts if field.default is field.default_factory}  # both MISSING
        example = method(**{name: value for name, value in filled.items() if name in lacking})
        for field in dataclasses.fields(method):
            for wrap in (str, lambda name: (name,)):
                good = takes(example, **{field.name: wrap("resnet18")})
                if good and not takes(example, **{field.name: wrap("no such network")}):
                    assert NAMED in field.metadata, f"{method.__name__}.{field.name} is no named_knob"
                    marked.append(f"{method.__name__}.{field.name}")
    assert {"ClassifierJudge.architecture", "LOKTPrior.surrogates", "Distillation.students"} <= set(marked)
