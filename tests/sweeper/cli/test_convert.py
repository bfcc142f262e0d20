"""`sweeper prepare stylegan2` on small pickles that are laid out as the published ones."""

import os
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from sweeper.cli.app import main
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape
from trainables.nn.stylegan2.generator import Generator, GeneratorShape
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.storage.strict_yaml import parse_yaml


class Named:
    """Pickled, it is a call of the function ``module.name`` with some arguments."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.function, self.arguments = getattr(sys.modules[module], name), arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture
def importable(monkeypatch):
    """A function that makes ``module.name`` exist for as long as pickles are written."""

    def make(module: str, name: str) -> None:
        def function(*_: object) -> None:
            raise AssertionError("the pickle was run")

        function.__module__, function.__qualname__ = module, name
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        setattr(sys.modules[module], name, function)

    return make


def module_state(module: nn.Module, extra: dict[str, dict[str, Any]], path: str = "") -> dict[str, Any]:
    buffers = OrderedDict(module.named_buffers(recurse=False))
    buffers.pop("usual", None)  # ours alone
    return {
        "_parameters": OrderedDict(module.named_parameters(recurse=False)),
        "_buffers": buffers,
        "_modules": OrderedDict(
            (name, persistent(type(child).__name__, module_state(child, extra, f"{path}.{name}".lstrip("."))))
            for name, child in module.named_children()
        ),
        **extra.get(path, {}),
    }


def persistent(name: str, state: dict[str, Any]) -> Named:
    meta = {"type": "class", "class_name": name, "state": state, "module_src": "raise SystemExit('run')"}
    return Named("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


def contents(**changes: dict[str, Any]) -> dict[str, Any]:
    torch.manual_seed(0)
    generator = Generator(
        GeneratorShape(latent_size=6, style_size=5, channels=(4, 3, 2), mapping_layers=2, mapping_rate=0.01)
    )
    discriminator = Discriminator(DiscriminatorShape(channels=(5, 4, 3), group=4))
    common = {"c_dim": 0, "img_resolution": 16, "img_channels": 3}
    extra = {
        "": {"z_dim": 6, "w_dim": 5, **common},
        "mapping": {"num_layers": 2},
        "mapping.fc0": {"bias_gain": 0.01},
        **{f"synthesis.b{side}": {"architecture": "skip"} for side in (4, 8, 16)},
        **{f"synthesis.b{side}.conv1": {"activation": "lrelu", "conv_clamp": None} for side in (4, 8, 16)},
        **changes,
    }
    of_d = {"": common, **{f"b{side}": {"architecture": "resnet"} for side in (8, 16)}}
    of_d |= {f"b{side}.conv1": {"conv_clamp": None} for side in (8, 16)}
    critic = module_state(discriminator, of_d)
    statistic = {"_parameters": {}, "_buffers": {}, "_modules": {}, "group_size": 4}
    critic["_modules"]["b4"].arguments[0]["state"]["_modules"]["mbstd"] = persistent("Statistic", statistic)
    return {
        "G_ema": persistent("Generator", module_state(generator, extra)),
        "D": persistent("Discriminator", critic),
    }


@pytest.fixture
def published(tmp_path, importable) -> Path:
    importable("torch_utils.persistence", "_reconstruct_persistent_obj")
    path = tmp_path / "faces.pkl"
    path.write_bytes(pickle.dumps(contents()))
    return path


def run(*arguments: object):
    return CliRunner().invoke(main, ["prepare", "stylegan2", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The one line that a refused call ends with."""
    found = run(*arguments)
    assert found.exit_code == 2 and isinstance(found.exception, SystemExit), found.output
    *before, line = found.stderr.strip().splitlines()
    assert all(text.startswith("reading ") for text in before) and line.startswith("error: expected ")
    assert not found.stdout
    return line


def test_what_is_written_is_a_prior(published, tmp_path):
    found = run(published)
    assert found.exit_code == 0, found.output
    file = tmp_path / "faces.safetensors"
    weights = sum(weight.numel() for weight in Generator(GENERATOR).parameters())
    assert f"written: {file}" in found.stdout
    assert "16 x 16 pixels; latents of 6 numbers, 6 styles of 5;" in found.stdout
    assert f"{weights / 1e6:.1f} M parameters" in found.stdout and "[-1, 1]" in found.stdout
    assert f"prior: {{kind: stylegan2, path: {file}}}" in found.stdout
    ours, theirs = (StyleGAN2Prior(path=str(path)).build(16) for path in (file, published))
    assert ours.latent_size == theirs.latent_size == 6


@pytest.mark.parametrize(
    "name", ["my, faces: x.safetensors", "a #{b}.safetensors", "c" * 99 + " d.safetensors"]
)
def test_the_line_for_a_study_is_one_wherever_the_file_lies(published, tmp_path, name):
    found = run(published, "-o", tmp_path / name)
    line = found.stdout.split("In a study:\n")[1]
    expected = {"kind": "stylegan2", "path": str(tmp_path / name)}
    assert parse_yaml(line, "test") == {"prior": expected} and line.count("\n") == 1


