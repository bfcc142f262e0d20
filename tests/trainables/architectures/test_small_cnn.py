"""The small CNN is as small as it says."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.architectures.small_cnn import build


def test_size_and_work():
    classifier = build(40, 32).eval()
    assert sum(weight.numel() for weight in classifier.stages.parameters()) == 287_456
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        classifier(torch.rand(1, 3, 32, 32))
    assert 9e6 < counter.get_total_flops() / 2 < 10e6
    assert classifier.head.in_features == 128
