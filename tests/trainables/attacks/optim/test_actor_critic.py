"""Agents: their policy and updates against plain computations for one agent; what they remember and save."""

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from trainables.attacks.optim.actor_critic import Agents, layers, new_agents, policy, update_agents


def network(parameters: dict[str, Tensor], name: str, row: int) -> nn.Sequential:
    """Return one agent's network as plain layers."""
    plain: list[nn.Module] = []
    for number in range(3):
        weight, bias = (parameters[f"{name}.{number}.{part}"][row] for part in ("weight", "bias"))
        linear = nn.Linear(*weight.shape)
        linear.load_state_dict({"weight": weight.T, "bias": bias[0]})
        plain += [linear] if number == 2 else [linear, nn.ReLU()]
    return nn.Sequential(*plain)


def agents(hidden: int, rows: int, size: int) -> dict[str, Tensor]:
    """Agents that differ from each other."""
    parameters = new_agents(rows, size, hidden, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    return {
        key: value + 0.05 * torch.randn(value.shape, generator=generator) for key, value in parameters.items()
    }


def test_policy_is_a_squashed_normal():
    parameters = agents(7, 2, 4)
    states, noise = torch.randn(2, 5, 4), torch.tensor(0.7)
    actions, log_density = policy(parameters, states, noise)
    for row in range(2):
        mu, log_std = network(parameters, "actor", row)(states[row]).chunk(2, dim=1)
        raw = mu + noise * log_std.exp()
        torch.testing.assert_close(actions[row], raw.tanh(), atol=1e-5, rtol=1e-5)
        expected = Normal(mu, log_std.exp()).log_prob(raw) - (1 - raw.tanh() ** 2 + 1e-6).log()
        torch.testing.assert_close(log_density[row], expected.mean(1), atol=1e-4, rtol=1e-4)


def test_update_is_that_of_each_agent_alone_with_torchs_adam():
    size = 3
    parameters = agents(6, 2, size)
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
        parameters = update_agents(
            parameters, moments, states, actions, gains, noise, steps=step, learning_rate=0.01
        )
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


def lived(agents: Agents, episodes: int) -> Agents:
    """Return agents that met `episodes` more states, and learnt after each."""
    draw = torch.Generator().manual_seed(3)
    for _ in range(episodes):
        state = torch.randn(3, generator=draw)
        actions = agents.act(state, torch.randn((), generator=draw)).detach()
        agents.remember(state, actions, actions.sum(1))
        agents.learn(torch.arange(agents.episode), torch.randn((), generator=draw))
    return agents


def young(seed: int = 0) -> Agents:
    return Agents(
        2,
        3,
        5,
        6,
        learning_rate=0.05,
        generator=torch.Generator().manual_seed(seed),
        device=torch.device("cpu"),
    )


def test_agents_that_were_saved_go_on_as_they_were():
    state = lived(young(), 2).state()
    again = young(seed=1)
    again.load(state)
    assert again.episode == again.learnt == 2
    whole, taken_up = lived(lived(young(), 2), 3).state(), lived(again, 3).state()
    assert taken_up.keys() == whole.keys() and taken_up["episode"] == 5
    for name in ("states", "actions", "rewards"):
        assert torch.equal(taken_up[name], whole[name]) and whole[name].abs().sum() > 0
    for part in ("parameters", "first", "second"):
        assert all(torch.equal(value, whole[part][key]) for key, value in taken_up[part].items())
