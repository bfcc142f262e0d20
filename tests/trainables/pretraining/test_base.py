"""Where weights come from: a data set, a file in our or torchvision's names, torchvision, or nowhere."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.error import URLError

import pytest
import torch
from torchvision.models import get_model

from trainables.architectures import ARCHITECTURES, get_architecture
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.pretraining import PRETRAININGS
from trainables.pretraining.base import load_stages
from trainables.pretraining.checkpoint import FromCheckpoint
from trainables.pretraining.dataset import OnDataset
from trainables.pretraining.none import Scratch
from trainables.pretraining.torchvision import Torchvision
from trainables.runtime.progress import silent
from trainables.runtime.run import Run
from trainables.training.classifier import build_classifier

PACK = Path(os.environ.get("SWEEPER_FACES", Path(__file__).parents[4] / "shared" / "data"))
IMAGENET = PACK / "weights" / "mobilenet_v2_imagenet_features_state_dict.pt"


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Images of one colour per identity."""

    kind: ClassVar[str] = "colours"
    summary: ClassVar[str] = "colours"
    source: ClassVar[str] = "this test"
    identities: int = 3

    def load(self, image_size: int) -> Images:
        labels = torch.arange(self.identities).repeat_interleave(8)
        pixels = (labels * 60).view(-1, 1, 1, 1).expand(-1, 3, image_size, image_size).to(torch.uint8)
        names = tuple(map(str, range(self.identities)))
        return Images(pixels=pixels, labels=labels, names=names, files=("drawn",) * len(labels))


def state_of(pretraining, architecture="small_cnn", seed=0, report=silent):
    return pretraining.stages_state(architecture, 32, normalization="half", run=Run(seed=seed, report=report))


def test_registry_entries_say_what_they_are():
    for kind, entry in PRETRAININGS.items():
        assert entry.kind == kind
        assert entry.summary
        assert entry.source


def test_scratch_keeps_random_weights():
    classifier = build_classifier("small_cnn", 3, 32, "none", 0)
    before = {key: value.clone() for key, value in classifier.state_dict().items()}
    load_stages(classifier, state_of(Scratch()))
    assert all(torch.equal(before[key], value) for key, value in classifier.state_dict().items())


def test_dataset_gives_trained_stages_for_any_number_of_classes():
    calls = []
    pretraining = OnDataset(data=Colours(), epochs=2, batch_size=8)
    state = state_of(pretraining, report=lambda *args, **_: calls.append(args))
    classifier = build_classifier("small_cnn", 7, 32, "half", 5)
    load_stages(classifier, state)
    assert all(torch.equal(value, state[key]) for key, value in classifier.stages.state_dict().items())
    assert int(state["conv1.1.num_batches_tracked"]) > 0
    assert calls == [("pretrained", 1, 2), ("pretrained", 2, 2)]
    again = state_of(pretraining)
    assert all(torch.equal(again[key], state[key]) for key in state)


def test_dataset_with_one_identity_teaches_nothing():
    with pytest.raises(ConfigError, match="at least 2 identities"):
        state_of(OnDataset(data=Colours(identities=1)))


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_checkpoint_in_our_names_with_head(tmp_path, wrap):
    saved = build_classifier("small_cnn", 9, 32, "none", 3)
    torch.save(wrap(saved.state_dict()), tmp_path / "net.pt")
    state = state_of(FromCheckpoint(path=str(tmp_path / "net.pt")))
    assert all(torch.equal(state[key], value) for key, value in saved.stages.state_dict().items())


def test_checkpoint_of_stages_alone(tmp_path):
    saved = build_classifier("small_resnet", 9, 32, "none", 3).stages.state_dict()
    torch.save(saved, tmp_path / "stages.pt")
    state = state_of(FromCheckpoint(path=str(tmp_path / "stages.pt")), "small_resnet")
    assert all(torch.equal(state[key], saved[key]) for key in saved)


def test_checkpoint_that_does_not_fit_names_what_is_wrong(tmp_path):
    saved = build_classifier("small_cnn", 9, 32, "none", 3).stages.state_dict()
    saved["conv9.0.weight"] = saved.pop("conv2.0.weight")
    saved["conv3.0.weight"] = torch.zeros(2, 2)
    torch.save(saved, tmp_path / "odd.pt")
    with pytest.raises(ConfigError) as error:
        state_of(FromCheckpoint(path=str(tmp_path / "odd.pt")))
    for part in (
        "missing: conv2.0.weight",
        "surplus: conv9.0.weight",
        "conv3.0.weight (2, 2) instead of (64, 32",
    ):
        assert part in str(error.value)


def test_checkpoint_may_lack_batch_counters(tmp_path):
    saved = build_classifier("small_cnn", 9, 32, "none", 3).stages.state_dict()
    torch.save({k: v for k, v in saved.items() if not k.endswith("tracked")}, tmp_path / "old.pt")
    assert set(state_of(FromCheckpoint(path=str(tmp_path / "old.pt")))) == set(saved)


