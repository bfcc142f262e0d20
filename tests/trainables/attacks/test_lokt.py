"""LOKT's search: guided by the mean of its surrogates, asking nothing, telling what was asked before."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.lokt import LOKT
from trainables.attacks.plg import PLG
from trainables.errors import ConfigError
from trainables.nn.conditional_gan import ClassifyingDiscriminator, ConditionalGenerator
from trainables.oracle import LabelOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run


def tiny(surrogates: int) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = ConditionalGenerator(4, 2, 32, 5)
    generator(torch.randn(20, 5))  # gives the batch norm statistics
    target = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, 5)).eval()
    critic = ClassifyingDiscriminator(2, 32, 5, [target] * surrogates)
    critic.queries.fill_(1234)
    return target, PriorNetworks(generator.eval(), critic.eval(), 5)


def invert(attack, target, prior, identities=(3, 1)):
    return attack.invert(target, prior, torch.tensor(identities), run=Run(seed=0))


def test_nothing_is_asked_and_what_was_asked_before_is_told():
    target, prior = tiny(1)
    oracle = LabelOracle(target, "cpu")
    found = invert(LOKT(iterations=2, restarts=1), oracle, prior)
    assert oracle.queries == 0 and found.queries == 1234


def test_a_surrogate_that_is_the_target_gives_plgs_result(monkeypatch):
    target, prior = tiny(1)
    monkeypatch.setattr(LOKT, "kind", "plg")  # the same random streams
    ours = invert(LOKT(iterations=4, restarts=1), LabelOracle(target, "cpu"), prior)
    plg = invert(PLG(iterations=4, restarts=1), target, prior)
    torch.testing.assert_close(ours.latents, plg.latents, atol=1e-5, rtol=1e-5)


class Fixed(nn.Module):
    """Logits that are `margin` for label 0 and 0 for the others, whatever the image."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x: Tensor) -> Tensor:
        return functional.one_hot(torch.zeros(len(x), dtype=torch.int64), 5) * (self.margin + 0 * x.mean())


def test_surrogates_are_averaged_and_views_are_summed():
    target, prior = tiny(0)
    prior.discriminator.surrogates.extend([Fixed(1.0), Fixed(3.0)])
    found = invert(LOKT(iterations=1, restarts=1), LabelOracle(target, "cpu"), prior, [1])
    assert found.history[0]["identity_loss"] == pytest.approx(2 * (1.0 + 3.0) / 2)


def test_costs_what_it_says():
    target, prior = tiny(0)
    prior.discriminator.surrogates.extend([Fixed(1.0), Fixed(3.0)])
    counts = [[0, 0], [0, 0]]

    def count(number: int, output: Tensor) -> None:
        counts[number][0] += len(output)
        counts[number][1] += len(output) if output.requires_grad else 0

    for number, surrogate in enumerate(prior.discriminator.surrogates):
        surrogate.register_forward_hook(lambda _, inputs, output, number=number: count(number, output))
    attack = LOKT(iterations=3, restarts=2)
    invert(attack, LabelOracle(target, "cpu"), prior)
    costs = attack.passes()
    assert counts == [[2 * costs.surrogate_forward, 2 * costs.surrogate_backward]] * 2  # two identities
    assert costs.target_forward == 0 < costs.surrogate_forward


def test_without_surrogates_the_discriminators_head_guides():
    target, prior = tiny(0)
    oracle = LabelOracle(target, "cpu")
    first = invert(LOKT(iterations=2, restarts=1), oracle, prior)
    with torch.no_grad():
        weight = prior.discriminator.labels.parametrizations.weight.original
        weight.copy_(weight.flip(0))
    second = invert(LOKT(iterations=2, restarts=1), oracle, prior)
    assert not torch.equal(first.latents, second.latents)


def test_a_prior_that_learnt_no_labels_is_refused():
    target, prior = tiny(0)
    plain = PriorNetworks(prior.generator, nn.Identity(), 5)
    with pytest.raises(ConfigError, match="attack 'lokt' expects a prior that learnt the target's labels"):
        invert(LOKT(), LabelOracle(target, "cpu"), plain)
