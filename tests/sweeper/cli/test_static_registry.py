import pytest

from sweeper.cli.static_registry import registry_entries
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
