"""Four layers of residual blocks behind a stem, as torchvision and timm name them."""

from torch import nn

LAYERS = ("layer1", "layer2", "layer3", "layer4")


def stage_names(blocks: tuple[int, ...]) -> tuple[str, ...]:
    """Return stem, layer1_0 … layer4_N for so many blocks in each layer."""
    units = zip(LAYERS, blocks, strict=True)
    return ("stem", *(f"{layer}_{number}" for layer, count in units for number in range(count)))


def residual_stages(net: nn.Module, stem: tuple[str, ...]) -> dict[str, nn.Module]:
    """Return the stages of a network in torchvision's layout.

    stem: names of its layers before ``layer1``.
    """
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(*(net.get_submodule(name) for name in stem))}
    for layer in LAYERS:
        stages |= {f"{layer}_{number}": block for number, block in net.get_submodule(layer).named_children()}
    return stages


def hooks_of(blocks: tuple[int, ...]) -> tuple[str, ...]:
    """Return the stem and the ends of layers 1 to 3 for so many blocks in each layer."""
    return ("stem", *(f"{layer}_{count - 1}" for layer, count in zip(LAYERS[:3], blocks, strict=False)))


def torchvision_key(key: str) -> str:
    """Return torchvision's and timm's name of the stage weight `key`: ``layer1_0.…`` -> ``layer1.0.…``."""
    stage, rest = key.split(".", 1)
    if stage == "stem":
        layer, name = rest.split(".", 1)
        return f"{('conv1', 'bn1')[int(layer)]}.{name}"
    return f"{stage.replace('_', '.')}.{rest}"
