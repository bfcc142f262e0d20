"""RLB-MI: its reward against plain computations, and that agents learn."""

import math

import pytest
import torch
from contexts import with_run
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.optim.actor_critic import Agents
from trainables.attacks.rlb import RLB, reward
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent
from trainables.runtime.run import Run

WEIGHTS = {"state_weight": 2.0, "action_weight": 2.0, "margin_weight": 8.0, "floor": 1e-7}


def test_reward_on_hand_computed_probabilities():
    here = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    there = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
    got = reward(here, there, torch.tensor([0, 1]), **WEIGHTS)
    first = 2 * math.log(0.7) + 2 * math.log(0.5) + 8 * math.log(0.5)
    second = 2 * math.log(0.2) + 2 * math.log(0.25) + 8 * math.log(1e-7)  # another class is ahead
    assert got.tolist() == pytest.approx([first, second], rel=1e-5)


def test_reward_of_a_probability_of_zero_is_finite():
    p = torch.tensor([[0.0, 1.0]])
    assert torch.isfinite(reward(p, p, torch.tensor([0]), **WEIGHTS)).all()


def tiny(noisy: bool = False) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))
    head = nn.Linear(48, 5)
    with torch.no_grad():
        head.weight.mul_(10)  # and every label is that of some images
        head.bias.sub_(head(generator(torch.randn(500, 4)).flatten(1)).mean(0))
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), head)
    if noisy:
        target = MID(bottleneck=4).prepare(target)
    return target.eval(), PriorNetworks(generator.eval(), nn.Identity(), 4)


def invert(attack, target, prior, identities, **options):
    arguments = {"seed": 0, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def test_agents_learn_where_the_target_is_sure():
    target, prior = tiny()
    found = invert(
        RLB(episodes=300, hidden=16, replay=16, learning_rate=5e-3), ScoreOracle(target, "cpu"), prior, [0, 3]
    )
    with torch.no_grad():
        p = target(prior.generator(found.latents[0])).softmax(1)
    sure = torch.stack((p[0, 0], p[1, 3]))
    assert found.history[-1]["confidence"] == pytest.approx(sure.mean().item(), abs=1e-4)
    late = sum(point["identity_loss"] for point in found.history[-10:])
    assert late < sum(point["identity_loss"] for point in found.history[:10])
    assert (found.latents.abs() <= 1).all()  # actions are bounded


@pytest.mark.parametrize("blend", [0.0, 0.5])
def test_every_question_is_counted(blend):
    target, prior = tiny()
    oracle = ScoreOracle(target, "cpu")
    attack = RLB(episodes=7, hidden=4, replay=3, blend=blend)
    found = invert(attack, oracle, prior, [0, 1, 4])
    assert found.queries == oracle.queries == 3 * attack.passes().target_forward
    assert attack.passes().target_forward == (21 if blend else 14)


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_learnt_the_same_in_any_company(noisy):
    target, prior = tiny(noisy)
    attack = RLB(episodes=12, hidden=6, replay=4)
    together = invert(attack, ScoreOracle(target, "cpu"), prior, [0, 1, 2], batch_size=4)
    alone = invert(attack, ScoreOracle(target, "cpu"), prior, [1])
    torch.testing.assert_close(together.latents[:, 1], alone.latents[:, 0], atol=1e-5, rtol=1e-5)


def test_a_trial_lies_between_a_fresh_state_and_the_action_there():
    """Of one episode nothing is learnt yet: the first agents answer the second of its states."""
    target, prior = tiny()
    attack = RLB(episodes=1, hidden=4, replay=3, blend=0.25)
    found = invert(attack, ScoreOracle(target, "cpu"), prior, [2])
    run = Run(seed=0)
    agents = Agents(
        1, 4, 4, 1, learning_rate=1.0, generator=run.stream("rlb", "weights"), device=torch.device("cpu")
    )
    drawn = torch.randn(2 * 4 + 3, generator=run.stream("rlb", "episode", 0))
    with torch.no_grad():
        action = agents.act(drawn[4:8], drawn[-1])
    torch.testing.assert_close(found.latents[0], 0.25 * drawn[4:8] + 0.75 * action)


def test_agents_learn_once_they_remember_more_than_a_batch(monkeypatch):
    batches, learn = [], Agents.learn

    def counted(agents, order, noise):
        batches.append((agents.episode, len(order), len(set(order.tolist()))))
        learn(agents, order, noise)

    monkeypatch.setattr(Agents, "learn", counted)
    target, prior = tiny()
    invert(RLB(episodes=6, hidden=4, replay=3), ScoreOracle(target, "cpu"), prior, [1, 2])
    assert batches == [(4, 3, 3), (5, 3, 3), (6, 3, 3)]


def test_only_scores_are_asked_for():
    target, prior = tiny()
    for seen in (target, LabelOracle(target, "cpu")):
        with pytest.raises(ConfigError, match="a scores attack expects a ScoreOracle"):
            invert(RLB(), seen, prior, [0])


@pytest.mark.parametrize("knob", ["episodes", "hidden", "replay", "learning_rate", "floor"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        RLB(**{knob: 0})


def test_a_state_that_never_moves_is_refused():
    with pytest.raises(ValueError, match="blend must be less than 1"):
        RLB(blend=1.0)
