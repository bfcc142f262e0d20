"""DenseNet-121 computes what torchvision's does."""

import torch
from torchvision.models import densenet121

from trainables.architectures.densenet import UNITS, build, torchvision_key


def test_computes_torchvisions_logits():
    theirs, ours = densenet121(num_classes=5).eval(), build(5, 64).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.classifier.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_every_layer_of_the_features_is_in_one_stage_in_their_order():
    names = [name for name, _ in densenet121(num_classes=2).features.named_children()]
    assert [layer for layers in UNITS.values() for layer in layers] == names
