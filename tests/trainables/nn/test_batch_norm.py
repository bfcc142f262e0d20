"""Batch norms are folded into the layer before them where the order of layers is certain."""

import torch
from torch import nn

from trainables.nn.batch_norm import fold_batchnorm


def test_folds_what_follows_a_layer_and_leaves_the_rest():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    kinds = [type(layer) for layer in fold_batchnorm(network)]
    assert kinds == [nn.Conv2d, nn.Identity, nn.ReLU, nn.BatchNorm2d]


def test_folding_changes_no_output():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.running_mean)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval().double()
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    before = network(images)
    torch.testing.assert_close(fold_batchnorm(network)(images), before)
