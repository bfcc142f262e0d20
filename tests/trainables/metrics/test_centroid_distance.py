import pytest
import torch

from trainables.metrics.centroid_distance import centroid_distance

FAKES, REALS = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])


@pytest.mark.parametrize(("squared", "expected"), [(False, 2.50090825075), (True, 6.38888888889)])
def test_values_worked_out_elsewhere(squared, expected):
    own = torch.zeros(2, dtype=torch.int64), REALS, torch.zeros(3, dtype=torch.int64)
    assert centroid_distance(FAKES, *own, squared=squared) == pytest.approx(expected, abs=1e-11)


def test_each_identity_has_its_own_centroid():
    labels, real_labels = torch.tensor([5, 2]), torch.tensor([2, 5, 2])
    expected = ((4 + 0) ** 0.5 + (1**2 + 2.5**2) ** 0.5) / 2  # to (0, 2), and of (3, 4) to (2, 1.5)
    figure = centroid_distance(FAKES, labels, REALS, real_labels, squared=False)
    assert figure == pytest.approx(expected)


def test_an_identity_without_a_real_image_is_an_error():
    with pytest.raises(ValueError, match="got none of 7"):
        centroid_distance(FAKES, torch.tensor([0, 7]), REALS, torch.zeros(3), squared=False)
