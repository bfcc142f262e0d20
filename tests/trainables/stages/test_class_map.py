"""Class maps in the forms that people keep them in, and targets whose classes stand in another order."""

import json

import pytest
import torch

from trainables.config import load_trial
from trainables.defenses import DEFENSES
from trainables.errors import ConfigError
from trainables.stages.class_map import class_order, folder_labels, read_class_map, reorder
from trainables.stages.target import new_target

NAMES = ("zoe", "ada", "bob b")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(NAMES),
        json.dumps({name: label for label, name in enumerate(NAMES)}),
        json.dumps({str(label): name for label, name in enumerate(NAMES)}),
        json.dumps({"ada": 1, "bob b": 2, "zoe": 0}),
        json.dumps({"class_to_idx": {"ada": 1, "bob b": 2, "zoe": 0}, "date": "today", "notes": []}),
        json.dumps({"classes": NAMES, "class_to_idx": {"ada": 1, "bob b": 2, "zoe": 0}, "mean": [0.5, 0.5]}),
        json.dumps({"map": {"idx_to_class": dict(enumerate(NAMES))}}),
        "zoe\nada\nbob b\n",
        "\ufeffzoe\r\nada\r\n\r\nbob b",
        "0 zoe\n1 ada\n2 bob b",
        "2,bob b\n0,zoe\n1,ada\n",
        "0: zoe\n1: ada\n2: bob b",
        "zoe 0\nada 1\nbob b 2",
        "zoe\t0\nada\t1\nbob b\t2",
        "label,name\n0,zoe\n1,ada\n2,bob b\n",
        "name,label\nzoe,0\nada,1\nbob b,2\n",
        "0;zoe\n1;ada\n2;bob b\n",
        "zoe; 0\nada; 1\nbob b; 2\n",
        'label;name\n"0";"zoe"\n"1";"ada"\n"2";"bob b"\n',
        'name,label\n"zoe",0\n"ada",1\n"bob b",2\n',
        "zoe: 0\nada: 1\nbob b: 2\n",
        "names:\n  0: zoe\n  1: 'ada'\n  2: \"bob b\"\n",
        "- zoe\n- ada\n- 'bob b'\n",
    ],
)
def test_forms(tmp_path, text):
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    assert read_class_map(tmp_path / "labels.json") == NAMES
    assert folder_labels(tmp_path) == folder_labels(tmp_path / "target.safetensors") == NAMES


@pytest.mark.parametrize("between", [",", ";", "\t", " ", ": "])
@pytest.mark.parametrize("first", [True, False])
def test_names_keep_what_stands_in_them(tmp_path, between, first):
    names = ("Smith, John", "d'Arc", "a;b", "x: y", "7 of 9")
    rows = [(str(label), name) for label, name in enumerate(names)]
    (tmp_path / "map").write_text("\n".join(between.join(row if first else row[::-1]) for row in rows))
    assert read_class_map(tmp_path / "map") == names


def test_lines_that_are_numbers_alone_are_names(tmp_path):
    (tmp_path / "map").write_text("7\n3\n5\n")
    assert read_class_map(tmp_path / "map") == ("7", "3", "5")
    assert folder_labels(tmp_path) is None


@pytest.mark.parametrize("names", [["person 0", "person 1", "person 2"], ["x", "a 0"], ["a 0"], ["0 a"]])
def test_names_that_end_in_numbers_are_names(tmp_path, names):
    """But for a single pair, which is one."""
    (tmp_path / "map").write_text("\n".join(names))
    expected = ("a",) if len(names) == 1 else tuple(names)
    assert read_class_map(tmp_path / "map") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got neither"),
        ("[]", "got neither"),
        ("[1, 2]", "got neither"),
        ('{"a": "b"}', "got neither"),
        ('{"a": 0, "b": true}', "got neither"),
        ('["a"', "expected JSON"),
        ('["a", "b", "a"]', "every name once .* got twice: a"),
        ('{"a": 0, "a": 1}', "every name once .* got twice: a"),
        ('{"a": 0, "b": 0}', "every label once .* got twice: 0"),
        ('{"a": 1, "b": 2}', "labels from 0 to 1 .* got some from 1 to 2"),
        ("a\nb\na", "every name once"),
    ],
)
def test_what_is_no_map(tmp_path, text, said):
    (tmp_path / "map").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_class_map(tmp_path / "map")
    with pytest.raises(ConfigError, match="expected a class map"):
        read_class_map(tmp_path / "none")


@pytest.mark.parametrize("content", [b"[]", b"[", b"\xff", b'["a", "a"]', b'{"a": 1}'])
def test_a_broken_map_of_an_exported_target_is_named_and_not_labels_alone(tmp_path, content):
    (tmp_path / "labels.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"labels\.json.*\(labels\.json of an exported target; mend it"):
        folder_labels(tmp_path)
    with pytest.raises(ConfigError, match=r"\(--labels\)"):
        read_class_map(tmp_path / "labels.json")


def test_maps_that_contradict_each_other_are_none(tmp_path):
    (tmp_path / "map").write_text(
        json.dumps({"classes": NAMES, "class_to_idx": {"zoe": 1, "ada": 0, "bob b": 2}})
    )
    with pytest.raises(ConfigError, match="got neither"):
        read_class_map(tmp_path / "map")


def test_people_are_matched_by_name():
    assert class_order(("zoe", "ada", "bob"), ("ada", "bob", "zoe")) == [1, 2, 0]
    assert class_order(("Zoe Z", "Ada-A"), ("ada_a", "zoe_z")) == [1, 0]
    assert class_order(("a b", "ab"), ("ab", "a b")) == [1, 0]  # the same but for the blank: to the letter


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (("ada", "bob"), ("ada", "eve"), "no class of eve; classes of people without private images: bob"),
        (("ada", "bob", "eve"), ("ada", "bob"), "3 classes to be the 2 private people.*: eve"),
        (("ada",), ("ada", "bob"), "no class of bob"),
        (("a b", "ab"), ("ab", "a-b"), "no class of a-b"),
    ],
)
def test_others_are_refused(labels, names, said):
    with pytest.raises(ConfigError, match=said):
        class_order(labels, names)


FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}


@pytest.mark.parametrize("kind", DEFENSES)
def test_a_reordered_classifier_gives_the_same_logits_in_the_new_order(kind):
    document = {
        "image_size": 32,
        "private": FACES,
        "public": {**FACES, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_resnet"},  # small_cnn has no skips to take away
        "defense": {"kind": kind},
        "prior": {"kind": "gmi", "width": 2},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "classifier", "architecture": "small_cnn"},
    }
    classifier = new_target(load_trial(document), 4).eval()
    images, logits = torch.rand(3, 3, 32, 32), []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        reorder(classifier, order)
        with torch.no_grad():
            torch.manual_seed(0)  # of a noisy head
            logits.append(classifier(images))
    assert torch.equal(logits[1], logits[0][:, [2, 0, 3, 1]])
