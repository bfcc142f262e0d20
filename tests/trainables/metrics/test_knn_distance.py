from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.metrics.knn_distance import knn_distance

GOLDEN = Path(__file__).parents[2] / "golden" / "12b_knn_distance_a.npz"


def test_published_evaluation():
    with np.load(GOLDEN) as arrays:
        g = {name: torch.as_tensor(arrays[name]) for name in arrays.files}
    found = knn_distance(g["fake_feat"], g["fake_label"], g["real_feat"], g["real_label"])
    assert found == pytest.approx(float(g["knn_kedmi_code"]), rel=1e-5)
    assert found == pytest.approx(float(g["knn_lomma_code"]), rel=1e-4)  # adds 1e-6 to each coordinate


def test_by_hand():
    fakes, reals = torch.tensor([[0.0, 0], [3, 4]]), torch.tensor([[2.0, 0], [0, 3], [3, 1]])
    assert knn_distance(fakes, torch.zeros(2), reals, torch.zeros(3)) == pytest.approx(6.5)


def test_only_the_same_label_counts():
    fakes, reals = torch.tensor([[0.0], [10.0]]), torch.tensor([[10.0], [0.0]])
    assert knn_distance(fakes, torch.tensor([0, 1]), reals, torch.tensor([0, 1])) == pytest.approx(100)


def test_a_label_without_real_images():
    with pytest.raises(ValueError, match="none of 3"):
        knn_distance(torch.zeros(1, 2), torch.tensor([3]), torch.zeros(1, 2), torch.tensor([0]))
