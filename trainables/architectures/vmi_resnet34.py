"""VMI's ResNet-34: the classifier works on 50 numbers behind the pooled map."""

from torch import nn

from trainables.architectures.base import Architecture, Classifier, stage_groups
from trainables.architectures.residual_layers import LAYERS, hooks_of, residual_stages, stage_names

BLOCKS = (3, 4, 6, 3)
LATENT = 50


def build(classes: int, image_size: int) -> Classifier:
    """Return VMI's ResNet-34 with random weights; feature 50 numbers at any image size from 32.

    Stages: those of resnet34, then latent (average, ReLU, batch norm, a layer to 50 numbers). The neck is
    ReLU and batch norm. Hooks, as in BiDO's code: stem, the four layers, the latent, the neck.
    VMI trains it from scratch. The published count of trained weights (21.14 M) freezes layer1 alone; here a
    frozen layer1 has a frozen stem below it.
    """
    from torchvision.models import resnet34

    net = resnet34(weights=None, num_classes=1)
    latent = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.ReLU(), nn.BatchNorm1d(512), nn.Linear(512, LATENT)
    )
    stages = residual_stages(net, ("conv1", "bn1", "relu", "maxpool")) | {"latent": latent}
    return Classifier(
        stages,
        neck=nn.Sequential(nn.ReLU(), nn.BatchNorm1d(LATENT)),
        head=nn.Linear(LATENT, classes),
        hooks=(*hooks_of(BLOCKS), "layer4_2", "latent", "neck"),
        skips=stage_groups(stages, LAYERS),
    )


VMI_RESNET34 = Architecture(
    kind="vmi_resnet34",
    summary="VMI's ResNet-34: a layer to 50 numbers before the head",
    source="Wang et al., NeurIPS 2021 (VMI)",
    build=build,
    stages=(*stage_names(BLOCKS), "latent"),
)
