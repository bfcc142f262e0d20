"""Distillation: its loss on known logits, the mean feature on a recorded trace, students that imitate."""

import copy
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.distillation import (
    Distillation,
    ask,
    distillation_loss,
    new_student,
    restore_students,
)
from trainables.datasets.base import Images, as_float
from trainables.defenses.mid import MID
from trainables.errors import ConfigError, TrialError

GOLDEN = Path(__file__).parents[2] / "golden" / "03a_lomma_loss_a.npz"


def public(count: int = 40) -> Images:
    """Images of four squares, each of one colour."""
    squares = torch.randint(0, 256, (count, 3, 2, 2), dtype=torch.uint8, generator=torch.manual_seed(0))
    pixels = squares.repeat_interleave(16, dim=2).repeat_interleave(16, dim=3)
    return Images(
        pixels=pixels,
        labels=torch.zeros(count, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(count))),
    )


def target(classes: int = 4) -> Classifier:
    """A target that looks at the colours of the squares, so that a student can learn it from few images."""
    torch.manual_seed(0)
    stage = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.BatchNorm1d(12))
    net = Classifier({"pool": stage}, nn.Tanh(), nn.Linear(12, classes), mean=(0.5, 0.5, 0.5))
    with torch.no_grad():
        net(as_float(public().pixels))  # gives the batch norm statistics
        net.head.weight *= 5
    return net.eval()


def make(recipe: Distillation, victim: Classifier, images: Images, **options):
    return recipe.make(victim, images, **with_run({"seed": 0} | options))


def test_loss_on_known_logits():
    asked = torch.tensor([[2, -1, 0.5, 0], [0, 3, -2, 1]]).double()
    answered = torch.tensor([[1, 0, 0, 2], [0, 1, 0, 4]]).double()
    for temperature, expected in ((1, 1.47334601), (2, 0.09993024)):
        p, q = (asked / temperature).softmax(1), (answered / temperature).softmax(1)
        by_hand = (p * (p / q).log()).sum() / 2 / temperature**2
        found = distillation_loss(answered, asked, temperature)
        torch.testing.assert_close(found, by_hand)
        torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("named", "counted"), [("Nsample100", 105), ("Nsample60", 65)])
def test_mean_feature_follows_the_released_code(named, counted):
    """It takes batch b of 5 images while 5 b is at most the wanted number."""
    with np.load(GOLDEN) as arrays:
        g = {name: torch.as_tensor(arrays[name]) for name in arrays.files}
    hidden, head = nn.Linear(192, 16), nn.Linear(16, 7)
    hidden.load_state_dict({"weight": g["T_W1"].T, "bias": g["T_b1"]})
    head.load_state_dict({"weight": g["T_W2"].T, "bias": g["T_b2"]})
    net = Classifier({"hidden": nn.Sequential(nn.Flatten(), hidden, nn.Tanh())}, nn.Identity(), head)
    mean, answers = ask(net, iter(g["preg_x_batches"]), counted)
    torch.testing.assert_close(mean, g[f"preg_mean_{named}"], atol=1e-5, rtol=0)
    torch.testing.assert_close(answers, net(g["preg_x_batches"].flatten(0, 1)))


def test_mean_feature_of_all_and_of_some_images():
    images, victim = public(), target()
    features = victim.features(as_float(images.pixels)).detach()
    everything = make(Distillation(students=()), victim, images)
    torch.testing.assert_close(everything["feature_mean"], features.mean(0), atol=1e-5, rtol=0)
    assert everything["students"] == []
    few = make(Distillation(students=(), feature_images=3), victim, images)["feature_mean"]
    with_student = Distillation(students=("small_cnn",), feature_images=3, epochs=1)
    torch.testing.assert_close(make(with_student, victim, images)["feature_mean"], few)
    triples = torch.combinations(torch.arange(40), 3)
    distances = (features[triples].mean(1) - few).abs().amax(1)
    assert distances.min() < 1e-5  # three of the images, whichever they are


