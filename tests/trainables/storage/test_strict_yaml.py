"""Strict YAML: every surprise of YAML 1.1 is an error in one line, or what it looks like."""

import math

import pytest
import yaml

from trainables.errors import ConfigError
from trainables.storage.strict_yaml import dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("-3", -3),
        ("0", 0),
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("0.05", 0.05),
        (".inf", math.inf),
        ("true", True),
        ("null", None),
        ("2024-02-30", "2024-02-30"),  # no calendar has it
        ("2024-02-28", "2024-02-28"),
        ("2024-02-28 10:00:00", "2024-02-28 10:00:00"),
        ("'010'", "010"),
        ("'1:30'", "1:30"),
        ("1.0.0", "1.0.0"),
        ("v1", "v1"),
        ("gmi:cpu", "gmi:cpu"),
        ("test_accuracy >= 0.8", "test_accuracy >= 0.8"),
    ],
)
def test_a_value_is_what_it_looks_like(text, value):
    parsed = parse_yaml(f"a: {text}", "here")["a"]
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    "text", ["010", "0x1F", "0b11", "1_000", "1:30", "-1:30:05", "1_0.5", "190:20:30.15"]
)
def test_a_number_that_yaml_reads_in_another_way_is_refused(text):
    assert isinstance(yaml.safe_load(text), int | float)
    with pytest.raises(ConfigError, match=r"in here, got: expected a plain decimal number, got "):
        parse_yaml(f"b: 1\na: {text}", "here")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\nb: 2\na: 3", "'a' on line 1 and on line 3"),
        ("t:\n  k: 1\n  l: 2\n  k: 1", "'k' on line 2 and on line 4"),
        ("- {x: 1,\n   x: 2}", "'x' on line 1 and on line 2"),
        ("'a': 1\na: 2", "'a' on line 1 and on line 2"),
        ("base: &b {k: 1}\nc:\n  <<: *b\n  k: 2\n  k: 3", "'k' on line 4 and on line 5"),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(text, lines):
    with pytest.raises(ConfigError, match=f"expected every key once, got {lines}"):
        parse_yaml(text, "here")


def test_a_merged_key_may_be_given_again():
    assert parse_yaml("base: &b {k: 1, l: 2}\nc: {<<: *b, k: 3}", "here")["c"] == {"k": 3, "l": 2}


@pytest.mark.parametrize("key", ["1", "true", "on", "null", "1.5", "? [a]\n", "? {a: b}\n"])
def test_a_key_is_text(key):
    with pytest.raises(ConfigError, match="expected YAML in here, got"):
        parse_yaml(f"{key}: 1", "here")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!int x",
        "a: !!float x",
        "a: !!timestamp x",
        "a: !!binary é",
        "a: !!bool x",
        "a: !!set [1]",
        "a: !!python/name:os.system",
        "a: !mine 1",
        "a: " + "9" * 5000,  # more digits than Python takes
        "a: " + "[" * 5000,
        "a: &x [*x]",
        "a: &x {b: *x}",
        "a: *nothing",
        "--- 1\n--- 2",
        "a: [1",
        "a: \x00",
        "a: &x [1,1,1,1,1,1,1,1,1,1]\n"
        + "\n".join(f"a{n}: &x{n} [{','.join([f'*x{n - 1}' if n else '*x'] * 10)}]" for n in range(7)),
    ],
)
def test_every_error_is_ours_and_one_line(text):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "here")
    assert str(caught.value).startswith("expected YAML in here, got: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "1e5",
        "010",
        "1:30",
        "2024-02-28",
        "yes",
        "null",
        "1_000",
        "0x1F",
        "",
        "~",
        "é",
        1e-5,
        1e22,
        3,
        True,
        None,
    ],
)
def test_what_is_written_is_read_back(value):
    document = {"a": value, "b": [value, {"c": value}]}
    assert parse_yaml(dump_yaml(document), "here") == document
    assert type(parse_yaml(dump_yaml(document), "here")["a"]) is type(value)


@pytest.mark.parametrize(
    "value", ["/a/my, set: x", "{b", "[c]", "d #e", 'f\'s "g"', "h\ni", "j" * 300 + " k", "é", "010"]
)
def test_a_mapping_on_one_line_is_read_back(value):
    document = {"a": value, "b": [value, {"c": value}], "d": True, "e": 1, "f": None}
    text = dump_yaml(document, flow=True)
    assert text.count("\n") == 1 and text.endswith("}\n")
    assert parse_yaml(f"document: {text}", "here") == {"document": document}
    assert dump_yaml({"kind": "ffhq", "root": "/data"}, flow=True) == "{kind: ffhq, root: /data}\n"
