"""The small CNNs are as small as they say."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.architectures.small_cnn import SMALL_CNN, TINY_CNN


@pytest.mark.parametrize(
    ("architecture", "weights", "least", "most", "feature"),
    [(SMALL_CNN, 287_456, 9e6, 10e6, 128), (TINY_CNN, 72_304, 2.4e6, 2.6e6, 64)],
)
def test_size_and_work(architecture, weights, least, most, feature):
    classifier = architecture.build(40, 32).eval()
    assert sum(weight.numel() for weight in classifier.stages.parameters()) == weights
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        classifier(torch.rand(1, 3, 32, 32))
    assert least < counter.get_total_flops() / 2 < most
    assert classifier.head.in_features == feature
