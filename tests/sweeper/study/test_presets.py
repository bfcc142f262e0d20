"""Each preset is a study that loads; those of published set-ups have tests of their own."""

import dcgan_files
import pytest

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
