import pytest
import small_trial
import yaml

from sweeper.study.inheritance import merged, read_study
from sweeper.study.loading import load_study
from sweeper.study.presets import find_study, preset, preset_files
from trainables.errors import ConfigError

TRIAL = small_trial.TRIAL | {
    "target": {"architecture": "small_cnn", "epochs": 3},
    "prior": {"kind": "gmi", "width": 8},
    "attack": {"kind": "gmi", "iterations": 7},
}


@pytest.fixture
def presets(tmp_path, monkeypatch):
    """Return a folder of presets: ``base``, and ``tl_dmi/vgg16``, which extends it."""
    folder = tmp_path / "presets"
    (folder / "tl_dmi").mkdir(parents=True)
    base = {"name": "a_base", "trial": TRIAL, "space": ["freeze_depth", "defenses"], "search": {"trials": 3}}
    (folder / "base.yaml").write_text(yaml.safe_dump(base))
    (folder / "tl_dmi" / "vgg16.yaml").write_text(
        "# summary: a frozen one\nextends: base\nspace: freeze_depth\n"
    )
    monkeypatch.setattr("sweeper.study.presets.PRESETS", folder)
    return folder


@pytest.mark.parametrize(
    ("parent", "child", "together"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}, {"a": {"b": 1, "c": 3, "d": 4}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"kind": "x", "c": 2}}, {"a": {"kind": "x", "b": 1, "c": 2}}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"kind": "y", "c": 2}}, {"a": {"kind": "y", "c": 2}}),
        ({"a": {"kind": "x", "b": 1}}, {"a": {"b": 2}}, {"a": {"kind": "x", "b": 2}}),
        ({"a": [1, 2]}, {"a": {"b": 2}}, {"a": {"b": 2}}),  # a list of no kinds
        ({"a": [{"kind": "x"}, {"c": 1}]}, {"a": {"b": 2}}, {"a": {"b": 2}}),
        ({"a": ["a kind"]}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ],
)
def test_what_parent_and_child_say_together(parent, child, together):
    assert merged(parent, child) == together


@pytest.mark.parametrize(("part", "knob"), [("attack", "iterations: 5"), ("judge", "epochs: 1")])
def test_a_mapping_in_the_place_of_an_inherited_list_needs_its_kind(presets, tmp_path, part, knob):
    listed = {**TRIAL, part: [TRIAL[part], {**TRIAL[part], "epochs": 2}]}
    (presets / "two.yaml").write_text(yaml.safe_dump({"trial": listed}))
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: two\ntrial: {{{part}: {{{knob}}}}}\n")
    with pytest.raises(ConfigError) as caught:
        read_study(path)
    said = f"{part} of two is a list of 2, and a mapping replaces it whole: give its kind; got {{'"
    assert str(caught.value).startswith(said) and str(caught.value).endswith(f"mine.yaml: trial.{part})")
    path.write_text(f"extends: two\ntrial: {{{part}: {{kind: x}}}}\nspace: {{a: {{choice: [1]}}}}\n")
    assert read_study(path)["trial"][part] == {"kind": "x"}


def test_a_file_extends_a_preset_that_extends_another(presets, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: tl_dmi/vgg16\ntrial: {target: {epochs: 5}, attack: {kind: kedmi}, prior: {kind: kedmi}}\n"
    )
    study = load_study(str(path), check=False)
    assert (study.name, study.space, study.search.trials) == ("mine", "freeze_depth", 3)
    assert (study.trial["target"]["architecture"], study.trial["target"]["epochs"]) == ("small_cnn", 5)
    assert study.trial["attack"]["kind"] == "kedmi" and study.trial["attack"]["iterations"] != 7


def test_paths_are_relative_to_the_file(presets, tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "child.yaml").write_text("extends: ../parent.yaml\nb: 2\n")
    (tmp_path / "parent.yaml").write_text("a: 1\nb: 1\nname: parent\n")
    assert read_study(tmp_path / "studies" / "child.yaml") == {"a": 1, "b": 2}


def test_presets_of_subfolders_have_the_folder_in_their_name(presets):
    vgg16 = presets / "tl_dmi" / "vgg16.yaml"
    assert preset_files() == {"base": presets / "base.yaml", "tl_dmi/vgg16": vgg16}
    assert find_study("tl_dmi/vgg16") == vgg16
    assert preset(vgg16) == {"name": "tl_dmi/vgg16", "summary": "a frozen one", "source": ""}
    assert load_study("tl_dmi/vgg16", check=False).name == "vgg16"
    with pytest.raises(ConfigError, match=r"did you mean 'tl_dmi/vgg16'\?"):
        find_study("tl_dmi/vgg61")


@pytest.mark.parametrize("reference", ["bass", "nothing.yaml", "[base]", "''"])
def test_an_unknown_parent_is_an_error_naming_the_file(presets, tmp_path, reference):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {reference}\n")
    hint = r"; did you mean 'base'\?" if reference == "bass" else ".*"
    with pytest.raises(
        ConfigError, match=rf"a preset \(base, tl_dmi/vgg16\).*{hint} \(.*mine\.yaml: extends\)"
    ):
        read_study(path)


def test_a_circle_is_an_error_naming_the_file(presets, tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: ./a.yaml\n")
    (tmp_path / "c.yaml").write_text("extends: c.yaml\n")
    with pytest.raises(ConfigError, match=r"a\.yaml -> b\.yaml -> a\.yaml \(.*b\.yaml: extends\)"):
        read_study(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match=r"c\.yaml -> c\.yaml \(.*c\.yaml: extends\)"):
        read_study(tmp_path / "c.yaml")


def test_a_space_that_was_taken_over_and_no_longer_fits_is_said_to_be_the_parents(presets, tmp_path):
    path = tmp_path / "mine.yaml"
    space = [{"prior.epochs": {"choice": [1, 2]}}]
    (presets / "spaced.yaml").write_text(yaml.safe_dump({"name": "s", "trial": TRIAL, "space": space}))
    mine = {"extends": "spaced", "trial": {"prior": {"kind": "eigenfaces"}}}
    path.write_text(yaml.safe_dump(mine))
    with pytest.raises(ConfigError, match=r"unknown key 'epochs'.*its space is that of spaced: state a"):
        load_study(str(path))
    path.write_text(yaml.safe_dump({**mine, "space": space}))
    with pytest.raises(ConfigError, match="unknown key 'epochs'") as caught:
        load_study(str(path))
    assert "state a `space`" not in str(caught.value)
