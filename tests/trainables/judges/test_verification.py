import json
import math

import pytest
import torch
from torch.nn import functional

from trainables.judges.verification import (
    equal_error_rate,
    measured,
    references,
    scores,
    threshold,
)


def test_a_score_is_the_cosine_to_the_mean_of_unit_references():
    noise = torch.Generator().manual_seed(0)
    features, labels = torch.randn(9, 4, generator=noise), torch.arange(3).repeat(3)
    seen = torch.randn(2, 5, 4, generator=noise)
    result = scores(seen, references(features, labels, 3))
    assert result.shape == (2, 5, 3)
    for person in range(3):
        rows = [row / row.norm() for row in features[labels == person].double()]
        mean = torch.stack(rows).mean(0)
        expected = functional.cosine_similarity(seen.double(), mean.expand(2, 5, 4), dim=-1)
        torch.testing.assert_close(result[..., person], expected)


def test_a_score_does_not_depend_on_how_long_features_are():
    noise = torch.Generator().manual_seed(1)
    features, labels = torch.rand(8, 6, generator=noise), torch.arange(4).repeat(2)
    lengths = torch.rand(8, 1, generator=noise) * 9 + 0.1
    torch.testing.assert_close(references(features, labels, 4), references(features * lengths, labels, 4))


@pytest.mark.parametrize("pairs", [1, 2, 17, 999, 1000, 1999, 5000])
def test_no_more_impostors_than_stated_lie_above_the_threshold(pairs):
    """The lowest such score: taking the next one below lets one more through."""
    impostor = torch.rand(pairs, generator=torch.Generator().manual_seed(pairs), dtype=torch.float64)
    limit = threshold(impostor)
    above = int((impostor > limit.score).sum())
    assert above == pairs // 1000
    assert limit.false_acceptance == max(0.001, 1 / pairs)
    lower = impostor[impostor < limit.score]
    if len(lower):
        assert int((impostor > lower.max()).sum()) == above + 1


def test_equal_impostor_scores_are_all_refused():
    limit = threshold(torch.full((4000,), 0.5))
    assert not (torch.full((4000,), 0.5) > limit.score).any()


def test_the_equal_error_rate_of_known_scores():
    apart = equal_error_rate(torch.tensor([0.8, 0.9]), torch.tensor([0.1, 0.2, 0.3]))
    assert apart == 0.0
    # At 0.5 one of four genuine lies below and one of four impostors at or above.
    genuine, impostor = torch.tensor([0.4, 0.6, 0.7, 0.8]), torch.tensor([0.1, 0.2, 0.3, 0.5])
    assert equal_error_rate(genuine, impostor) == 0.25
    swapped = equal_error_rate(torch.tensor([0.1, 0.2]), torch.tensor([0.8, 0.9]))
    assert swapped == pytest.approx(1.0)


def test_the_equal_error_rate_is_the_same_under_any_rising_change_of_scores():
    noise = torch.Generator().manual_seed(3)
    genuine, impostor = torch.randn(60, generator=noise) + 1, torch.randn(300, generator=noise)
    expected = equal_error_rate(genuine, impostor)
    assert 0.1 < expected < 0.5
    assert equal_error_rate(genuine.exp(), impostor.exp()) == pytest.approx(expected)


def test_a_judge_is_measured_on_every_pair_of_test_image_and_person():
    noise = torch.Generator().manual_seed(4)
    labels = torch.tensor([0, 0, 1, 2, 2, 2])
    table = torch.rand(6, 3, generator=noise, dtype=torch.float64)
    table[torch.arange(6), labels] += 0.5
    result = measured(table, labels)
    genuine = [table[row, label].item() for row, label in enumerate(labels.tolist())]
    impostor = [
        table[row, person].item()
        for row, label in enumerate(labels.tolist())
        for person in range(3)
        if person != label
    ]
    assert result["pairs"] == {"genuine": 6, "impostor": 12}
    assert result["threshold"] == max(impostor) and result["false_acceptance"] == 1 / 12
    assert result["true_acceptance"] == pytest.approx(sum(g > max(impostor) for g in genuine) / 6)
    for person in range(3):
        own = [genuine[row] > max(impostor) for row in range(6) if labels[row] == person]
        assert result["per_identity"]["genuine"][person] == pytest.approx(sum(own) / len(own))
    assert result["per_identity"]["impostor"] == [0, 0, 0]


def test_a_person_without_a_test_image_has_no_share_and_changes_nobody_elses():
    table = torch.rand(4, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    result = measured(table, torch.tensor([0, 0, 2, 2]))
    shares = result["per_identity"]
    assert shares["genuine"][1] is None and None not in shares["impostor"]
    assert all(0 <= share <= 1 for share in (*shares["genuine"][::2], *shares["impostor"]))
    assert math.isfinite(result["equal_error_rate"])
    alone = measured(table, torch.tensor([2, 2, 2, 2]))["per_identity"]  # nobody else's images
    assert alone["genuine"][:2] == [None, None] and alone["impostor"][2] is None
    json.dumps([result, alone], allow_nan=False)
