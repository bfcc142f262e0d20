"""Soft actor-critic agents for episodes of one step: many agents, each a row of one batch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from trainables.attacks.optim.descent import DescentState, adam_step

LOG_STD = (-20.0, 2.0)  # bounds of the policy's log standard deviation


class Agents:
    """Equal agents, their optimiser, and a memory of the `episodes` that all of them meet in the same states.

    episode: how many are remembered.  learnt: how many steps of learning were done.
    """

    def __init__(
        self,
        rows: int,
        size: int,
        hidden: int,
        episodes: int,
        *,
        learning_rate: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.episode, self.learnt, self._learning_rate = 0, 0, learning_rate
        self._parameters = _on(device, new_agents(rows, size, hidden, generator))
        zeros = {key: torch.zeros_like(value) for key, value in self._parameters.items()}
        self._moments: dict[str, DescentState] = {"first": zeros, "second": dict(zeros)}
        self._states = torch.zeros(episodes, size, device=device)
        self._actions = torch.zeros(rows, episodes, size, device=device)
        self._rewards = torch.zeros(rows, episodes, device=device)

    def act(self, state: Tensor, noise: Tensor) -> Tensor:
        """Return the agents' actions (n, Z) in a state (Z,) that all of them are in."""
        actions, _ = policy(self._parameters, state.expand(len(self._rewards), 1, -1), noise)
        return actions.squeeze(1)

    def remember(self, state: Tensor, actions: Tensor, rewards: Tensor) -> None:
        """Add an episode: the state (Z,), the actions (n, Z) and the rewards (n,)."""
        self._states[self.episode], self._actions[:, self.episode] = state, actions
        self._rewards[:, self.episode] = rewards
        self.episode += 1

    def learn(self, order: Tensor, noise: Tensor) -> None:
        """Make one step of learning from the remembered episodes `order` (B,)."""
        self.learnt += 1
        self._parameters = update_agents(
            self._parameters,
            self._moments,
            self._states[order].expand(len(self._rewards), -1, -1),
            self._actions[:, order],
            self._rewards[:, order],
            noise,
            steps=self.learnt,
            learning_rate=self._learning_rate,
        )

    def state(self) -> dict[str, Any]:
        """Return all of it, on the CPU, for `load`."""
        cpu = torch.device("cpu")
        return {
            "episode": self.episode,
            "learnt": self.learnt,
            "parameters": _on(cpu, self._parameters),
            **{kind: _on(cpu, moments) for kind, moments in self._moments.items()},
            **_on(cpu, self._memory()),
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Take up what `state` returned."""
        device = self._states.device
        self.episode, self.learnt = saved["episode"], saved["learnt"]
        self._parameters = _on(device, saved["parameters"])
        self._moments = {kind: _on(device, saved[kind]) for kind in self._moments}
        for name, memory in self._memory().items():
            memory.copy_(saved[name])

    def _memory(self) -> DescentState:
        """Return views of what is remembered."""
        past = slice(self.episode)
        return {
            "states": self._states[past],
            "actions": self._actions[:, past],
            "rewards": self._rewards[:, past],
        }


def _on(device: torch.device, tensors: Mapping[str, Tensor]) -> DescentState:
    return {key: value.to(device) for key, value in tensors.items()}


def layers(x: Tensor, parameters: DescentState, network: str, depth: int) -> Tensor:
    """Return what `network` makes of x (n, B, in): linear layers 0 to `depth` - 1, ReLU after each but 2.

    Weights are (n, in, out) and biases (n, 1, out): every row has a network of its own.
    """
    for number in range(depth):
        x = torch.baddbmm(parameters[f"{network}.{number}.bias"], x, parameters[f"{network}.{number}.weight"])
        x = x.relu() if number < 2 else x
    return x


def policy(parameters: DescentState, states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return actions (n, B, Z) in (-1, 1) and the mean over Z of their log densities (n, B).

    a = tanh(mu + e sigma) with one standard normal number e for all, as in the released code, which takes the
    mean of the log densities where the paper on SAC has their sum.
    """
    mu, log_std = layers(states, parameters, "actor", 3).chunk(2, dim=2)
    log_std = log_std.clamp(*LOG_STD)
    actions = torch.tanh(mu + noise * log_std.exp())
    normal = -0.5 * noise.square() - log_std - 0.9189385332046727  # ½ ln 2π
    return actions, (normal - torch.log(1 - actions.square() + 1e-6)).mean(2)


def new_agents(rows: int, size: int, hidden: int, generator: torch.Generator) -> DescentState:
    """Return the weights of `rows` equal agents: actor, critic and the log of the entropy's weight.

    size: numbers in a state, and in an action.  hidden: units of a network's two inner layers.

    Uniform within 1 / sqrt(fan in), but the critic's weights: within 1 / sqrt(fan out), the last 0.003.
    """
    shapes = {
        "actor": [(size, hidden), (hidden, hidden), (hidden, 2 * size)],
        "critic": [(2 * size, hidden), (hidden, hidden), (hidden, 1)],
    }
    parameters: DescentState = {}
    for network, sizes in shapes.items():
        for number, (fan_in, fan_out) in enumerate(sizes):
            bound = fan_in**-0.5
            if network == "critic":
                bound = 3e-3 if number == 2 else fan_out**-0.5
            for part, shape, limit in (
                ("weight", (fan_in, fan_out), bound),
                ("bias", (1, fan_out), fan_in**-0.5),
            ):
                drawn = (2 * torch.rand(shape, generator=generator) - 1) * limit
                parameters[f"{network}.{number}.{part}"] = drawn.repeat(rows, 1, 1)
    parameters["log_alpha"] = torch.zeros(rows)
    return parameters


def update_agents(
    parameters: DescentState,
    moments: dict[str, DescentState],
    states: Tensor,
    actions: Tensor,
    rewards: Tensor,
    noise: Tensor,
    *,
    steps: int,
    learning_rate: float,
) -> DescentState:
    """Return the weights after one step of the critic, then of the actor and of the entropy's weight.

    states, actions: (n, B, Z); rewards: (n, B).  moments: of Adam, changed in place.  steps: how many
    were done, this one included.
    """
    parameters = dict(parameters)

    def descend(loss: Callable[[DescentState], Tensor], network: str) -> None:
        names = [key for key in parameters if key.startswith(network)]
        leaves = {key: parameters[key].detach().requires_grad_(True) for key in names}
        gradients = torch.autograd.grad(loss(parameters | leaves), list(leaves.values()))
        for key, gradient in zip(names, gradients, strict=True):
            parameters[key], moments["first"][key], moments["second"][key] = adam_step(
                parameters[key],
                moments["first"][key],
                moments["second"][key],
                gradient,
                steps=steps,
                learning_rate=learning_rate,
            )

    def critic_loss(p: DescentState) -> Tensor:
        value = layers(torch.cat((states, actions), 2), p, "critic", 3).squeeze(2)
        return 0.5 * (value - rewards).square().mean(1).sum()  # each agent's own mean

    descend(critic_loss, "critic")
    alpha = parameters["log_alpha"].exp()
    size = actions.shape[2]

    def actor_loss(p: DescentState) -> Tensor:
        chosen, log_density = policy(p, states, noise)
        value = layers(torch.cat((states, chosen), 2), p, "critic", 3).squeeze(2)
        return (alpha[:, None] * log_density - value).mean(1).sum()

    with torch.no_grad():
        _, log_density = policy(parameters, states, noise)
    descend(actor_loss, "actor")  # with the entropy's weight of before its step, and the other way round
    # the target entropy is -Z; a descent on -log_alpha (log density + target entropy)
    descend(lambda p: -(p["log_alpha"] * (log_density.mean(1) - size)).sum(), "log_alpha")
    return parameters