def test_students_learn_what_the_target_says(tmp_path):
    images, victim = public(64), target()
    before = copy.deepcopy(victim.train().state_dict())
    reports = []
    recipe = Distillation(students=("small_cnn", "small_cnn"), epochs=8, batch_size=16, learning_rate=0.05)
    made = make(recipe, victim, images, report=lambda *a, **m: reports.append((*a, m)))
    assert victim.training and all(torch.equal(before[k], v) for k, v in victim.state_dict().items())
    assert [done for _, done, _, _ in reports] == list(range(17)) and {t for _, _, t, _ in reports} == {16}
    assert {stage for stage, *_ in reports} == {"auxiliary"}
    losses = [metrics["student_loss"] for *_, metrics in reports[1:]]
    assert losses[7] < losses[0] / 2 and losses[15] < losses[8] / 2
    torch.save(made, tmp_path / "made.pt")
    students = restore_students(torch.load(tmp_path / "made.pt", weights_only=True)["students"], "cpu")
    x, answers = as_float(images.pixels), victim.eval()(as_float(images.pixels)).detach()
    mean_answer = answers.softmax(1).mean(0).log().expand_as(answers)
    for student in students:
        assert not student.training and student.mean.flatten().tolist() == [0.5] * 3
        assert distillation_loss(student(x), answers) < distillation_loss(mean_answer, answers)
    assert not torch.equal(students[0](x), students[1](x))  # two of a kind start apart


def test_same_seed_same_students():
    torch.manual_seed(1)
    recipe = Distillation(students=("small_cnn",), epochs=1)
    first = make(recipe, MID(bottleneck=6).prepare(target()), public())
    torch.manual_seed(2)
    victim = target()
    torch.manual_seed(1)
    again, other = (make(recipe, victim, public(), seed=seed) for seed in (0, 1))
    pair = [made["students"][0]["weights"]["head.weight"] for made in (first, again, other)]
    assert not torch.equal(pair[1], pair[2])
    assert torch.equal(make(recipe, victim, public())["students"][0]["weights"]["head.weight"], pair[1])


def test_a_noisy_target_answers_the_same_each_time():
    torch.manual_seed(0)
    victim = MID(bottleneck=6).prepare(target()).eval()
    with torch.no_grad():
        victim.head.encode.bias[6:] += 6  # noise that matters
    recipe = Distillation(students=("small_cnn",), epochs=1)
    first, again = (make(recipe, victim, public())["students"][0]["weights"] for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_rate_is_halved_every_twenty_epochs(monkeypatch):
    rates = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a: (rates.append(self.param_groups[0]["lr"]), step(self, *a))
    )
    make(Distillation(students=("small_cnn",), epochs=41, learning_rate=0.08), target(), public(2))
    assert rates == [0.08] * 20 + [0.04] * 20 + [0.02]


def test_a_student_that_diverges_is_a_trial_error():
    recipe = Distillation(students=("small_cnn",), epochs=3, batch_size=8, learning_rate=1e30)
    with pytest.raises(TrialError, match="student 'small_cnn' is not finite in epoch"):
        make(recipe, target(), public())


def test_efficientnets_are_those_of_torchvision_without_dropout():
    """Sizes: torchvision's b0 has 5,288,548 weights with a head of 1000 classes."""
    student = new_student("efficientnet_b0", 1000, 64, "none")
    assert sum(weight.numel() for weight in student.parameters()) == 5_288_548
    assert student.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 1000)
    assert student.features(torch.rand(2, 3, 64, 64)).shape == (2, 1280)
    assert isinstance(student.head, nn.Linear)


def test_weights_that_cannot_be_had(monkeypatch):
    def offline(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ConfigError, match=r"student 'efficientnet_b0' expects to download .*no network"):
        new_student("efficientnet_b0", 4, 32, "imagenet")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"students": ("small_cn",)}, "students must be among .*got 'small_cn'.*small_cnn"),
        ({"epochs": 0}, "epochs must be"),
        ({"batch_size": 1}, "batch_size must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"feature_images": 0}, "feature_images must be"),
    ],
)
def test_impossible_knobs(knobs, message):
    with pytest.raises(ValueError, match=message):
        Distillation(**knobs)
