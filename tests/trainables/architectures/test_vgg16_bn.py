"""VGG16-BN computes what torchvision's layers do, and has the published neck."""

import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from trainables.architectures.vgg16_bn import UNITS, build, torchvision_key


def test_stages_compute_torchvisions_features():
    theirs = nn.ModuleDict({"features": make_layers(cfgs["D"], batch_norm=True)}).eval()
    ours = build(3, 32).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    assert len(saved) == len(ours.stages.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours.run(images), theirs["features"](images), atol=1e-5)


def test_a_unit_is_convolution_norm_relu_and_the_blocks_pool():
    with torch.device("meta"):
        classifier = build(10, 64)
    assert list(classifier.stages) == [f"conv{unit}" for unit in UNITS]
    pools = [name for name, unit in classifier.stages.items() if isinstance(unit[-1], nn.MaxPool2d)]
    assert pools == ["conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"]
    assert all(
        [type(layer) for layer in unit][:3] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        for unit in classifier.stages.values()
    )


def test_neck_is_the_flat_map_through_a_norm_without_shift():
    classifier = build(10, 64)
    assert isinstance(classifier.neck[1], nn.BatchNorm1d)
    assert classifier.head.in_features == 2048
    assert not classifier.neck[1].bias.any()
