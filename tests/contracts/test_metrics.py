"""What every metric must keep, whatever it is."""

import pytest
import torch

from trainables.metrics import METRICS
from trainables.metrics.base import Evidence

pytestmark = pytest.mark.parametrize("name", METRICS)


def evidence(order: torch.Tensor, restarts: int = 3) -> Evidence:
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
        private_features=torch.randn(2 * classes, width, generator=noise),
        private_labels=torch.arange(classes).repeat(2),
        threshold=0.0,
    )


def test_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.kind == name and metric.summary and metric.source and metric.unit
    assert metric.direction in ("maximize", "minimize")


def test_lies_within_its_bounds(name):
    metric = METRICS[name]
    figure = metric().measure(evidence(torch.arange(8)))
    assert metric.low is None or figure >= metric.low
    assert metric.high is None or figure <= metric.high


def test_one_restart_leaves_out_the_spread_alone(name):
    figure = METRICS[name]().measure(evidence(torch.arange(8), restarts=1))
    assert (figure is None) == (name == "attack_accuracy_std")


def test_the_order_of_identities_does_not_matter(name):
    first, second = (
        METRICS[name]().measure(evidence(order)) for order in (torch.arange(8), torch.arange(7, -1, -1))
    )
    assert first == pytest.approx(second)
