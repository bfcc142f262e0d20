"""RLB-MI: its reward and its updates against plain computations for one agent, and that agents learn."""

import math

import pytest
import torch
from contexts import with_run
from torch import Tensor, nn
from torch.distributions import Normal

from trainables.architectures.base import Classifier
from trainables.attacks.rlb import RLB, layers, policy, reward
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent

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


def network(parameters: dict[str, Tensor], name: str, row: int) -> nn.Sequential:
    """Return one agent's network as plain layers."""
    plain: list[nn.Module] = []
    for number in range(3):
        weight, bias = (parameters[f"{name}.{number}.{part}"][row] for part in ("weight", "bias"))
        linear = nn.Linear(*weight.shape)
        linear.load_state_dict({"weight": weight.T, "bias": bias[0]})
        plain += [linear] if number == 2 else [linear, nn.ReLU()]
    return nn.Sequential(*plain)


def agents(attack: RLB, rows: int, size: int) -> dict[str, Tensor]:
    """Agents that differ from each other."""
    parameters = attack.agents(rows, size, seed=0)
    generator = torch.Generator().manual_seed(1)
    return {
        key: value + 0.05 * torch.randn(value.shape, generator=generator) for key, value in parameters.items()
    }


def test_policy_is_a_squashed_normal():
    parameters = agents(RLB(hidden=7), 2, 4)
    states, noise = torch.randn(2, 5, 4), torch.tensor(0.7)
    actions, log_density = policy(parameters, states, noise)
    for row in range(2):
        mu, log_std = network(parameters, "actor", row)(states[row]).chunk(2, dim=1)
        raw = mu + noise * log_std.exp()
        torch.testing.assert_close(actions[row], raw.tanh(), atol=1e-5, rtol=1e-5)
        expected = Normal(mu, log_std.exp()).log_prob(raw) - (1 - raw.tanh() ** 2 + 1e-6).log()
        torch.testing.assert_close(log_density[row], expected.mean(1), atol=1e-4, rtol=1e-4)


def test_update_is_that_of_each_agent_alone_with_torchs_adam():
    attack, size = RLB(hidden=6, learning_rate=0.01), 3
    parameters = agents(attack, 2, size)
    moments = {
        kind: {key: torch.zeros_like(value) for key, value in parameters.items()}
        for kind in ("first", "second")
    }
    plain = []
    for row in range(2):
        actor, critic = network(parameters, "actor", row), network(parameters, "critic", row)
        log_alpha = parameters["log_alpha"][row].clone().requires_grad_(True)
        optimizers = [
            torch.optim.Adam(weights, lr=0.01)
            for weights in (critic.parameters(), [log_alpha], actor.parameters())
        ]
        plain.append((actor, critic, log_alpha, optimizers))
    for step in range(1, 4):
        states, actions, gains = torch.randn(2, 5, size), torch.rand(2, 5, size) * 2 - 1, torch.randn(2, 5)
        noise = torch.randn(())
        parameters = attack.update(parameters, moments, states, actions, gains, noise, step)
        for row, (actor, critic, log_alpha, (critic_steps, alpha_steps, actor_steps)) in enumerate(plain):
            value = critic(torch.cat((states[row], actions[row]), 1)).squeeze(1)
            critic_steps.zero_grad()
            (0.5 * nn.functional.mse_loss(value, gains[row])).backward()
            critic_steps.step()
            mu, log_std = actor(states[row]).chunk(2, dim=1)
            raw = mu + noise * log_std.exp()
            density = Normal(mu, log_std.exp()).log_prob(raw) - (1 - raw.tanh() ** 2 + 1e-6).log()
            density = density.mean(1)
            alpha = log_alpha.exp().detach()
            alpha_steps.zero_grad()
            (-(log_alpha * (density - size).detach()).mean()).backward()
            alpha_steps.step()
            actor_steps.zero_grad()
            value = critic(torch.cat((states[row], raw.tanh()), 1)).squeeze(1)
            (alpha * density - value).mean().backward()
            actor_steps.step()
    for row, (actor, critic, log_alpha, _) in enumerate(plain):
        torch.testing.assert_close(parameters["log_alpha"][row], log_alpha.detach(), atol=1e-4, rtol=1e-4)
        x = torch.randn(4, size)
        ours = layers(x.expand(2, -1, -1), parameters, "actor", 3)[row]
        torch.testing.assert_close(ours, actor(x).detach(), atol=1e-3, rtol=1e-3)
        pairs = torch.randn(4, 2 * size)
        ours = layers(pairs.expand(2, -1, -1), parameters, "critic", 3)[row]
        torch.testing.assert_close(ours, critic(pairs).detach(), atol=1e-3, rtol=1e-3)


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
