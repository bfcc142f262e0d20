import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.architectures.head_noise import head_noise
from trainables.defenses.calor import CALoR
from trainables.defenses.loft import LoFt
from trainables.defenses.mid import MID
from trainables.defenses.none import NoDefense
from trainables.defenses.rolss import RoLSS
from trainables.defenses.ssd import SSD
from trainables.defenses.ssf import SSF
from trainables.defenses.tts import TTS
from trainables.errors import ConfigError
from trainables.released import load_released, write_released
from trainables.storage.store import to_json
from trainables.training.classifier import build_classifier

CONFIG = {"architecture": "small_cnn", "image_size": 32, "normalization": "half"}
LABELS = ("Ada", "Grace", "Émilie")


@pytest.fixture
def release(tmp_path):
    """Return a maker of (folder, the classifier in it)."""

    def make(defense=None, stored=None, **changes):
        defense = defense or NoDefense()
        classifier = defense.prepare(build_classifier("small_cnn", 3, 32, "half", seed=5)).eval()
        config = {**CONFIG, "defense": to_json(defense), **changes}
        write_released(tmp_path, weights=classifier.state_dict(), labels=LABELS, config=config, stored=stored)
        return tmp_path, classifier

    return make


def test_what_is_loaded_is_what_was_written(release):
    folder, classifier = release()
    found = load_released(folder)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found.logits(images), classifier(images))
    assert found.labels == LABELS and found.image_size == 32
    assert not found.classifier.training
    assert not any(p.requires_grad for p in found.classifier.parameters())
    assert torch.equal(found.classifier.mean, torch.full((1, 3, 1, 1), 0.5))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "labels.json", "target.safetensors"]


def test_loading_leaves_the_random_state_of_the_caller(release, monkeypatch):
    """Else a noisy head would answer with the same noise after every load, in every process."""
    folder, _ = release(MID(beta=0.1, bottleneck=8))
    images, seeded = torch.rand(1, 3, 32, 32), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    answers = []
    for seed in (123, 456, 123):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        seeded.clear()
        found = load_released(folder)
        assert torch.equal(torch.get_rng_state(), state) and not seeded
        answers.append(found.logits(images))
    assert not torch.equal(answers[0], answers[1]) and torch.equal(answers[0], answers[2])


def test_names_are_written_and_read_under_any_locale(release):
    folder, _ = release()
    locale = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}

    def said(program):
        run = [sys.executable, "-c", f"from pathlib import Path; from trainables import released; {program}"]
        done = subprocess.run(run, capture_output=True, text=True, env=os.environ | locale, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    place, names = f"Path({str(folder)!r})", ascii(LABELS)
    assert said(f"print(ascii(released.load_released({place}).labels))") == names
    said(f"released.write_released({place}, weights={{}}, labels={names}, config={{}})")
    assert json.loads((folder / "labels.json").read_bytes().decode("utf-8")) == list(LABELS)


def test_a_noisy_head_comes_with_its_noise(release):
    folder, classifier = release(MID(beta=0.1, bottleneck=8))
    found = load_released(folder)
    images = torch.rand(2, 3, 32, 32)
    noise = torch.randn(2, 8)
    with head_noise(classifier, noise), torch.no_grad():
        expected = classifier(images)
    with head_noise(found.classifier, noise):
        assert torch.equal(found.logits(images), expected)
    assert not torch.equal(found.logits(images), found.logits(images))


def test_a_defense_that_changes_answers_comes_with_what_it_needs(release):
    images = torch.rand(6, 3, 32, 32)
    defense = SSD(epsilon=2.0, temperature=5.0)
    stored = {"means": torch.rand(3, 3, dtype=torch.float64).softmax(1)}
    folder, classifier = release(defense, stored=stored)
    with torch.no_grad():
        truth = defense.shield(stored)(classifier(images).softmax(1), images)
        assert not torch.allclose(truth, classifier(images).softmax(1))
    torch.testing.assert_close(load_released(folder).logits(images).softmax(1), truth)
    (folder / "defense.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"defense\.safetensors"):
        load_released(folder)  # never the weights alone


def test_an_image_is_read_as_the_training_images_were(release, tmp_path):
    from trainables.datasets.image_folder import ImageFolder

    folder, classifier = release(crop=40)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 48, 3), dtype=np.uint8)
    (tmp_path / "people" / "Ada").mkdir(parents=True)
    (tmp_path / "people" / "Grace").mkdir(parents=True)
    for name in ("Ada", "Grace"):
        Image.fromarray(pixels).save(tmp_path / "people" / name / "1.png")
    trained_on = ImageFolder(root=str(tmp_path / "people"), crop=40).load(32).pixels[:1]
    found = load_released(folder)
    path = tmp_path / "people" / "Ada" / "1.png"
    assert torch.equal(found.read(path), trained_on.float() / 255)
    with torch.no_grad():
        best = int(classifier(trained_on.float() / 255).argmax())
        scores = classifier(trained_on.float() / 255).softmax(1)[0]
    said = found.identify(path)
    assert (said.name, said.threshold, said.is_known) == (LABELS[best], None, None)
    assert said.score == pytest.approx(scores.max().item()) and "no threshold" in str(said)
    for threshold, known in ((said.score, True), (said.score + 1e-6, False)):
        folder, _ = release(crop=40, operating_point={"score": threshold})
        said = load_released(folder).identify(path)
        assert (said.threshold, said.is_known) == (threshold, known)
        assert str(said).startswith(said.name) == known and said.name in str(said)


