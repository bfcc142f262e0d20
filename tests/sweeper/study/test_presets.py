"""Each preset is a study that loads; those of published set-ups have tests of their own."""

import dcgan_files
import pytest
import yaml

from sweeper.study import presets
from sweeper.study.loading import load_study
from sweeper.study.presets import PRESETS, find_preset, find_study, preset, preset_files
from trainables.errors import ConfigError


@pytest.mark.parametrize("name", [name for name in preset_files() if "/" not in name])
def test_a_preset_loads(name, tmp_path, monkeypatch):
    weights = tmp_path / "faces" / "weights"
    weights.mkdir(parents=True)
    generator = dcgan_files.tutorial_generator(latent_size=4, width=2, size=64)
    dcgan_files.save(
        generator, weights / "dcgan_digiface_64.safetensors"
    )  # a prior reads its sizes off the file
    monkeypatch.chdir(tmp_path)
    study = load_study(name, check=False)
    assert study.name == name
    assert study.domains


@pytest.mark.parametrize("name", list(preset_files()))
def test_who_changes_the_network_says_how_it_is_trained(name):
    """A learning rate that fits the network of the preset below may destroy another one."""
    document = yaml.safe_load(preset_files()[name].read_text(encoding="utf-8"))
    target = document.get("trial", {}).get("target", {})
    if "extends" in document and "architecture" in target:
        assert "recipe" in target or {"optimizer", "learning_rate"} <= target.keys()


def test_every_file_is_a_preset_but_for_what_others_share():
    found = preset_files()
    files = {path for path in PRESETS.rglob("*.yaml") if path.name[0] != "_"}
    assert set(found.values()) == files and len(files) > 20
    assert found["quickstart"] == PRESETS / "quickstart.yaml"
    assert any("/" in name for name in found) and any(PRESETS.rglob("_*.yaml"))


@pytest.mark.parametrize("reference", ["quickstart", "faces_near"])
def test_a_preset_is_found_by_its_name(reference):
    assert find_study(reference) == PRESETS / f"{reference}.yaml"


def test_one_of_a_folder_is_found_with_and_without_the_folder():
    name = next(name for name in preset_files() if name.startswith("tl_dmi/"))
    assert find_preset(name) == find_preset(name.removeprefix("tl_dmi/")) == preset_files()[name]


def test_one_of_two_folders_needs_its_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "PRESETS", tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yaml").touch()
    assert find_preset("same") is None and find_preset("b/same") == tmp_path / "b" / "same.yaml"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("quickstrt", r"got 'quickstrt'; did you mean 'quickstart'\?"),
        ("mine.yml", r"found nothing at mine\.yml; did you mean 'mine\.yaml'\?"),
        ("folder.yaml", r"expected a study file, got the folder folder\.yaml"),
        ("other/quickstart", r"found nothing at other/quickstart; did you mean 'quickstart'\?"),
    ],
)
def test_a_reference_that_leads_nowhere_names_what_is_near(reference, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=said):
        find_study(reference)


def test_a_row_holds_the_comments_at_the_top_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# summary: what: it is\n#source:mine\nname: mine\n# summary: no more\n")
    assert preset(path) == {"name": "mine", "summary": "what: it is", "source": "mine"}
