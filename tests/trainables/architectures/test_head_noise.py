"""Noise lent to a stochastic head stays in its context, its thread and its classifier."""

import threading

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import draw_noise, head_noise
from trainables.defenses.mid import BottleneckHead


def stochastic() -> Classifier:
    return Classifier({"a": nn.Flatten()}, nn.Identity(), BottleneckHead(12, 3, 4))


def test_a_tensor_is_used_as_it_is():
    classifier, noise = stochastic(), torch.randn(2, 4)
    with head_noise(classifier, noise):
        assert torch.equal(draw_noise(classifier.head, torch.zeros(2, 4)), noise)


def test_a_generator_gives_the_same_noise_again():
    classifier = stochastic()
    drawn = []
    for _ in range(2):
        with head_noise(classifier, torch.Generator().manual_seed(3)):
            drawn.append(draw_noise(classifier.head, torch.zeros(2, 4)))
    assert torch.equal(*drawn)


def test_nothing_is_left_behind_and_contexts_nest():
    first, second = stochastic(), stochastic()
    one, two = torch.ones(1, 4), 2 * torch.ones(1, 4)
    like = torch.zeros(1, 4)
    with head_noise(first, one):
        with head_noise(second, two):
            assert torch.equal(draw_noise(first.head, like), one)
            assert torch.equal(draw_noise(second.head, like), two)
        assert not torch.equal(draw_noise(second.head, like), two)
    assert not torch.equal(draw_noise(first.head, like), one)


def test_another_thread_does_not_see_it():
    classifier, noise, seen = stochastic(), torch.zeros(1, 4), []
    with head_noise(classifier, noise):
        thread = threading.Thread(target=lambda: seen.append(draw_noise(classifier.head, torch.zeros(1, 4))))
        thread.start()
        thread.join()
    assert not torch.equal(seen[0], noise)


def test_a_wrong_number_of_rows_is_an_error():
    classifier = stochastic()
    with head_noise(classifier, torch.zeros(3, 4)), pytest.raises(ValueError, match=r"\(2, 4\).*\(3, 4\)"):
        classifier(torch.zeros(2, 3, 2, 2))


def test_a_deterministic_classifier_takes_none():
    plain = Classifier({"a": nn.Flatten()}, nn.Identity(), nn.Linear(12, 3))
    assert plain.noise_size == 0
    images = torch.rand(2, 3, 2, 2)
    with head_noise(plain, torch.randn(2, 0)):
        assert torch.equal(plain(images), plain(images))
