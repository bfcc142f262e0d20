"""Published checkpoints: a pickle laid out as the published ones gives its networks, and never runs."""

import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.nn.stylegan2.checkpoint import convert, load, shapes
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape
from trainables.nn.stylegan2.generator import Generator, GeneratorShape

GENERATOR = GeneratorShape(
    latent_size=6, label_size=2, style_size=5, channels=(4, 3, 2), mapping_layers=2, clamp=256.0
)
DISCRIMINATOR = DiscriminatorShape(channels=(5, 4, 3), group=4, clamp=256.0, label_size=2, mapping_layers=3)


class Persistent:
    """Pickled as the published classes are: their source as text, and their attributes."""

    def __init__(self, name: str, state: dict) -> None:
        self.name, self.state = name, state

    def __reduce__(self):
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        source = "raise SystemExit('the source in the file was run')"
        meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": self.name,
            "state": self.state,
        }
        return rebuild, (meta,)


@pytest.fixture
def published(monkeypatch):
    """A function that writes a checkpoint as the published code would; its modules are gone afterwards."""

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the class in the file was made")

    class EasyDict(dict):
        """A dictionary of the published code's own."""

    for name, member in (
        ("torch_utils.persistence", _reconstruct_persistent_obj),
        ("dnnlib.util", EasyDict),
    ):
        module = types.ModuleType(name)
        member.__module__, member.__qualname__ = name, member.__name__
        setattr(module, member.__name__, member)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setitem(sys.modules, name.split(".")[0], types.ModuleType(name.split(".")[0]))

    def write(path: Path, **networks: Persistent | None) -> Path:
        kwargs = EasyDict(class_name="training.dataset.ImageFolderDataset", path="faces.zip")
        path.write_bytes(pickle.dumps({"training_set_kwargs": kwargs, "augment_pipe": None, **networks}))
        monkeypatch.delitem(sys.modules, "torch_utils.persistence")
        monkeypatch.delitem(sys.modules, "dnnlib.util")
        return path

    return write


def persistent(module: nn.Module, name: str, extra: dict[str, dict], path: str = "") -> Persistent:
    """A module with its children as published: attributes by path from `extra`, and PyTorch's own."""
    own = dict(module.named_parameters(recurse=False))
    state = {
        "training": False,
        "_parameters": OrderedDict(own) | ({"bias": None} if "bias" in module._parameters else {}) | own,
        "_buffers": OrderedDict(module.named_buffers(recurse=False)),
        "_non_persistent_buffers_set": set(),
        "_modules": OrderedDict(
            (key, persistent(child, type(child).__name__, extra, f"{path}.{key}".lstrip(".")))
            for key, child in module.named_children()
        ),
        "act_gain": np.sqrt(2),  # a NumPy number, as in the published files
        **extra.get(path, {}),
    }
    state["_buffers"].pop("usual", None)  # ours alone
    return Persistent(name, state)


def generator_file(network: Generator, **changes: dict) -> Persistent:
    shape = network.shape
    extra = {
        "": {
            "z_dim": shape.latent_size,
            "c_dim": shape.label_size,
            "w_dim": shape.style_size,
            "img_resolution": shape.resolution,
            "img_channels": 3,
        },
        "mapping": {"num_layers": shape.mapping_layers, "w_avg_beta": 0.995},
        "mapping.fc0": {"bias_gain": shape.mapping_rate},
    }
    for side in (4, 8, 16):
        extra[f"synthesis.b{side}"] = {"architecture": "skip", "is_last": side == 16}
        extra[f"synthesis.b{side}.conv1"] = {"activation": "lrelu", "conv_clamp": 256, "use_noise": True}
    return persistent(network, "Generator", {**extra, **changes})


def discriminator_file(network: Discriminator, **changes: dict) -> Persistent:
    shape = network.shape
    extra = {
        "": {"c_dim": shape.label_size, "img_resolution": 16, "img_channels": 3},
        "mapping": {"num_layers": shape.mapping_layers},
        "mapping.fc0": {"bias_gain": shape.mapping_rate},
    }
    for side in (8, 16):
        extra[f"b{side}"] = {"architecture": "resnet"}
        extra[f"b{side}.conv1"] = {"activation": "lrelu", "conv_clamp": 256}
    file = persistent(network, "Discriminator", {**extra, **changes})
    statistic = Persistent(
        "MinibatchStdLayer",
        {"_parameters": {}, "_buffers": {}, "_modules": {}, "group_size": shape.group, "num_channels": 1},
    )
    file.state["_modules"]["b4"].state["_modules"]["mbstd"] = statistic
    return file


