import pytest
import torch

from trainables.metrics.base import Evidence, Skipped
from trainables.metrics.prdc import Coverage, Density, Precision, Recall, neighbourhood


def line(*points):
    return torch.tensor(points, dtype=torch.float64)[:, None]


def test_worked_out_on_a_line():
    """Reals 0, 1, 3 reach 1, 1 and 2 to their nearest other; fakes 0.5, 2.5, 9 reach 2, 2 and 6.5."""
    figures = neighbourhood(line(0.5, 2.5, 9.0), line(0.0, 1.0, 3.0), neighbours=1)
    assert figures.precision == pytest.approx(2 / 3)  # 9 lies in no ball
    assert figures.density == pytest.approx((2 + 1 + 0) / 3)  # 0.5 in those of 0 and 1; 2.5 in that of 3
    assert figures.coverage == pytest.approx(3 / 3)
    assert figures.recall == pytest.approx(3 / 3)  # 0 and 1 near 0.5, 3 near 2.5


def test_the_same_points_and_points_far_away():
    points = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    same = neighbourhood(points, points, 3)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    # a point lies in its own ball and in those of whom it is one of the two nearer than the third
    assert same.density == pytest.approx((1 + 2) / 3)
    away = neighbourhood(points + 100, points, 3)
    assert (away.precision, away.recall, away.density, away.coverage) == (0, 0, 0, 0)


def test_against_loops():
    noise = torch.Generator().manual_seed(1)
    fake, real = (
        torch.randn(9, 3, generator=noise).double(),
        torch.randn(7, 3, generator=noise).double() * 1.5,
    )
    k = 2

    def radius(points, at):
        return sorted((points[at] - other).norm().item() for other in points)[k]

    inside = [[(r - f).norm().item() < radius(real, i) for f in fake] for i, r in enumerate(real)]
    reached = [[(r - f).norm().item() < radius(fake, j) for j, f in enumerate(fake)] for r in real]
    figures = neighbourhood(fake, real, k)
    columns = list(zip(*inside, strict=True))
    assert figures.precision == pytest.approx(sum(map(any, columns)) / 9)
    assert figures.density == pytest.approx(sum(map(sum, inside)) / (k * 9))
    assert figures.coverage == pytest.approx(sum(map(any, inside)) / 7)
    assert figures.recall == pytest.approx(sum(map(any, reached)) / 7)
    assert 0 < figures.precision < 1 or 0 < figures.recall < 1


def test_what_lies_at_the_end_of_a_ball_is_not_in_it():
    """Reals 0 and 2 reach 2, fakes 4 and 6 too: 2 and 4 are just as far from each other."""
    figures = neighbourhood(line(4.0, 6.0), line(0.0, 2.0), neighbours=1)
    assert (figures.precision, figures.recall, figures.density, figures.coverage) == (0, 0, 0, 0)
    nearer = neighbourhood(line(3.9, 5.9), line(0.0, 2.0), neighbours=1)
    assert (nearer.precision, nearer.recall, nearer.density, nearer.coverage) == (0.5, 0.5, 0.5, 0.5)


def test_one_neighbour_is_enough_and_none_is_not():
    assert Precision(neighbours=1).measure(evidence(reals=2)) >= 0
    with pytest.raises(ValueError, match="neighbours must be at least 1; got 0"):
        Precision(neighbours=0)


def evidence(restarts=4, reals=5):
    noise = torch.Generator().manual_seed(0)
    return Evidence(
        reconstructions=torch.zeros(restarts, 2, 3, 4, 4, dtype=torch.uint8),
        identities=torch.tensor([2, 0]),
        logits=torch.zeros(restarts, 2, 3),
        features=torch.randn(restarts, 2, 3, generator=noise),
        confidences=torch.zeros(restarts, 2, 3),
        private_features=torch.randn(3 * reals, 3, generator=noise),
        private_labels=torch.arange(3).repeat_interleave(reals),
    )


@pytest.mark.parametrize("metric", [Precision, Recall, Density, Coverage])
def test_a_metric_is_the_mean_over_identities(metric):
    seen = evidence()
    name = metric.kind.removeprefix("prdc_")
    each = [
        getattr(
            neighbourhood(seen.features[:, place], seen.private_features[5 * label : 5 * label + 5], 3), name
        )
        for place, label in enumerate((2, 0))
    ]
    assert metric().measure(seen) == pytest.approx(sum(each) / 2)


def test_too_few_images_are_a_reason_and_no_figure():
    with pytest.raises(Skipped, match="prdc_recall needs more than 3 reconstructions of each person"):
        Recall().measure(evidence(restarts=3))
    assert Precision().measure(evidence(restarts=3)) >= 0
    with pytest.raises(Skipped, match="prdc_density needs more than 5 private training images"):
        Density(neighbours=5).measure(evidence())
