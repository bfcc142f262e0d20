import pytest
import torch

from trainables.metrics.attack_accuracy import interval95
from trainables.results import AttackResult, Interval
from trainables.trial_result import average, highest, proportion


def attack(per_identity, restarts):
    return AttackResult(
        kind="gmi",
        threat_model="white-box",
        metrics={},
        interval=Interval(low=0.0, high=1.0),
        per_identity=per_identity,
        restarts=restarts,
        seconds={},
        history=[],
        path="",
    )


def test_the_strongest_of_several_attacks_has_the_interval_of_a_maximum():
    dice = torch.Generator().manual_seed(0)
    attacks = [
        attack(per_identity=torch.bernoulli(torch.full((60,), 0.1), generator=dice).tolist(), restarts=1)
        for _ in range(8)
    ]
    strongest = max(attacks, key=lambda one: sum(one.per_identity))
    alone = interval95(torch.tensor(strongest.per_identity), 1)
    assert highest(attacks).high == alone[1]
    assert highest(attacks).low < alone[0]
    assert highest([strongest]).to_json() == list(alone)


@pytest.mark.parametrize(("share", "count"), [(0.85, 240), (0.0, 60), (1.0, 20)])
def test_an_accuracy_has_wilsons_interval_over_its_images(share, count):
    z2 = 1.959963984540054**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = (z2 * (share * (1 - share) / count + z2 / (4 * count**2))) ** 0.5 / (1 + z2 / count)
    expected = [max(0.0, centre - half), min(1.0, centre + half)]
    assert proportion(share, count).to_json() == pytest.approx(expected)


def test_the_mean_of_attacks_has_an_interval_over_identities():
    one = attack(per_identity=[1.0, 0.0, 1.0, 0.0], restarts=1)
    other = attack(per_identity=[1.0, 0.5, 0.0, 0.0], restarts=2)
    value, interval = average([one, other])
    assert value == pytest.approx((1.0 + 0.25 + 0.5 + 0.0) / 4)
    assert interval.to_json() == list(interval95(torch.tensor([1.0, 0.25, 0.5, 0.0]), 3))
