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


def towards_uniform(probabilities: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """A defense that answers half as surely, and gives way to the first class where a picture is dark."""
    dark = (images.flatten(1).mean(1) < 0.5)[:, None]
    first = torch.eye(CLASSES)[:1]
    return torch.where(dark, first, (probabilities + 1 / CLASSES) / 2)


def test_a_shield_stands_before_every_answer():
    target, asked = classifier().eval(), images()
    asked[:3] *= 0.2
    truth = towards_uniform(target(asked).softmax(1), asked)
    oracle = observe(target, "scores", "cpu", shield=towards_uniform)
    torch.testing.assert_close(oracle(asked), truth, atol=1e-5, rtol=1e-5)
    labels = observe(target, "labels", "cpu", shield=towards_uniform)(asked)
    assert torch.equal(labels, truth.argmax(1)) and (labels[:3] == 0).all()
    assert observe(target, "white-box", "cpu", shield=towards_uniform) is target


class Remembering:
    """A shield that notes the pictures, and answers with a class of its own for each call."""

    def __init__(self) -> None:
        self.pictures: list[torch.Tensor] = []

    def __call__(self, probabilities: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        self.pictures.append(images)
        number = (1, 4, 2, 2, 4)[len(self.pictures) - 1]
        return torch.eye(CLASSES)[number].expand_as(probabilities)


def test_averaged_answers_are_those_to_nearly_equal_pictures_and_all_count():
    shield = Remembering()
    oracle = ScoreOracle(classifier(), "cpu", shield=shield, averaged=5)
    answers, asked = oracle(images()), images()
    assert oracle.queries == 5 * 7
    torch.testing.assert_close(answers, torch.tensor([[0, 0.2, 0.4, 0, 0.4]]).expand(7, -1))
    assert torch.equal(shield.pictures[0], asked)
    for number, picture in enumerate(shield.pictures[1:], 1):
        change = (picture - asked).abs()
        assert change.max() <= 1 / 255 + 1e-6 and change.mean() > 0.9 / 255
        assert not any(torch.equal(picture, other) for other in shield.pictures[:number])


def test_the_most_frequent_label_is_taken_and_of_equals_that_of_the_image_itself():
    def voting(*classes: int) -> int:
        numbers = iter(classes)
        oracle = LabelOracle(
            classifier(),
            "cpu",
            shield=lambda p, _: torch.eye(CLASSES)[next(numbers)].expand_as(p),
            averaged=len(classes),
        )
        (label,) = oracle(images(1)).tolist()
        return label

    assert voting(1, 4, 2, 2) == 2
    assert voting(3, 1, 1, 3) == 3
    assert voting(4, 1) == 4
    assert voting(4, 1, 2, 1, 2) == 1


def test_averaging_does_not_depend_on_how_questions_are_batched():
    target, noise = classifier(noisy=True), torch.randn(7, 6)
    oracle = ScoreOracle(target, "cpu", averaged=3)
    whole = oracle(images(), noise)
    cut = torch.cat([oracle(images()[:2], noise[:2]), oracle(images()[2:], noise[2:])])
    torch.testing.assert_close(cut, whole)


def test_averaging_undoes_the_noise_of_a_head():
    target = classifier(noisy=True).eval()
    with torch.no_grad():
        target.head.encode.bias[6:] = 5.0  # loud
    noise = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        many = torch.stack([target(images()).softmax(1) for _ in range(400)]).mean(0)
    once, often = (ScoreOracle(target, "cpu", averaged=n)(images(), noise) for n in (1, 6))
    assert (often - many).abs().mean() < 0.8 * (once - many).abs().mean()
