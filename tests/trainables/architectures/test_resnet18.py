"""ResNet-18 computes what torchvision's does; a residual block is one stage."""

import torch
from torch import nn
from torchvision.models import resnet18

from trainables.architectures.resnet18 import build, torchvision_key


def test_computes_torchvisions_logits():
    theirs, ours = resnet18(num_classes=5).eval(), build(5, 64).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.fc.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_stages():
    with torch.device("meta"):
        stages = build(5, 64).stages
    blocks = [f"layer{layer}_{block}" for layer in range(1, 5) for block in range(2)]
    assert list(stages) == ["stem", *blocks]
    assert isinstance(stages["layer2_0"].downsample, nn.Sequential)
