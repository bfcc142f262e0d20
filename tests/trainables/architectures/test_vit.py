"""ViT-B/16 computes what torchvision's does."""

import pytest
import torch
from torchvision.models import vit_b_16

from trainables.architectures import ARCHITECTURES
from trainables.architectures.vit import build, torchvision_key
from trainables.errors import ConfigError


def test_computes_torchvisions_logits():
    theirs, ours = vit_b_16(num_classes=5, image_size=32).eval(), build(5, 32).eval()
    torch.nn.init.normal_(theirs.heads.head.weight)  # torchvision starts it at 0
    torch.nn.init.normal_(theirs.class_token)
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.heads.head.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-4)
    left_out = [
        key for key in saved if key not in {torchvision_key(name) for name in ours.stages.state_dict()}
    ]
    assert left_out == ["heads.head.weight", "heads.head.bias"]


def test_sizes_are_whole_patches():
    with pytest.raises(
        ConfigError, match=r"vit_b_16 expects images of at least 32 pixels, a multiple of 16; got 72"
    ):
        ARCHITECTURES["vit_b_16"].check_size(72)
