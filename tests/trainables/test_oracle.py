"""Oracles answer as the target does, give nothing else, count, and draw noise image by image."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import check_fit
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle, observe, seen_as
from trainables.priors.base import PriorNetworks

CLASSES = 5
THREATS = ["white-box", "scores", "labels"]


def classifier(noisy: bool = False) -> Classifier:
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout())
    target = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(4 * 36, CLASSES))
    target(torch.rand(8, 3, 8, 8))  # gives the batch norm statistics
    return MID(bottleneck=6).prepare(target) if noisy else target


def images(count: int = 7) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_scores_are_the_targets_probabilities():
    target = classifier()
    scores = ScoreOracle(target, "cpu")(images())
    torch.testing.assert_close(scores, target.eval()(images()).softmax(1), atol=1e-5, rtol=1e-5)
    assert not scores.requires_grad


def test_labels_are_the_targets_decisions():
    target = classifier()
    labels = LabelOracle(target, "cpu")(images())
    assert labels.dtype == torch.int64 and torch.equal(labels, target.eval()(images()).argmax(1))


@pytest.mark.parametrize("oracle", [ScoreOracle, LabelOracle])
def test_nothing_but_the_answer_comes_back(oracle):
    asked = images().requires_grad_(True)
    answer = oracle(classifier(), "cpu")(asked)
    assert answer.grad_fn is None and not answer.requires_grad
    public = {name for name in dir(oracle(classifier(), "cpu")) if not name.startswith("_")}
    assert public == {"queries", "classes", "noise_size"}


def test_every_image_is_counted():
    oracle = LabelOracle(classifier(), "cpu")
    for count in (3, 1, 5):
        oracle(images(count))
    assert oracle.queries == 9


@pytest.mark.parametrize("noisy", [False, True])
def test_knows_the_number_of_classes_without_asking(noisy):
    oracle = ScoreOracle(classifier(noisy), "cpu")
    assert oracle.classes == CLASSES and oracle.queries == 0
    assert oracle.noise_size == (6 if noisy else 0)


def test_a_target_whose_classes_cannot_be_counted_is_refused():
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), nn.Identity())
    with pytest.raises(ConfigError, match="ends in a linear layer; got Identity"):
        LabelOracle(target, "cpu")


def test_the_target_is_left_alone_and_later_training_is_not_seen():
    target = classifier().train()
    oracle = ScoreOracle(target, "cpu")
    before = oracle(images())
    assert target.training and all(weight.requires_grad for weight in target.parameters())
    with torch.no_grad():
        target.head.weight.zero_()
    assert torch.equal(oracle(images()), before)


def test_noise_is_drawn_image_by_image():
    whole = ScoreOracle(classifier(noisy=True), "cpu", seed=3)(images())
    parts = ScoreOracle(classifier(noisy=True), "cpu", seed=3)
    cut = torch.cat([parts(images()[:2]), parts(images()[2:])])
    torch.testing.assert_close(cut, whole)
    other = ScoreOracle(classifier(noisy=True), "cpu", seed=4)(images())
    assert not torch.allclose(other, whole)


def test_the_same_question_twice_meets_fresh_noise():
    oracle = ScoreOracle(classifier(noisy=True), "cpu")
    assert not torch.equal(oracle(images(1)), oracle(images(1)))


def test_noise_can_be_lent():
    target, noise = classifier(noisy=True).eval(), torch.randn(7, 6)
    with head_noise(target, noise):
        expected = target(images()).softmax(1)
    torch.testing.assert_close(ScoreOracle(target, "cpu")(images(), noise), expected, atol=1e-5, rtol=1e-5)


def test_no_images_are_no_question():
    oracle = ScoreOracle(classifier(noisy=True), "cpu")
    assert oracle(images(0)).shape == (0, CLASSES) and oracle.queries == 0


@pytest.mark.parametrize("threat_model", THREATS)
def test_observe_gives_what_the_threat_model_allows(threat_model):
    target = classifier()
    seen = observe(target, threat_model, "cpu")
    assert seen_as(seen) == threat_model
    assert (seen is target) == (threat_model == "white-box")


@pytest.mark.parametrize("wants", THREATS)
@pytest.mark.parametrize("has", THREATS)
def test_an_attack_gets_what_it_asks_for_no_more_and_no_less(wants, has):
    generator = nn.Sequential(nn.Linear(4, 192), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
    prior = PriorNetworks(generator, nn.Identity(), 4)
    target = observe(classifier().eval(), has, "cpu")
    if wants == has:
        check_fit(target, prior, torch.tensor([0]), "cpu", wants)
        assert has == "white-box" or target.queries == 0
        return
    with pytest.raises(ConfigError, match=f"a {wants} attack expects a"):
        check_fit(target, prior, torch.tensor([0]), "cpu", wants)
