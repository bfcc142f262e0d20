"""The surrogate of a target's scores: weights of labels, its loss, and what it trains."""

import copy

import pytest
import torch

from trainables.attacks import long_tailed
from trainables.attacks.long_tailed import label_weights, new_experts, surrogate_loss, train_experts
from trainables.errors import TrialError
from trainables.runtime.run import Run
from trainables.storage.resume import Resume


def experts(path: str = ""):
    return new_experts("small_cnn", 4, 32, count=2, path=path, normalization="half", seed=0)


def train(made, *, frozen: bool = False, run: Run | None = None, epochs: int = 2, rate: float = 0.01):
    pixels = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    scores = torch.rand(9, 4, generator=torch.manual_seed(1)).softmax(1)
    train_experts(
        made,
        pixels,
        scores,
        epochs=epochs,
        batch_size=4,
        learning_rate=rate,
        label_weight=0.15,
        diversity_weight=10.0,
        frozen=frozen,
        run=run or Run(seed=3),
        done=lambda count: None,
    )


def test_weights_of_labels_are_the_published_ones(monkeypatch):
    """Labels seen in 0, 1, 5 and 50 images; computed from the formula in other terms too."""
    monkeypatch.setattr(long_tailed, "TOP", 1)
    scores = torch.zeros(56, 4)
    for label, rows in ((1, slice(0, 1)), (2, slice(1, 6)), (3, slice(6, 56))):
        scores[rows, label] = 1.0
    expected = [1.0, 0.52631579, 0.21342030, 0.10046600]
    assert label_weights(scores).tolist() == pytest.approx(expected, rel=1e-6)
    geometric = [1 / sum(0.9**power for power in range(count + 1)) for count in (0, 1, 5, 50)]
    assert label_weights(scores).tolist() == pytest.approx(geometric, rel=1e-6)


def test_one_expert_has_no_diversity_and_equal_weights_give_the_released_loss():
    g = torch.manual_seed(2)
    outputs, answers = torch.randn(1, 6, 4, generator=g), torch.randn(6, 4, generator=g)
    loss = surrogate_loss(outputs, answers, torch.full((6,), 0.3), label_weight=0.15, diversity_weight=10.0)
    kl = torch.nn.functional.kl_div(
        (outputs[0] / 0.5).log_softmax(1), (answers / 0.5).softmax(1), reduction="batchmean"
    )
    surprise = torch.nn.functional.cross_entropy(outputs[0], answers.argmax(1))
    released = ((kl + 0.15 * surprise) * torch.full((6,), 0.3)).sum()  # the batch's scalar times each weight
    torch.testing.assert_close(loss, released)


def test_frozen_stages_stay_and_the_experts_learn():
    for frozen in (True, False):
        made = experts()
        before = copy.deepcopy(made.state_dict())
        train(made, frozen=frozen)
        after = made.state_dict()
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert all(any(name.startswith(f"experts.{n}") for name in changed) for n in (0, 1))
        assert any(name.startswith("trunk.") for name in changed) != frozen


def test_weights_of_a_file_start_the_shared_stages(tmp_path):
    from trainables.architectures.small_cnn import build

    torch.manual_seed(5)
    other = build(7, 32)
    torch.save(other.state_dict(), tmp_path / "faces.pt")
    made = experts(str(tmp_path / "faces.pt"))
    images = torch.rand(2, 3, 32, 32)
    normalised = (images - 0.5) / 0.5
    for stage in list(other.stages.values())[:-1]:
        normalised = stage(normalised)
    torch.testing.assert_close(made.features(images), normalised)


def test_a_killed_training_goes_on(tmp_path):
    whole, first, second = experts(), experts(), experts()
    train(whole, epochs=3)
    train(first, epochs=2, run=Run(seed=3, resume=Resume(tmp_path, every=0.0)))
    train(second, epochs=3, run=Run(seed=3, resume=Resume(tmp_path, every=0.0)))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_loss_that_is_not_finite_is_named():
    with pytest.raises(TrialError, match="surrogate's loss is not finite in epoch"):
        train(experts(), rate=1e30)


def test_diversity_is_that_of_the_released_code():
    """Whose experts are divided by the temperature twice, bounded in between, and their mean once."""
    g = torch.manual_seed(3)
    outputs, answers = 8 * torch.randn(3, 6, 4, generator=g), torch.randn(6, 4, generator=g)
    weights = torch.full((6,), 0.3)
    plain, diverse = (
        surrogate_loss(outputs, answers, weights, label_weight=0.15, diversity_weight=weight)
        for weight in (0.0, 10.0)
    )
    mean = outputs.mean(0).div(0.5).softmax(1)
    released = 0.0
    for expert in outputs:
        own = (expert.div(0.5).clamp(-20, 20) / 0.5).softmax(1)
        released += 1 / (own * (own.clamp_min(1e-45).log() - mean.log())).sum(1).mean()
    torch.testing.assert_close(diverse - plain, 10 * released, rtol=1e-4, atol=1e-4)
