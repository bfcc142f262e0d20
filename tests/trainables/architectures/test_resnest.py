"""ResNeSt-101 computes what timm's does, and has the published numbers of weights."""

import sys

import pytest
import torch

from trainables.architectures import freeze_points, get_architecture
from trainables.architectures.residual_layers import torchvision_key
from trainables.architectures.resnest import build
from trainables.errors import ConfigError
from trainables.training.freeze import count_parameters, freeze


def test_weights_as_published():
    pytest.importorskip("timm")
    for classes, trained, total in [(1000, 27_937_000, 48_275_016), (120, 26_133_880, 46_471_896)]:
        with torch.device("meta"):
            classifier = build(classes, 224)
        freeze(classifier, "layer3_14")
        counts = count_parameters(classifier)
        assert (counts.trained, counts.total) == (trained, total)


@pytest.mark.slow
def test_computes_timms_logits():
    timm = pytest.importorskip("timm")
    theirs, ours = timm.create_model("resnest101e", num_classes=5).eval(), build(5, 64).eval()
    saved = theirs.state_dict()
    ours.stages.load_state_dict({key: saved[torchvision_key(key)] for key in ours.stages.state_dict()})
    ours.head.load_state_dict(theirs.fc.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("name", ["resnest101", "timm:resnet10t"])
def test_without_timm_the_extra_is_named(name, monkeypatch):
    from trainables.architectures.library import _plan, library_architecture

    library_architecture.cache_clear()
    _plan.cache_clear()
    freeze_points.cache_clear()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=rf"'{name}' expects timm.*pip install 'inversion-sweeper\[timm\]'"):
        get_architecture(name).build(2, 64)
    if name == "resnest101":
        assert len(freeze_points(name)) == 35  # known without it
