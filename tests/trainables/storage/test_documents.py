"""Documents before they mean anything: files that are no mapping, values set at paths, misspelt names."""

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Literal

import pytest

from trainables.errors import ConfigError
from trainables.storage.documents import by_path, check_numbers, merge, read_yaml, suggestion

TRIAL = {
    "seed": 0,
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "bido", "lambda_x": 0.01},
    "pretraining": {"kind": "dataset", "data": {"kind": "image_folder", "root": "faces"}, "epochs": 3},
}


def test_a_mapping_is_read(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text("name: mine\ntrial: {seed: 3, λ: [1, 2]}\n", encoding="utf-8")
    assert read_yaml(path) == {"name": "mine", "trial": {"seed": 3, "λ": [1, 2]}}


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"found nothing at .*none\.yaml"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", r"expected YAML in .*study\.yaml, got: while parsing"),
        (b"\xff\xfe\xfa", r"expected YAML in .*study\.yaml"),
        (b"a: \x00", r"expected YAML in .*study\.yaml"),
        (b"a: !!python/name:os.system", r"expected YAML in .*study\.yaml"),  # runs nothing
        (b"- 1", r"expected a mapping of names to values in .*study\.yaml, got list"),
        (b"", r"expected a mapping .*, got NoneType"),
    ],
)
def test_what_is_no_mapping_is_one_line(tmp_path: Path, content, message):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\n# café\n".encode("latin-1"), r"not UTF-8 \(byte 0xe9 in line 2\)"),
        ("a: 1\n".encode("utf-16"), r"not UTF-8 \(byte 0xf[ef] in line 1\)"),
        ("a: 1\n".encode("utf-16-le"), r"zeros, as UTF-16 has them \(line 1\)"),
    ],
)
def test_a_file_in_another_encoding_is_said_with_its_line(tmp_path: Path, content, said):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"expected YAML in .*study\.yaml, got .*{said}; save it as UTF-8"):
        read_yaml(path)


def test_a_mark_of_the_encoding_is_no_part_of_the_first_key(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_bytes("\ufeffname: mine\n".encode())
    assert read_yaml(path) == {"name": "mine"}


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [3, "3", "1e3"], [True, "x", "1_0", "0x1", ""]),
        (float, [3, 0.5, "1e-4", None], [False, "nan", "1:30"]),
        (int | None, [3, None], [True, "none"]),
        (tuple[float, ...], [[1, 2.5], []], [[1, True], ["a"]]),
        (Annotated[float, "positive"] | Literal["auto"], [1, "auto"], [True, "autos"]),
        (bool, [True, False], []),
        (str, ["x", True], []),
        (Literal["a", "b"], ["a", "c"], []),
    ],
)
def test_only_numbers_pass_where_a_type_takes_numbers_alone(hint, good, bad):
    for value in good:
        check_numbers(hint, value)
    for value in bad:
        with pytest.raises(ValueError, match="must be a number"):
            check_numbers(hint, value)


def test_a_folder_is_no_document(tmp_path: Path):
    with pytest.raises(ConfigError, match="expected YAML in"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("params", "part", "expected"),
    [
        ({}, "target", {"architecture": "small_cnn", "epochs": 1}),
        ({"seed": 4}, "seed", 4),
        ({"target.epochs": 2}, "target", {"architecture": "small_cnn", "epochs": 2}),
        ({"judge.kind": "embedder"}, "judge", {"kind": "embedder"}),
        ({"seed.deep": 1}, "seed", {"deep": 1}),
        ({"target": {"epochs": 9}}, "target", {"epochs": 9}),
        ({"defense.kind": "mid", "defense.beta": 0.5}, "defense", {"kind": "mid", "beta": 0.5}),
        ({"defense.alpha": 0.5, "defense.kind": "mid"}, "defense", {"kind": "mid", "alpha": 0.5}),
        (
            {"defense.kind": "bido", "defense.lambda_y": 0.5},
            "defense",
            {"kind": "bido", "lambda_x": 0.01, "lambda_y": 0.5},
        ),
        (
            {"pretraining.data.kind": "synthetic_faces"},
            "pretraining",
            {"kind": "dataset", "data": {"kind": "synthetic_faces"}, "epochs": 3},
        ),
        (
            {"pretraining.data.kind": "synthetic_faces", "pretraining.kind": "new"},
            "pretraining",
            {"kind": "new", "data": {"kind": "synthetic_faces"}},
        ),
        (
            {"defense.kind": "mid", "defense": {"kind": "bido", "lambda_x": 1}, "defense.beta": 2},
            "defense",
            {"kind": "mid", "beta": 2},
        ),
    ],
    ids=str,
)
def test_values_are_set_at_paths_and_a_new_kind_starts_afresh(params, part, expected):
    before = deepcopy(TRIAL)
    merged = merge(TRIAL, params)
    assert merged[part] == expected
    assert {k: v for k, v in merged.items() if k != part} == {k: v for k, v in before.items() if k != part}
    assert before == TRIAL