@pytest.mark.parametrize("normalization", ["none", "imagenet", "half"])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": {f"module.{k}": s[k] for k in s}}])
def test_checkpoint_of_this_program_says_its_normalization(tmp_path, normalization, wrap):
    pretraining = FromCheckpoint(path=str(tmp_path / "net.pt"))
    for architecture in ("small_cnn", "mobilefacenet"):
        saved = build_classifier(architecture, 4, 32, normalization, 0)
        torch.save(wrap(saved.state_dict()), tmp_path / "net.pt")
        assert pretraining.usual_normalization(architecture) == normalization


def test_checkpoint_that_says_no_normalization_has_that_of_its_architecture(tmp_path):
    pretraining = FromCheckpoint(path=str(tmp_path / "net.pt"))
    whole = build_classifier("mobilefacenet", 4, 32, "none", 0)
    others = {"mean": torch.ones(3), "std": torch.ones(3)}  # of no name
    for saved in (whole.stages.state_dict(), {**whole.state_dict(), **others}, [1, 2]):
        torch.save(saved, tmp_path / "net.pt")
        assert pretraining.usual_normalization("mobilefacenet") == "half"
    (tmp_path / "net.pt").unlink()
    assert pretraining.usual_normalization("mobilefacenet") == "half"
    assert pretraining.usual_normalization("small_cnn") is None


def test_checkpoint_missing_or_unreadable(tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        state_of(FromCheckpoint(path=str(tmp_path / "nowhere.pt")))
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(ConfigError, match="cannot be read"):
        state_of(FromCheckpoint(path=str(tmp_path / "text.pt")))
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ConfigError, match="got list"):
        state_of(FromCheckpoint(path=str(tmp_path / "list.pt")))


def test_torchvision_without_weights_or_with_a_wrong_name():
    with pytest.raises(ConfigError, match=r"vgg16_bn, resnet18, .* and torchvision:NAME; got 'small_cnn'"):
        state_of(Torchvision())
    with pytest.raises(ConfigError, match=r"IMAGENET1K_V1.*got 'IMAGENET9'"):
        state_of(Torchvision(weights="IMAGENET9"), "resnet18")


def test_torchvision_offline_says_what_to_do(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ConfigError, match=r"no route.*checkpoint"):
        state_of(Torchvision(), "resnet18")


@pytest.mark.skipif(not IMAGENET.is_file(), reason="the faces pack with ImageNet weights is not here")
def test_imagenet_file_gives_torchvisions_features():
    from torchvision.models import mobilenet_v2

    classifier = build_classifier("mobilenet_v2", 3, 64, "none", 0).eval()
    load_stages(classifier, state_of(FromCheckpoint(path=str(IMAGENET)), "mobilenet_v2"))
    theirs = mobilenet_v2().eval()
    theirs.load_state_dict(torch.load(IMAGENET, weights_only=True), strict=False)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs.features(images).mean((2, 3))
        assert torch.allclose(classifier.features(images), expected, atol=1e-4)


def test_architectures_with_torchvision_weights_are_the_named_ones():
    assert [name for name, entry in ARCHITECTURES.items() if entry.torchvision_weights] == [
        "vgg16_bn",
        "resnet18",
        "mobilenet_v2",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "densenet121",
        "inception_v3",
        "maxvit_t",
        "vit_b_16",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(name for name, entry in ARCHITECTURES.items() if entry.torchvision_weights),
        "torchvision:resnext50_32x4d",
        "torchvision:swin_v2_t",
    ],
)
def test_torchvisions_weights_enumeration_of_each_is_found_and_fits(name, monkeypatch):
    """The download is replaced by a network of torchvision's own, as large as the published one."""
    network = name.partition(":")[2] or name
    auxiliary = {"init_weights": False} if network == "inception_v3" else {}
    with torch.device("meta"):
        published = get_model(network, **auxiliary).state_dict()
    urls = []

    def download(url, **_):
        urls.append(url)
        return published

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    state = Torchvision().stages_state(name, 224, run=Run(seed=0), normalization="imagenet")
    assert len(urls) == 1 and network.split("_")[0] in urls[0]
    with torch.device("meta"):
        stages = get_architecture(name).build(2, 224).stages.state_dict()
    assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in stages.items()}


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_torchvisions_cached_file_is_read_as_data_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save({"a": Harmful()}, tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    with pytest.raises(ConfigError, match=r"resnet18-f37072fd.*delete it"):
        state_of(Torchvision(), "resnet18")
    assert not (tmp_path / "ran").exists()


def test_torchvisions_default_is_no_name():
    with pytest.raises(ValueError, match=r"must name one set.*got DEFAULT"):
        Torchvision(weights="DEFAULT")
