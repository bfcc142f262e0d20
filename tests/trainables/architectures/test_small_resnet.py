"""The small residual network: its blocks, and as much work as it says."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.architectures.small_resnet import Residual, build


def test_block_adds_path_and_shortcut():
    block, x = Residual(4, 8, stride=2).eval(), torch.rand(2, 4, 8, 8)
    assert block(x).shape == (2, 8, 4, 4)
    assert torch.allclose(block(x), (block.path(x) + block.shortcut(x)).clamp_min(0))
    assert torch.equal(Residual(4, 4, stride=1).shortcut(x), x)


def test_size_and_work():
    classifier = build(40, 32).eval()
    assert sum(weight.numel() for weight in classifier.stages.parameters()) == 1_226_400
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        classifier(torch.rand(1, 3, 32, 32))
    assert 15e6 < counter.get_total_flops() / 2 < 17e6
    assert classifier.head.in_features == 256
