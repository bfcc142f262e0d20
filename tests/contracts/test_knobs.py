"""Every knob of every method does something: another value gives another result.

Knobs are found from the fields of the dataclasses, so a new one without a set-up in ``knob_setups`` fails.
What a user only states of a file (`stated_knob`) is for warnings, and does nothing here.
"""

import dataclasses
import functools
from typing import Any

import pytest
from knob_outcomes import FromFolder
from knob_setups import SETUPS
from knob_values import KEY_ALONE, To
from small_trial import TRIAL
from torch import Tensor

from trainables.analyses import ANALYSES
from trainables.architectures import ARCHITECTURES
from trainables.attacks import ATTACKS
from trainables.attacks.adversarial_tuning import PublicImages
from trainables.attacks.distillation import Distillation
from trainables.config import load_trial
from trainables.datasets import DATASETS
from trainables.defenses import DEFENSES
from trainables.errors import ConfigError
from trainables.judges import JUDGES
from trainables.method import NAMED, STATED
from trainables.metrics import METRICS
from trainables.pretraining import PRETRAININGS
from trainables.priors import PRIORS
from trainables.storage.content import with_content
from trainables.training.classifier import Target

FAMILIES: dict[str, dict[str, Any]] = {
    "analyses": ANALYSES,
    "attacks": ATTACKS,
    "auxiliaries": {"distillation": Distillation, "public_images": PublicImages},
    "datasets": DATASETS,
    "defenses": DEFENSES,
    "judges": JUDGES,
    "metrics": METRICS,
    "pretrainings": PRETRAININGS,
    "priors": PRIORS,
    "recipes": {"target": Target},
}
METHODS = [(family, kind) for family, registry in FAMILIES.items() for kind in registry]
KNOBS = [
    (family, kind, knob.name)
    for family, kind in METHODS
    for knob in dataclasses.fields(FAMILIES[family][kind])
    if STATED not in knob.metadata
]
STATEMENTS = {
    (family, kind, knob.name)
    for family, kind in METHODS
    for knob in dataclasses.fields(FAMILIES[family][kind])
    if STATED in knob.metadata
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def outcome(folder):
    """Return what a method with some knobs gives, worked out once."""

    @functools.cache
    def worked_out(family: str, kind: str, knobs: tuple[tuple[str, Any], ...]) -> str:
        return fingerprint(SETUPS[family, kind].outcome(FAMILIES[family][kind](**dict(knobs))))

    def give(family: str, kind: str, knobs: dict[str, Any]) -> str:
        return worked_out(family, kind, tuple(knobs.items()))

    return give


def fingerprint(value: Any) -> str:
    """Return text that is equal only where every number is, to the last bit."""
    if isinstance(value, Tensor):
        plain = value.detach().contiguous().cpu()
        return f"{plain.dtype}{tuple(plain.shape)}{hash(plain.numpy().tobytes())}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{fingerprint(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(fingerprint, value)) + "]"
    return repr(value)


def setup(family: str, kind: str, knob: str) -> tuple[dict[str, Any], Any]:
    """Return the usual knobs with what `knob` needs beside them, and its other value."""
    if (family, kind) not in SETUPS:
        pytest.fail(f"'{kind}' of {family} has knobs and no set-up: add one to tests/support/knob_setups.py")
    found = SETUPS[family, kind]
    if knob not in found.changes:
        pytest.fail(
            f"knob '{knob}' of {family} '{kind}' has no set-up: add one to tests/support/knob_setups.py"
        )
    change = found.changes[knob]
    change = change if isinstance(change, To) else To(change)
    return {**found.usual, **change.given}, change.value


def filled(knobs: dict[str, Any], folder: Any) -> dict[str, Any]:
    return {
        name: value.make(folder) if isinstance(value, FromFolder) else value for name, value in knobs.items()
    }


@pytest.mark.parametrize(("family", "kind", "knob"), KNOBS)
def test_another_value_gives_another_result(family, kind, knob, folder, outcome):
    usual, value = setup(family, kind, knob)
    if value is KEY_ALONE:
        pytest.skip("nothing to compare without a network or a second member; the key has it")
    usual = filled(usual, folder)
    changed = usual | filled({knob: value}, folder)
    assert changed != usual
    assert outcome(family, kind, changed) != outcome(family, kind, usual)


@pytest.mark.parametrize(("family", "kind"), METHODS)
def test_the_same_knobs_give_the_same_result(family, kind, folder, outcome):
    """Else the test above would say nothing."""
    names = [name for *of, name in KNOBS if of == [family, kind]]
    if all(setup(family, kind, name)[1] is KEY_ALONE for name in names):
        pytest.skip("no knobs, or nothing runs without a network")
    usual = filled(dict(SETUPS[family, kind].usual), folder)
    again = SETUPS[family, kind].outcome(FAMILIES[family][kind](**usual))
    assert fingerprint(again) == outcome(family, kind, usual)


@pytest.mark.parametrize(("family", "kind"), METHODS)
def test_another_value_gives_another_content_key(family, kind, folder):
    method = FAMILIES[family][kind]
    for knob in [name for *of, name in KNOBS if of == [family, kind]]:
        usual, value = setup(family, kind, knob)
        usual = filled(usual, folder)
        if value is KEY_ALONE:
            assert knob in with_content(method(**usual))
            continue
        changed = usual | filled({knob: value}, folder)
        assert with_content(method(**changed)) != with_content(method(**usual)), knob


@pytest.mark.parametrize(("family", "kind", "knob"), sorted(STATEMENTS))
def test_what_is_stated_of_a_file_gives_the_same_content_key(family, kind, knob, folder):
    """So that nobody who heeds a warning, and says what is known, trains everything again."""
    method, usual = FAMILIES[family][kind], filled(dict(SETUPS[family, kind].usual), folder)
    said = method(**usual | {knob: "some words"})
    assert said != method(**usual)
    assert with_content(said) == with_content(method(**usual))


def test_what_is_stated_is_of_weights_from_outside():
    pretrainings = {("pretrainings", kind) for kind in ("checkpoint", "torchvision")}
    judges = {("judges", kind) for kind in ("embedder", "onnx")}
    stated = {(*of, knob) for of in pretrainings | judges for knob in ("overlap", "trained_on")}
    assert stated == STATEMENTS


HELPERS = [
    (family, kind, knob.name)
    for family in ("attacks", "priors")
    for kind, method in FAMILIES[family].items()
    for knob in dataclasses.fields(method)
    if knob.metadata.get(NAMED) is ARCHITECTURES
]


@pytest.mark.parametrize("network", ["facenet112", "inception_v3"])
@pytest.mark.parametrize(("family", "kind", "knob"), HELPERS)
def test_a_network_that_helps_and_does_not_take_the_images_is_refused_before_any_work(
    family, kind, knob, network
):
    """Found from the fields; it would be an error only after a target and perhaps a prior were trained."""
    several = isinstance(getattr(FAMILIES[family][kind](), knob), tuple)
    part, place = {"kind": kind, knob: [network] if several else network}, family.removesuffix("s")
    with pytest.raises(
        ConfigError, match=rf"{network} expects images .*got 32 .*\b{place}\.{knob}\b.*choose"
    ):
        load_trial({**TRIAL, place: part})


def test_networks_help_these():
    known = {
        ("attacks", "lomma_gmi", "students"),
        ("attacks", "lomma_kedmi", "students"),
        ("attacks", "smile", "surrogate"),
        ("priors", "lokt", "surrogates"),
    }
    assert known <= set(HELPERS)
