"""MobileNetV2 computes what torchvision's does."""

import torch
from torchvision.models import mobilenet_v2

from trainables.architectures.mobilenet_v2 import build, torchvision_key


def test_computes_torchvisions_logits():
    theirs, ours = mobilenet_v2(num_classes=5).eval(), build(5, 64).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.classifier[1].state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    assert list(ours.stages) == [f"features_{number}" for number in range(19)]
