"""Judges in pairs, counted by hand."""

import dataclasses

import pytest
import torch

from trainables.analyses.base import Opinion, Subject
from trainables.analyses.judges import Judges
from trainables.errors import ConfigError
from trainables.metrics.attack_accuracy import interval95

A = torch.tensor([[0, 1, 2], [0, 3, 1]])  # accepts 0 twice, 1 and 2 once
B = torch.tensor([[0, 2, 2], [1, 3, 1]])  # of those, 0 and 2 once
C = torch.tensor([[3, 3, 3], [3, 3, 3]])


def subject(*choices):
    names = ("classifier", "embedder", "onnx")
    opinions = tuple(
        Opinion(judge=name, choices=each, test_accuracy=0.5 + number / 10)
        for number, (name, each) in enumerate(zip(names, choices, strict=False))
    )
    pixels = torch.zeros(2, 3, 3, 1, 1, dtype=torch.uint8)
    return Subject(
        target=None,
        judge=None,
        private=None,
        reconstructions=pixels,
        identities=torch.arange(3),
        opinions=opinions,
    )


def test_pairs_of_two_judges():
    figures = Judges().measure(subject(A, B))
    assert list(zip(figures["judge"], figures["other_judge"], strict=True)) == [
        ("classifier", "embedder"),
        ("embedder", "classifier"),
    ]
    assert figures["agreement"] == [pytest.approx(4 / 6)] * 2
    low, high = interval95(torch.tensor([0.5, 0.5, 1.0]), 2)
    assert figures["agreement_low"] == [pytest.approx(low)] * 2
    assert figures["agreement_high"] == [pytest.approx(high)] * 2
    assert figures["accepted"] == [pytest.approx(4 / 6), pytest.approx(2 / 6)]
    assert figures["false_positive_rate"] == [pytest.approx(2 / 4), 0.0]
    chance = (2 * 1 + 2 * 2 + 1 * 2 + 1 * 1) / 36  # how often each names 0, 1, 2 and 3
    assert figures["kappa"] == [pytest.approx((4 / 6 - chance) / (1 - chance))] * 2
    assert (figures["judges"], figures["test_accuracy"]) == (["classifier", "embedder"], [0.5, 0.6])
    assert (figures["identities"], figures["restarts"]) == (3, 2)


def test_a_judge_that_accepts_nothing_has_no_rate():
    figures = Judges().measure(subject(A, B, C))
    rates = dict(
        zip(
            zip(figures["judge"], figures["other_judge"], strict=True),
            figures["false_positive_rate"],
            strict=True,
        )
    )
    assert len(rates) == 6
    assert rates["onnx", "classifier"] is None and rates["classifier", "onnx"] == 1.0


def test_one_judge_has_nobody_beside_it():
    with pytest.raises(ConfigError, match="expects at least 2 judges, got 1"):
        Judges().measure(dataclasses.replace(subject(A, B), opinions=subject(A).opinions))
