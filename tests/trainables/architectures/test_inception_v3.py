"""Inception-v3 computes what torchvision's does."""

import pytest
import torch
from torchvision.models import inception_v3

from trainables.architectures import ARCHITECTURES
from trainables.architectures.inception_v3 import build, torchvision_key
from trainables.errors import ConfigError


def test_computes_torchvisions_logits():
    theirs = inception_v3(num_classes=5, aux_logits=True, init_weights=False).eval()
    ours, saved = build(5, 96).eval(), theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.fc.state_dict())
    images = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)
    left_out = {
        key for key in saved if key not in {torchvision_key(name) for name in ours.stages.state_dict()}
    }
    assert all(key.startswith(("fc.", *ARCHITECTURES["inception_v3"].surplus)) for key in left_out)


def test_the_smallest_image():
    ARCHITECTURES["inception_v3"].check_size(75)
    with torch.device("meta"), torch.no_grad():
        assert build(2, 75).eval()(torch.zeros(1, 3, 75, 75)).shape == (1, 2)
        with pytest.raises(RuntimeError):
            build(2, 74).eval()(torch.zeros(1, 3, 74, 74))
    with pytest.raises(ConfigError, match=r"at least 75 pixels; got 74 \(judge.input_size\)"):
        ARCHITECTURES["inception_v3"].check_size(74, "judge.input_size")
