"""What every metric must keep, whatever it is."""

import pytest
import torch

from trainables.metrics import GROUPS, METRICS
from trainables.metrics.base import Evidence, Skipped

NEEDS = {"face_distance": {"path": "no such file"}}
WEIGHTS = ("face_distance", "fid", "lpips")  # measured only where a file is
pytestmark = pytest.mark.parametrize("name", METRICS)


def measure(name: str, seen: Evidence) -> float | None:
    """Return the figure; skip the test where the metric says that it needs a file that is not there."""
    try:
        return METRICS[name](**NEEDS.get(name, {})).measure(seen)
    except Skipped:
        assert name in WEIGHTS
        pytest.skip("measured only with weights: its own tests have some")


def evidence(order: torch.Tensor, restarts: int = 4) -> Evidence:
    """Return random evidence of eight identities, put in `order`."""
    noise = torch.Generator().manual_seed(0)
    count, classes, width = 8, 10, 6
    images = torch.randint(0, 256, (restarts, count, 3, 4, 4), generator=noise, dtype=torch.uint8)
    logits, seen = (torch.randn(restarts, count, classes, generator=noise) for _ in range(2))
    return Evidence(
        reconstructions=images[:, order],
        identities=torch.arange(count)[order],
        logits=logits[:, order],
        features=torch.randn(restarts, count, width, generator=noise)[:, order],
        confidences=seen.softmax(2)[:, order],
        private_features=torch.randn(4 * classes, width, generator=noise),
        private_labels=torch.arange(classes).repeat(4),
        threshold=0.0,
        private_images=torch.randint(0, 256, (4 * classes, 3, 4, 4), generator=noise, dtype=torch.uint8),
    )


def test_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.kind == name and metric.summary and metric.source and metric.unit
    assert metric.direction in ("maximize", "minimize")


def test_lies_within_its_bounds(name):
    metric = METRICS[name]
    figure = measure(name, evidence(torch.arange(8)))
    assert metric.low is None or figure >= metric.low
    assert metric.high is None or figure <= metric.high


def test_one_restart_leaves_out_the_spread_alone(name):
    if name == "prdc_recall":
        with pytest.raises(Skipped, match="more than 3 reconstructions of each person"):
            METRICS[name]().measure(evidence(torch.arange(8), restarts=1))
        return
    figure = measure(name, evidence(torch.arange(8), restarts=1))
    assert (figure is None) == (name == "attack_accuracy_std")


def test_the_order_of_identities_does_not_matter(name):
    first, second = (measure(name, evidence(order)) for order in (torch.arange(8), torch.arange(7, -1, -1)))
    assert first == pytest.approx(second)


def test_optional_ones_enter_no_verdict(name):
    metric = METRICS[name]
    assert metric.beside_verdict or not metric.optional
    assert not (metric.optional and metric.objective)
    assert all(METRICS[member].optional for members in GROUPS.values() for member in members)