@pytest.fixture
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    generator, discriminator = Generator(GENERATOR), Discriminator(DISCRIMINATOR)
    with torch.no_grad():
        for network in (generator, discriminator):
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape))  # biases and strengths that are not 0
        generator.mapping.w_avg.normal_()
    return generator.eval(), discriminator.eval()


def same(found: tuple[nn.Module, nn.Module], wanted: tuple[nn.Module, nn.Module]) -> None:
    z, labels, images = torch.randn(4, 6), torch.eye(2)[[0, 1, 1, 0]], torch.randn(4, 3, 16, 16)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
    assert torch.equal(found[0](z, labels, psi=0.5), wanted[0](z, labels, psi=0.5))
    assert torch.equal(found[1].train()(images, labels), wanted[1].train()(images, labels))


def test_a_published_pickle_gives_its_networks(tmp_path, published, networks):
    generator, discriminator = networks
    path = published(
        tmp_path / "ffhq.pkl",
        G=generator_file(generator),
        D=discriminator_file(discriminator),
        G_ema=generator_file(generator),
    )
    assert shapes(path).generator == GENERATOR and shapes(path).discriminator == DISCRIMINATOR
    same(load(path).networks(), networks)
    with torch.device("meta"):  # under which untrained networks are built
        weights = load(path).generator
    assert all(value.device.type == "cpu" for value in weights.values())


def test_converted_to_safetensors(tmp_path, published, networks):
    generator, discriminator = networks
    path = published(
        tmp_path / "ffhq.pkl", D=discriminator_file(discriminator), G_ema=generator_file(generator)
    )
    target = tmp_path / "ffhq.safetensors"
    convert(path, target)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ffhq.pkl", "ffhq.safetensors"]
    assert shapes(target) == shapes(path)
    same(load(target).networks(), networks)


def test_keys_that_miss_or_are_too_many_are_named(tmp_path, published, networks):
    file = generator_file(networks[0])
    block = file.state["_modules"]["synthesis"].state["_modules"]["b8"].state["_modules"]
    block["conv9"] = block.pop("torgb")
    path = published(tmp_path / "odd.pkl", D=discriminator_file(networks[1]), G_ema=file)
    with pytest.raises(
        ConfigError, match=r"missing: synthesis\.b8\.torgb\..*; too many: synthesis\.b8\.conv9\."
    ):
        load(path).networks()
    with pytest.raises(ConfigError, match="missing"):
        convert(path, tmp_path / "odd.safetensors")
    assert not (tmp_path / "odd.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthesis.b8": {"architecture": "resnet"}}, "generator's kind is 'skip'.*got 'resnet'"),
        ({"synthesis.b8.conv1": {"activation": "relu", "conv_clamp": None}}, "activation is 'lrelu'.*'relu'"),
        ({"mapping": {}}, "'num_layers' is not where"),
        (
            {"": {"z_dim": 6, "c_dim": 2, "w_dim": 5, "img_resolution": 24, "img_channels": 3}},
            "power of two, got 24",
        ),
    ],
)
def test_networks_of_another_make(tmp_path, published, networks, change, message):
    path = published(
        tmp_path / "other.pkl",
        D=discriminator_file(networks[1]),
        G_ema=generator_file(networks[0], **change),
    )
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.parametrize("content", [[1, 2], {"G": 1}, {"G_ema": 1, "D": 2}])
def test_other_data(tmp_path, content):
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ConfigError, match="expected a checkpoint with the networks G_ema and D"):
        load(path)


def test_files_that_are_not_there_or_not_ours(tmp_path):
    for name in ("missing.pkl", "missing.safetensors"):
        with pytest.raises(ConfigError, match="found no file at"):
            shapes(tmp_path / name)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"0123456789abcdef")
    with pytest.raises(ConfigError, match="expected a safetensors file at"):
        load(broken)

    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match="sweeper prepare stylegan2"):
        load(tmp_path / "other.safetensors")
