import pytest

from sweeper.study.static_registry import registry_entries
from trainables.errors import ConfigError

BASE = """
from typing import ClassVar

SOURCE = "a paper"

class Base:
    summary: ClassVar[str] = "inherited"
    source: ClassVar[str] = SOURCE
"""
MEMBER = """
import a_module_that_does_not_exist
from family.base import Base

class Method(Base):
    summary: ClassVar[str] = (
        "two "
        "halves"
    )

class Plain(Base):
    pass

class Computed:
    summary = "x".upper()

INSTANCE = Architecture(summary="an instance", source="here")
"""


@pytest.fixture
def family(tmp_path):
    def make(registry: str):
        folder = tmp_path / "family"
        folder.mkdir()
        (folder / "base.py").write_text(BASE)
        (folder / "member.py").write_text(MEMBER)
        head = "from family.member import INSTANCE, Computed, Method, Plain\nfrom elsewhere import Other\n"
        (folder / "__init__.py").write_text(head + registry)
        return tmp_path

    return make


def test_strings_are_read_through_names_imports_and_base_classes(family):
    root = family('ALL: dict[str, type] = {"m": Method, "p": Plain, "i": INSTANCE}')
    entries = registry_entries(root, "family", "ALL")
    assert [(name, e.text("summary"), e.text("source")) for name, e in entries.items()] == [
        ("m", "two halves", "a paper"),
        ("p", "inherited", "a paper"),
        ("i", "an instance", "here"),
    ]


@pytest.mark.parametrize("value", ["Computed", "Other", "Missing", "3"])
def test_what_is_no_string_in_the_text_is_named(family, value):
    entry = registry_entries(family(f'ALL = {{"x": {value}}}'), "family", "ALL")["x"]
    with pytest.raises(ConfigError, match="family: expected 'summary'"):
        entry.text("summary")


@pytest.mark.parametrize("registry", ["ALL = make()", "OTHER = {}", "ALL = {name: Method}", "ALL = {**more}"])
def test_a_registry_that_is_no_dict_of_names_is_named(family, registry):
    with pytest.raises(ConfigError, match=r"family: expected .*'ALL'"):
        registry_entries(family(registry), "family", "ALL")


CONSTANTS = """
import math
from typing import ClassVar

LOW = -2.5

class Base:
    auxiliary: ClassVar[bool] = False
    low = None

class Metric(Base):
    low = LOW
    high = None
    steps: ClassVar[int] = 3
    computed = math.inf
    several = (1, 2)
"""


def test_constants_of_any_kind_are_read(family):
    root = family('ALL = {"m": Metric, "b": Base}')
    (root / "family" / "constants.py").write_text(CONSTANTS)
    (root / "family" / "__init__.py").write_text(
        'from family.constants import Base, Metric\nALL = {"m": Metric, "b": Base}\n'
    )
    entries = registry_entries(root, "family", "ALL")
    read = {field: entries["m"].value(field) for field in ("auxiliary", "low", "high", "steps")}
    assert read == {"auxiliary": False, "low": -2.5, "high": None, "steps": 3}
    assert entries["b"].value("low") is None
    for field in ("computed", "several", "missing"):
        with pytest.raises(ConfigError, match=f"family: expected '{field}' of Metric as a constant"):
            entries["m"].value(field)
