"""Attack accuracy against the published evaluation, its interval against a simulation."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.metrics.attack_accuracy import attack_accuracy, interval95

GOLDEN = Path(__file__).parents[2] / "golden" / "12c_attack_accuracy_a.npz"


def test_published_evaluation():
    with np.load(GOLDEN) as arrays:
        g = {name: arrays[name] for name in arrays.files}
    groups, draws, size, classes = g["E_logits"].shape
    assert (g["labels"] == g["labels"][:, :1]).all()  # a draw repeats its group's identities
    logits = torch.tensor(g["E_logits"]).transpose(0, 1).reshape(draws, groups * size, classes)
    found = attack_accuracy(logits, torch.tensor(g["labels"][:, 0].reshape(-1)), group=size)
    assert 100 * found.top1 == pytest.approx(float(g["top1"]))
    assert 100 * found.top5 == pytest.approx(float(g["top5_group_mean"]))
    assert 100 * found.std == pytest.approx(float(g["std_top1"]))


def logits_with(success: torch.Tensor, classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits that put identity i first exactly where `success` (R, N) is true."""
    identities = torch.arange(success.shape[1]) % classes
    wanted = torch.where(success, identities, (identities + 1) % classes)
    return torch.nn.functional.one_hot(wanted, classes).float(), identities


def test_std_in_the_convention_of_papers():
    """Five groups of ten identities, five restarts with these percentages each."""
    percent = [
        [50, 60, 70, 60, 60],
        [80] * 5,
        [10, 20, 30, 40, 50],
        [0, 0, 0, 0, 20],
        [100, 100, 90, 90, 100],
    ]
    rates = torch.tensor(percent).T  # (R, groups)
    success = (torch.arange(10) < (rates // 10).unsqueeze(2)).reshape(5, 50)
    found = attack_accuracy(*logits_with(success), group=10)
    assert found.top1 == pytest.approx(0.54)
    assert found.std == pytest.approx(0.0746079071955)
    assert found.std == pytest.approx(np.mean([np.std(row, ddof=1) for row in percent]) / 100)


def test_two_restarts_have_a_std_and_one_has_none():
    """The sample deviation of two numbers is their difference over the root of 2."""
    success = torch.tensor([[True, True, False, True], [True, False, False, False]])
    found = attack_accuracy(*logits_with(success), group=2)
    assert found.std == pytest.approx(((1 - 0.5) / 2**0.5 + (0.5 - 0) / 2**0.5) / 2)
    assert attack_accuracy(*logits_with(success[:1]), group=2).std is None


def test_top5_counts_a_fifth_place_and_not_a_sixth():
    logits = torch.arange(10.0, 0, -1).repeat(1, 3, 1)
    found = attack_accuracy(logits, torch.tensor([0, 4, 5]))
    assert (found.top1, found.top5) == pytest.approx((1 / 3, 2 / 3))
    assert found.per_identity.tolist() == [1, 0, 0]


def test_fewer_than_five_classes_and_one_restart():
    found = attack_accuracy(torch.tensor([[[1.0, 0], [1, 0]]]), torch.tensor([0, 1]))
    assert (found.top1, found.top5, found.std) == (0.5, 1.0, None)


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's interval as the roots of (p - q)^2 = z^2 q (1 - q) / n."""
    z2 = 1.959963984540054**2
    roots = np.roots([1 + z2 / n, -(2 * p + z2 / n), p * p])
    return max(0.0, min(roots)), min(1.0, max(roots))


@pytest.mark.parametrize(
    ("rates", "restarts", "effective"),
    [
        ([0.0] * 8, 5, 8),  # nobody: nothing is known beyond the 8 identities
        ([1.0] * 8, 5, 8),
        ([1.0, 0.0] * 4, 5, 8),  # restarts agree: they count once
        ([0.4] * 10, 5, 50),  # no spread between identities: all restarts count
        ([0.2, 0.8] * 5, 5, 0.25 / (0.09 * 10 / 9 / 10)),
    ],
)
def test_interval_is_wilsons_with_the_effective_sample_size(rates, restarts, effective):
    rates = torch.tensor(rates, dtype=torch.float64)
    expected = wilson(rates.mean().item(), effective)
    assert interval95(rates, restarts) == pytest.approx(expected, abs=1e-7)


def test_interval_covers_the_truth_when_restarts_depend():
    """Identities differ in how easy they are: about 95 % of intervals hold the mean over all identities."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        easy = rng.beta(0.4, 1.2, size=40)  # mean 0.25, most near 0, some near 1
        rates = rng.binomial(5, easy) / 5
        low, high = interval95(torch.tensor(rates), 5)
        covered.append(low <= 0.25 <= high)
    assert 0.92 < np.mean(covered) <= 0.99
    assert not math.isnan(low + high)