def test_what_is_merged_shares_no_mapping_with_the_template():
    merged = merge(TRIAL, {})
    merged["pretraining"]["data"]["root"] = "elsewhere"
    assert TRIAL["pretraining"]["data"]["root"] == "faces"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("epoch", "; did you mean 'epochs'?"), ("epochs", "; did you mean 'epochs'?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_name_is_suggested(name, expected):
    assert suggestion(name, iter(["seed", "epochs"])) == expected


def test_items_of_a_list_have_their_index_as_name():
    template = {"attack": [{"kind": "gmi", "iterations": 1}, {"kind": "gmi"}]}
    merged = merge(template, {"attack.1.iterations": 5, "attack.0.kind": "other"})
    assert merged == {"attack": [{"kind": "other"}, {"kind": "gmi", "iterations": 5}]}
    assert template["attack"][1] == {"kind": "gmi"}


def test_an_item_of_a_list_can_be_replaced():
    template = {"attack": [{"kind": "gmi"}, {"kind": "map", "starts": 3}], "space": ["a", "b"]}
    merged = merge(template, {"attack.1.iterations": 5, "attack.1": {"kind": "brep"}, "space.0": "c"})
    assert merged == {"attack": [{"kind": "gmi"}, {"kind": "brep", "iterations": 5}], "space": ["c", "b"]}
    assert template["space"] == ["a", "b"] and "starts" in template["attack"][1]


def test_a_path_into_a_given_value_leaves_what_was_given_as_it_was():
    choices = [{"kind": "bido", "lambda_x": 1}]
    merged = merge(TRIAL, {"defense": choices[0], "defense.lambda_x": 2, "defense.lambda_y": 3})
    assert merged["defense"] == {"kind": "bido", "lambda_x": 2, "lambda_y": 3}
    assert choices == [{"kind": "bido", "lambda_x": 1}]


@pytest.mark.parametrize(
    "path", ["attack.1", "attack.-1", "attack.iterations", "attack.2.iterations", "attack.x.iterations"]
)
def test_a_path_that_misses_the_items_of_a_list(path):
    with pytest.raises(ConfigError, match="list of 1"):
        merge({"attack": [{"kind": "gmi"}]}, {path: 1})


def test_values_by_their_paths_make_the_document_again():
    judges = [{"kind": "onnx", "channels": ["r", "g"]}, {"kind": "classifier"}]
    document = {"seed": 3, "target": {"kind": "cnn", "skips": {}}, "judge": judges}
    plain = {"seed": 3, "target.kind": "cnn", "target.skips": {}, "judge": judges}
    assert by_path(document) == plain and merge({}, plain) == document
    assert by_path(document["target"], "trial.target") == {
        "trial.target.kind": "cnn",
        "trial.target.skips": {},
    }
    items = {"judge.0.kind": "onnx", "judge.0.channels": ["r", "g"], "judge.1.kind": "classifier"}
    assert by_path({"judge": judges}, items=True) == items
    assert by_path(3, "seed") == {"seed": 3}