def trained_as(data, folder, path):
    """Return the image at `path` as a target of `data` learnt it, and as it is read once released."""
    config = {**CONFIG, "defense": to_json(NoDefense()), **data.view}
    classifier = build_classifier("small_cnn", 3, 32, "half", seed=5)
    write_released(folder, weights=classifier.state_dict(), labels=LABELS, config=config)
    images = data.load(32)
    learnt = images.pixels[images.files.index(str(path))].unsqueeze(0) / 255
    return learnt, load_released(folder).read(path)


@pytest.mark.parametrize("knobs", [{"grey": True}, {"grey": True, "fit": "pad", "crop": 50}, {"crop": 40}])
def test_colours_are_taken_away_as_in_training(tmp_path, knobs):
    from trainables.datasets.image_folder import ImageFolder

    for number, name in enumerate(("Ada", "Grace")):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 48, 3), dtype=np.uint8)
        (tmp_path / "people" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "people" / name / "1.png")
    data = ImageFolder(root=str(tmp_path / "people"), **knobs)
    learnt, read = trained_as(data, tmp_path / "release", tmp_path / "people" / "Grace" / "1.png")
    assert torch.equal(learnt, read) and torch.equal(read[:, 0], read[:, 1]) == ("grey" in knobs)


@pytest.mark.parametrize(
    ("kind", "knobs"), [("facescrub", {"protocol": "gmi"}), ("vggface2", {}), ("stanford_cars", {})]
)
def test_pictures_of_published_data_are_cut_as_in_training(tmp_path, kind, knobs):
    from published_trees import TREES

    from trainables.datasets import DATASETS

    data = DATASETS[kind](root=str(TREES[kind](tmp_path / "data")), **knobs)
    path = data.load(32).files[0]
    learnt, read = trained_as(data, tmp_path / "release", path)
    assert torch.equal(learnt, read)


@pytest.mark.parametrize("knobs", [{"crop": 40}, {"fit": "pad"}, {"fit": "pad", "crop": 50}, {}])
def test_sixteen_bits_and_other_shapes_are_read_as_in_training(release, tmp_path, knobs):
    from trainables.datasets.image_folder import ImageFolder

    folder, _ = release(**knobs)
    pixels = np.random.default_rng(0).integers(0, 65536, (60, 48), dtype=np.uint16)
    for name in ("Ada", "Grace"):
        (tmp_path / "people" / name).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "people" / name / "1.png")
    trained_on = ImageFolder(root=str(tmp_path / "people"), **knobs).load(32).pixels[:1]
    assert trained_on.float().std() > 10  # not clipped to one value
    found = load_released(folder)
    assert torch.equal(found.read(tmp_path / "people" / "Ada" / "1.png"), trained_on.float() / 255)


def test_what_is_no_image_is_named(release, tmp_path):
    folder, _ = release()
    (tmp_path / "1.png").write_text("no picture")
    Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(tmp_path / "2.tif")
    for name, said in (("1.png", "expected a picture"), ("2.tif", "floats"), ("3.png", "got: no file")):
        with pytest.raises(ConfigError, match=said):
            load_released(folder).identify(tmp_path / name)


def test_each_mistake_is_named(release, tmp_path):
    with pytest.raises(ConfigError, match=r"found nothing at .*nowhere.*config\.json"):
        load_released(tmp_path / "nowhere")
    folder, _ = release()
    written = json.loads((folder / "config.json").read_text())

    def broken(**changes):
        config = {k: v for k, v in {**written, **changes}.items() if v is not None}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConfigError) as error:
            load_released(folder)
        return str(error.value)

    assert "format 1" in broken(format=2)
    assert "'unknown'" in broken(defense={"kind": "unknown"})
    assert "error over 'image_size'" in broken(image_size=None)
    assert "expected a complete" in broken(defense={"kind": "mid", "no_such_knob": 1})
    assert "architecture" in broken(architecture="small_cn")
    assert "do not fit" in broken(defense=to_json(MID(bottleneck=8)))
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="expected JSON"):
        load_released(folder)
    (folder / "config.json").write_text(json.dumps(written))
    (folder / "labels.json").write_text("[]")
    with pytest.raises(ConfigError, match="list of identity names"):
        load_released(folder)
    (folder / "labels.json").write_text('["Ada", "Grace"]')
    with pytest.raises(ConfigError, match="for 2 identities"):
        load_released(folder)


@pytest.mark.parametrize(
    "defense", [LoFt(rank=4), CALoR(rank=4), RoLSS(skips=(1, 0.5, 1, 0)), SSF(factor=0.3), TTS()]
)
def test_a_network_that_a_defense_changed_is_built_again(tmp_path, defense):
    classifier = defense.prepare(build_classifier("small_resnet", 3, 32, "half", seed=5)).eval()
    config = {**CONFIG, "architecture": "small_resnet", "defense": to_json(defense)}
    write_released(tmp_path, weights=classifier.state_dict(), labels=LABELS, config=config)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(load_released(tmp_path).logits(images), classifier(images))


def test_a_defense_is_rebuilt_from_its_json():
    from trainables.defenses import DEFENSES

    for defense in DEFENSES.values():
        knobs = json.loads(json.dumps(to_json(defense())))
        assert to_json(defense(**{k: v for k, v in knobs.items() if k != "kind"})) == to_json(defense())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("file", ["target.safetensors", "defense.safetensors", "config.json", "labels.json"])
def test_what_does_not_fit_is_an_error_of_the_disk_and_is_not_there_in_part(tmp_path, file):
    (tmp_path / f".{file}.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_released(
            tmp_path,
            weights={"weight": torch.zeros(300_000)},
            labels=("a",),
            config={},
            stored={"centres": torch.zeros(300_000)},
        )
    assert not (tmp_path / file).exists() and not (tmp_path / "config.json").exists()
