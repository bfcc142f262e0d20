"""ResNets compute what torchvision's do; a residual block is one stage."""

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from trainables.architectures.residual_layers import torchvision_key
from trainables.architectures.resnet import BLOCKS, build
from trainables.training.freeze import count_parameters, freeze

TOTALS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "resnet50",
        *(pytest.param(n, marks=pytest.mark.slow) for n in BLOCKS if n[6:] in "34101152"),
    ],
)
def test_computes_torchvisions_logits(name):
    theirs, ours = get_model(name, num_classes=5).eval(), build(5, 64, name=name).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.fc.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_size_and_stages(name):
    with torch.device("meta"):
        classifier = build(1000, 224, name=name)
    assert count_parameters(classifier).total == TOTALS[name]
    blocks = [f"layer{layer}_{block}" for layer in range(1, 5) for block in range(BLOCKS[name][layer - 1])]
    assert list(classifier.stages) == ["stem", *blocks]
    assert isinstance(classifier.stages["layer2_0"].downsample, nn.Sequential)
    ends = [[block for block in blocks if block.startswith(f"layer{layer}")][-1] for layer in range(1, 4)]
    assert classifier.hooks == ("stem", *ends, "neck")


def test_the_last_layer_and_the_head_of_the_published_resnets():
    for name, classes, trained in [("resnet101", 1000, 17_013_736), ("resnet50", 8631, 32_649_655)]:
        with torch.device("meta"):
            classifier = build(classes, 224, name=name)
        freeze(classifier, f"layer3_{BLOCKS[name][2] - 1}")
        assert count_parameters(classifier).trained == trained
