"""MaxViT-T in torchvision's shape: convolution and two kinds of attention in each of its layers."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier, stage_groups

LAYERS = (2, 2, 5, 2)  # of each block; the first of each halves the resolution
REDUCTION = 32  # of the side, from the image to the last block


def build(classes: int, image_size: int) -> Classifier:
    """Return MaxViT-T with random weights; feature 512 numbers at any image size divisible by 32.

    Stages: stem, blocks_0_0 … blocks_3_1 (torchvision's blocks.0.layers.0 …). Neck and head are torchvision's
    ``classifier``: average, layer norm, a linear layer, tanh, and a linear layer without bias.
    Attention sees windows of S / 32 pixels: 7 at 224, as published; ImageNet's weights fit there alone.
    Hooks: the last unit at each resolution (stem and the ends of blocks 0 to 2) and the feature; unpublished.
    Stochastic depth 0.2, as torchvision has it.
    """
    from torchvision.models.maxvit import MaxVit

    net = MaxVit(  # torchvision's maxvit_t, whose windows are 7 pixels at any size
        input_size=(image_size, image_size),
        stem_channels=64,
        block_channels=[64, 128, 256, 512],
        block_layers=list(LAYERS),
        head_dim=32,
        stochastic_depth_prob=0.2,
        partition_size=image_size // REDUCTION,
        num_classes=1,
    )
    stages: dict[str, nn.Module] = {"stem": net.stem}
    for number, block in enumerate(net.blocks):
        layers = block.get_submodule("layers").children()
        stages |= {f"blocks_{number}_{place}": layer for place, layer in enumerate(layers)}
    *neck, _ = net.classifier
    head = nn.Linear(512, classes, bias=False)
    nn.init.normal_(head.weight, std=0.02)  # torchvision's own start
    return Classifier(
        stages,
        neck=nn.Sequential(*neck),
        head=head,
        hooks=("stem", "blocks_0_1", "blocks_1_1", "blocks_2_4", "neck"),
        skips=stage_groups(stages, [f"blocks_{number}" for number in range(len(LAYERS))]),
    )


def torchvision_key(key: str) -> str:
    """Return torchvision's name of the stage weight `key`: ``blocks_0_1.…`` -> ``blocks.0.layers.1.…``."""
    stage, rest = key.split(".", 1)
    if stage == "stem":
        return key
    _, block, layer = stage.split("_")
    return f"blocks.{block}.layers.{layer}.{rest}"


MAXVIT_T = Architecture(
    kind="maxvit_t",
    summary="MaxViT-T: stem and 11 layers of convolution and attention",
    source="Tu et al., ECCV 2022",
    build=build,
    torchvision_weights="MaxVit_T_Weights",
    torchvision_key=torchvision_key,
    stages=("stem", *(f"blocks_{n}_{layer}" for n, count in enumerate(LAYERS) for layer in range(count))),
    multiple=REDUCTION,
)