GENERATOR = GeneratorShape(latent_size=6, style_size=5, channels=(4, 3, 2), mapping_layers=2)


def test_another_name_and_a_file_that_exists(published, tmp_path):
    target = tmp_path / "other.safetensors"
    target.write_text("mine")
    assert f"{target} exists; choose another (-o) or replace it (--force)" in refused(published, "-o", target)
    assert target.read_text() == "mine"
    found = run(published, "-o", target, "--force")
    assert found.exit_code == 0 and f"replaced: {target}" in found.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces.pkl", "other.safetensors"]
    assert f"{tmp_path} exists; choose another (-o)" in refused(published, "-o", tmp_path, "--force")
    assert "got " + str(target) + ", which is a safetensors file" in refused(target)


def test_where_nothing_can_be_written(published, tmp_path):
    line = refused(published, "-o", tmp_path / "missing" / "new.safetensors")
    assert "a file that can be written" in line and "No such file" in line


def test_files_that_are_none(tmp_path):
    assert f"found no file at {tmp_path / 'none.pkl'}" in refused(tmp_path / "none.pkl")
    assert f"found no file at {tmp_path}" in refused(tmp_path)
    other = tmp_path / "picture.pkl"
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04 a zip", b"\x80\x04\x95"):
        other.write_bytes(content)
        assert (
            f"a StyleGAN2 checkpoint (.pkl of StyleGAN2-ADA in PyTorch, or .safetensors) in {other}"
            in refused(other)
        )


def test_a_pickle_that_would_run_code(tmp_path):
    path, mark = tmp_path / "evil.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"G_ema": Named("posix", "system", f"touch {mark}")}))
    line = refused(path)
    assert "it asks for posix.system, which was not run; take the file from its publisher" in line
    assert not mark.exists() and not (tmp_path / "evil.safetensors").exists()
    assert os.system is not None


def test_keys_that_miss_or_are_too_many(tmp_path, importable):
    importable("torch_utils.persistence", "_reconstruct_persistent_obj")
    content = contents()
    block = (
        content["G_ema"]
        .arguments[0]["state"]["_modules"]["synthesis"]
        .arguments[0]["state"]["_modules"]["b8"]
    )
    parts = block.arguments[0]["state"]["_modules"]
    parts["conv9"] = parts.pop("torgb")
    path = tmp_path / "odd.pkl"
    path.write_bytes(pickle.dumps(content))
    line = refused(path)
    assert "missing: synthesis.b8.torgb.affine.bias" in line
    assert "too many: synthesis.b8.conv9.affine.bias" in line
    assert not (tmp_path / "odd.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthesis.b8": {"architecture": "resnet"}}, "generator's kind is 'skip'"),
        ({"": {"z_dim": "six", "w_dim": 5, "c_dim": 0, "img_resolution": 16, "img_channels": 3}}, "six"),
        ({"": {}}, "'img_resolution' is not where they have it"),
    ],
)
def test_networks_of_another_make(tmp_path, importable, change, message):
    importable("torch_utils.persistence", "_reconstruct_persistent_obj")
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(contents(**change)))
    assert message in refused(path)


def test_networks_of_stylegan3(tmp_path, importable):
    importable("torch_utils.persistence", "_reconstruct_persistent_obj")
    content = contents()
    synthesis = (
        content["G_ema"].arguments[0]["state"]["_modules"]["synthesis"].arguments[0]["state"]["_modules"]
    )
    synthesis["L0_36_512"] = synthesis.pop("b4")
    path = tmp_path / "stylegan3.pkl"
    path.write_bytes(pickle.dumps(content))
    assert "'b4' is not where they have it" in refused(path) and "StyleGAN3" in refused(path)


def test_a_module_without_weights(tmp_path, importable):
    importable("torch_utils.persistence", "_reconstruct_persistent_obj")
    content = contents()
    del content["G_ema"].arguments[0]["state"]["_parameters"]
    path = tmp_path / "bare.pkl"
    path.write_bytes(pickle.dumps(content))
    assert "'_parameters' is not where they have it" in refused(path)


def test_checkpoints_of_the_tensorflow_code(tmp_path, importable):
    importable("dnnlib.tflib.network", "Network")
    path = tmp_path / "tf.pkl"
    path.write_bytes(pickle.dumps((Named("dnnlib.tflib.network", "Network"),)))
    line = refused(path)
    assert "is one of the TensorFlow code (it asks for dnnlib.tflib.network.Network)" in line
    assert "take the same checkpoint from the PyTorch code's publisher" in line


def test_help_has_an_example():
    found = run("--help")
    assert found.exit_code == 0 and "sweeper prepare stylegan2 ffhq.pkl" in found.output
