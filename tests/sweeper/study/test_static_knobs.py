"""Knobs read as text are those of the imported classes, for every method of every family."""

import dataclasses
import functools
from importlib import import_module

import pytest

from sweeper.cli.registry import REGISTRIES, details
from sweeper.study.static_knobs import REQUIRED, knobs
from trainables.datasets import DATASETS
from trainables.errors import ConfigError

METHODS = [
    (family, name)
    for family, registry in REGISTRIES.items()
    for name in getattr(import_module(f"trainables.{family}"), registry)
]


@functools.cache
def listed_knobs(family, name):
    return details(family, name)["knobs"]


@pytest.mark.parametrize(("family", "name"), METHODS)
def test_names_and_defaults_are_those_of_the_class(family, name):
    method = getattr(import_module(f"trainables.{family}"), REGISTRIES[family])[name]
    listed = listed_knobs(family, name)
    if not isinstance(method, type):  # an architecture has no knobs
        assert listed == []
        return
    fields = dataclasses.fields(method)
    assert [knob["name"] for knob in listed] == [field.name for field in fields]
    for knob, field in zip(listed, fields, strict=True):
        if field.default is not dataclasses.MISSING:
            assert knob["default"] == field.default, knob
        elif field.default_factory is not dataclasses.MISSING:
            assert knob["default"].endswith("()"), knob
        else:
            assert knob["default"] == REQUIRED, knob


@pytest.mark.parametrize("name", ["image_folder", "synthetic_faces"])
def test_every_knob_of_a_data_set_says_what_it_means(name):
    assert [knob["name"] for knob in details("datasets", name)["knobs"] if not knob["meaning"]] == []


TEXT = '''
from typing import ClassVar, Literal
from trainables.method import later_knob
from other import Elsewhere

Words = Literal["cut", "pad"]
HALF = 0.5

class Base(Elsewhere):
    """The base.

    first, second: steps per start, starts.
    shared: of both.
    goes_on: whether a run of fewer ``silent`` is the beginning of a longer one.
    """

    kind: ClassVar[str] = "base"
    goes_on: ClassVar[bool] = False
    first: int
    second: int = 2
    shared: float = HALF

class Method(Base):
    """Minimises x + some_weight * y over `alone`.

    third: a thing that goes on
    and on: to the end.  fourth: beside it.
    The class ends here, and no knob does.
    """

    third: Words = later_knob("cut")
    fourth: tuple[int, ...] = (1, 2)
    some_weight: float = 1e-3
    alone: bool = True
    silent: int = 0
    second: int = 3
'''


def test_bases_overrides_and_docstrings(tmp_path):
    (tmp_path / "family.py").write_text(TEXT)
    assert [tuple(knob.values()) for knob in knobs(tmp_path, "family", "Method")] == [
        ("first", "int", REQUIRED, "steps per start"),
        ("second", "int", 3, "starts"),
        ("shared", "float", 0.5, "of both"),
        ("third", "cut | pad", "cut", "a thing that goes on and on: to the end"),
        ("fourth", "tuple[int, ...]", (1, 2), "beside it"),
        ("some_weight", "float", 1e-3, "Minimises x + some_weight * y over `alone`"),
        ("alone", "bool", True, "Minimises x + some_weight * y over `alone`"),
        ("silent", "int", 0, ""),
    ]
    assert knobs(tmp_path, "family", "Words") == []


@pytest.mark.parametrize(("family", "name"), METHODS)
def test_no_knob_is_explained_by_what_an_attribute_means_that_is_no_knob(family, name):
    listed = listed_knobs(family, name)
    method = getattr(import_module(f"trainables.{family}"), REGISTRIES[family])[name]
    others = set(dir(method)) - {knob["name"] for knob in listed}
    explained = {knob["name"]: knob["meaning"].partition(": ") for knob in listed}
    assert {knob: head for knob, (head, colon, _) in explained.items() if colon and head in others} == {}


def test_a_name_that_is_not_there_is_suggested():
    with pytest.raises(ConfigError, match=rf"datasets are {', '.join(DATASETS)}; got 'image'"):
        details("datasets", "image")
    with pytest.raises(ConfigError, match="did you mean 'vmi'"):
        details("attacks", "vni")


@pytest.mark.parametrize("what", ["spaces", "presets", "architectures"])
def test_what_has_no_knobs_is_shown_all_the_same(what):
    from sweeper.cli.registry import rows

    for row in rows(what):
        assert details(what, row["name"]) == {**row, "knobs": []}
