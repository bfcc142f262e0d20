"""StyleGAN2 checkpoints: the published pickles, read without running them, or safetensors made of them."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trainables.errors import ConfigError, MissingError
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape
from trainables.nn.stylegan2.generator import Generator, GeneratorShape
from trainables.storage.disk import draft_of
from trainables.storage.file_kinds import file_kind
from trainables.storage.safe_pickle import Inert, Refused, read

Weights = dict[str, Tensor]
HEADER = "stylegan2"  # where a safetensors file keeps the shapes of its networks, as JSON


@dataclass(frozen=True)
class Shapes:
    """Shapes of the two networks of a checkpoint."""

    generator: GeneratorShape
    discriminator: DiscriminatorShape


@dataclass(frozen=True)
class StyleGAN2Checkpoint:
    """Two networks: shapes, and weights by their published names."""

    shapes: Shapes
    generator: Weights
    discriminator: Weights

    def networks(self) -> tuple[Generator, Discriminator]:
        """Return both networks with their weights; ConfigError names keys that miss or are too many."""
        generator, discriminator = Generator(self.shapes.generator), Discriminator(self.shapes.discriminator)
        fill(generator, self.generator, "generator")
        usual = {} if "b4.usual" in self.discriminator else {"b4.usual": torch.zeros([])}
        fill(discriminator, {**self.discriminator, **usual}, "discriminator")
        return generator, discriminator


def fill(network: nn.Module, state: Weights, name: str) -> None:
    """Load `state` into `network`; raise ConfigError where names or shapes differ."""
    expected = network.state_dict()
    missing, surplus = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    other = sorted(key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape)
    problems = {"missing": missing, "too many": surplus, "of another shape": other}
    if any(problems.values()):
        differences = "; ".join(
            f"{what}: {', '.join(keys[:8])}{' …' if len(keys) > 8 else ''}"
            for what, keys in problems.items()
            if keys
        )
        raise ConfigError(
            f"expected the weights of a StyleGAN2 {name} as published with StyleGAN2-ADA in PyTorch; got "
            f"weights {differences}; take an unchanged checkpoint of that code"
        )
    network.load_state_dict(state)


def load(path: Path) -> StyleGAN2Checkpoint:
    """Return the checkpoint at `path`, a published .pkl or a .safetensors of `convert`."""
    return _converted(path) if is_converted(path) else _published(path)


def is_converted(path: Path) -> bool:
    """Return whether the file at `path` is safetensors, by its content, else by its name."""
    kind = file_kind(path) if path.is_file() else "unknown"
    return kind == "safetensors" or (kind == "unknown" and path.suffix == ".safetensors")


def shapes(path: Path) -> Shapes:
    """Return what the networks at `path` are made of, without their weights where the file allows it."""
    if is_converted(path):
        with _opened(path) as file:
            return _header(file, path)
    status = path.stat() if path.is_file() else None
    return _published_shapes(path, None if status is None else (status.st_size, status.st_mtime_ns))


def convert(source: Path, target: Path) -> StyleGAN2Checkpoint:
    """Write the checkpoint at `source`, a published .pkl, to `target` as safetensors, which holds no code.

    Returns what was written. Raises ConfigError for a source that is none; nothing is left of a failed write.
    """
    checkpoint = load(source)
    checkpoint.networks()  # what cannot be loaded is not written
    parts = {"generator": checkpoint.generator, "discriminator": checkpoint.discriminator}
    tensors = {
        f"{part}.{key}": value.contiguous() for part, state in parts.items() for key, value in state.items()
    }
    header = {HEADER: json.dumps(dataclasses.asdict(checkpoint.shapes))}
    with draft_of(target) as draft:
        draft.write_bytes(save(tensors, metadata=header))  # save_file meets a full disk without an OSError
    return checkpoint


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except FileNotFoundError:
        raise MissingError(
            f"expected a StyleGAN2 checkpoint, found no file at {path}; check the path, or make it of a "
            f"published pickle: `sweeper prepare stylegan2 FILE.pkl -o {path}`"
        ) from None
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"expected a safetensors file at {path}, got: {error}") from None


def _header(file: Any, path: Path) -> Shapes:
    text = (file.metadata() or {}).get(HEADER)
    if text is None:
        raise ConfigError(
            f"expected a safetensors file that `sweeper prepare stylegan2` wrote, {path} has no "
            f"'{HEADER}' in its header; convert the published .pkl"
        )
    parts = json.loads(text)
    for part in parts.values():
        part["channels"] = tuple(part["channels"])
    return Shapes(GeneratorShape(**parts["generator"]), DiscriminatorShape(**parts["discriminator"]))


def _converted(path: Path) -> StyleGAN2Checkpoint:
    with _opened(path) as file:
        shapes = _header(file, path)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no mapping
    generator, discriminator = (
        {key.removeprefix(part): value for key, value in tensors.items() if key.startswith(part)}
        for part in ("generator.", "discriminator.")
    )
    return StyleGAN2Checkpoint(shapes, generator, discriminator)


@functools.lru_cache(maxsize=8)
def _published_shapes(path: Path, version: tuple[int, int] | None) -> Shapes:
    return _published(path).shapes


def _published(path: Path) -> StyleGAN2Checkpoint:
    kind = "a StyleGAN2 checkpoint (.pkl of StyleGAN2-ADA in PyTorch, or .safetensors)"
    contents = file_kind(path) if path.is_file() else "unknown"
    if " " in contents:
        raise ConfigError(f"expected {kind} in {path}, got {contents}")
    try:
        content = read(path, kind)
    except Refused as refused:
        if not refused.name.startswith("dnnlib.tflib."):
            raise
        raise ConfigError(
            f"expected {kind}, {path} is one of the TensorFlow code (it asks for {refused.name}); take the "
            "same checkpoint from the PyTorch code's publisher"
        ) from None
    if not (
        isinstance(content, Mapping)
        and all(isinstance(content.get(name), Inert) for name in ("G_ema", "D"))
        and (content["G_ema"].name, content["D"].name) == ("Generator", "Discriminator")
    ):
        raise ConfigError(
            f"expected a checkpoint with the networks G_ema and D of StyleGAN2-ADA in PyTorch in {path}, got "
            f"{_describe(content)}; take the PyTorch version of the checkpoint"
        )
    try:
        generator, discriminator = _state(content["G_ema"]), _state(content["D"])
        shapes = Shapes(
            _generator_shape(content["G_ema"], generator), _discriminator_shape(content["D"], discriminator)
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"expected networks of StyleGAN2-ADA in PyTorch in {path}, but {error} is not where they have "
            "it; take a checkpoint of that code (StyleGAN3's own networks differ)"
        ) from None
    return StyleGAN2Checkpoint(shapes, generator, discriminator)


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return type(content).__name__
    return ", ".join(
        f"{key}: {getattr(value, 'name', type(value).__name__)}" for key, value in content.items()
    )


def _state(module: Inert, prefix: str = "") -> Weights:
    """Return the weights and buffers of a module and those inside it, by the names PyTorch gives them."""
    own = {**module.state["_parameters"], **module.state["_buffers"]}
    dropped = module.state.get("_non_persistent_buffers_set", ())
    state: Weights = {
        prefix + key: value for key, value in own.items() if value is not None and key not in dropped
    }
    for name, child in module.state["_modules"].items():
        if child is not None:
            state |= _state(child, f"{prefix}{name}.")
    return state


def _part(module: Inert, path: str) -> dict[str, Any]:
    """Return the attributes of the module at `path` inside `module`."""
    for name in path.split("."):
        module = module.state["_modules"][name]
    return module.state


def _resolutions(module: Inert) -> list[int]:
    """Return 4, 8, … up to the resolution; raise ConfigError for networks that are not of the usual kind."""
    side, colours = int(module.state["img_resolution"]), int(module.state["img_channels"])
    if side < 8 or side & (side - 1) or colours != 3:
        raise ConfigError(
            f"expected a StyleGAN2 of square colour images of a power of two, got {side} pixels and "
            f"{colours} channels; choose another checkpoint"
        )
    return [2**power for power in range(2, side.bit_length())]


def _expect(what: str, expected: str, got: str) -> None:
    if expected != got:
        raise ConfigError(
            f"expected a StyleGAN2 whose {what} is '{expected}', as in all published ones; got '{got}'; "
            "choose another checkpoint"
        )


def _clamp(value: Any) -> float | None:
    return None if value is None else float(value)


def _generator_shape(module: Inert, state: Weights) -> GeneratorShape:
    sides = _resolutions(module)
    for side in sides:
        _expect("generator's kind", "skip", _part(module, f"synthesis.b{side}")["architecture"])
        _expect("activation", "lrelu", _part(module, f"synthesis.b{side}.conv1")["activation"])
    return GeneratorShape(
        latent_size=int(module.state["z_dim"]),
        label_size=int(module.state["c_dim"]),
        style_size=int(module.state["w_dim"]),
        channels=tuple(state[f"synthesis.b{side}.conv1.weight"].shape[0] for side in sides),
        mapping_layers=int(_part(module, "mapping")["num_layers"]),
        mapping_rate=float(_part(module, "mapping.fc0")["bias_gain"]),
        clamp=_clamp(_part(module, f"synthesis.b{sides[-1]}.conv1")["conv_clamp"]),
        noise="synthesis.b4.conv1.noise_const" in state,
    )


def _discriminator_shape(module: Inert, state: Weights) -> DiscriminatorShape:
    sides = _resolutions(module)
    for side in sides[1:]:
        _expect("discriminator's kind", "resnet", _part(module, f"b{side}")["architecture"])
    label_size = int(module.state["c_dim"])
    statistic = module.state["_modules"]["b4"].state["_modules"].get("mbstd")
    group = 1 if statistic is None else statistic.state["group_size"]
    return DiscriminatorShape(
        # a block's conv0 keeps the width of its resolution, the last block's fc that of 4 x 4 pixels
        channels=(
            state["b4.fc.weight"].shape[0],
            *(state[f"b{side}.conv0.weight"].shape[0] for side in sides[1:]),
        ),
        label_size=label_size,
        mapping_layers=int(_part(module, "mapping")["num_layers"]) if label_size else 8,
        mapping_rate=float(_part(module, "mapping.fc0")["bias_gain"]) if label_size else 0.01,
        group=2**31 if group is None else int(group),
        clamp=_clamp(_part(module, f"b{sides[-1]}.conv1")["conv_clamp"]),
    )
