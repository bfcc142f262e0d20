"""Each preset is a study that loads; those of published set-ups have tests of their own."""

import dcgan_files
import pytest
import yaml

from sweeper.study.loading import load_study
from sweeper.study.presets import preset_files


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
