"""Attacks that ask the target, against plain loops, away from every default."""

import copy

import pytest
import torch
import toy_networks as toys
from away import away
from torch import nn

from trainables.attacks.brep import BREP
from trainables.attacks.rlb import RLB
from trainables.oracle import observe
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream

IDENTITIES = torch.tensor([3, 0, 2])
SEED = 4


@pytest.fixture(scope="module")
def scene():
    prior = toys.prior("gmi")
    target = toys.target(prior)
    classifier, generator = (copy.deepcopy(net).double() for net in (target, prior.generator))

    @torch.no_grad()
    def logits(latents):
        return classifier(generator(latents))

    return target, prior, logits


@pytest.mark.parametrize(
    "knobs",
    [
        {"growth_share": 0.3, "clip": 0.9, "expansion": 1.6, "repulsion_only": False},
        {"growth_share": -0.5, "clip": 0.6, "expansion": 1.2, "repulsion_only": False},
        {"growth_share": -1.5, "clip": 1.2, "expansion": 1.5, "repulsion_only": True},
    ],
)
def test_brep(scene, knobs):
    target, prior, logits = scene
    attack = away(
        BREP,
        but=("repulsion_only",),
        points=6,
        radius=0.7,
        iterations=3,
        calls=7,
        start_batch=16,
        start_queries=200,
        **knobs,
    )
    found = attack.invert(observe(target, "labels", "cpu"), prior, IDENTITIES, run=Run(seed=SEED))
    waiting = dict.fromkeys(IDENTITIES.tolist())
    asked = batch = 0
    while None in waiting.values():
        draw = stream(SEED, "brep", "start", batch)
        drawn = torch.randn(attack.start_batch, toys.LATENT, generator=draw).clamp(-attack.clip, attack.clip)
        labels = logits(drawn.double()).argmax(1)
        for identity, start in waiting.items():
            hits = (labels == identity).nonzero().flatten()
            if start is None and len(hits):
                waiting[identity] = drawn[hits[0]].double()
        batch, asked = batch + 1, asked + attack.start_batch
        assert asked <= attack.start_queries
    grew = 0
    for place, identity in enumerate(IDENTITIES.tolist()):
        here, radius, kept, since = waiting[identity], attack.radius, None, 0
        for call in range(attack.calls):
            draw = stream(SEED, "brep", "walk", identity, call)
            normals = torch.randn(attack.points, toys.LATENT, generator=draw).double()
            toward = normals / normals.norm(dim=1, keepdim=True)
            inside = logits(here + radius * toward).argmax(1) == identity
            signs = torch.where(inside, 1.0, -1.0).double()
            weights = (signs - 1) / 2 if attack.repulsion_only else signs
            grows = signs.sum() > attack.growth_share * attack.points
            larger = radius * attack.expansion if grows else radius
            pull = (weights[:, None] * radius * toward).mean(0) / larger
            step = (here + min(radius / 3, 3) * pull).clamp(-attack.clip, attack.clip)
            asked += attack.points + 1
            takes = logits(step[None]).argmax(1).item() == identity
            if takes:
                here = step
            if takes and grows:
                kept, grew = step, grew + 1
            radius = larger
            since = 0 if grows else since + takes
            if since >= attack.iterations:
                break
        expected = here if kept is None else kept
        torch.testing.assert_close(found.latents[0, place].double(), expected, rtol=1e-4, atol=1e-4)
    assert grew and found.queries == asked


def make_agent(hidden: int):
    """Return actor, critic and the log of the entropy's weight as the attack starts them."""
    draw = stream(SEED, "rlb", "weights")
    size = toys.LATENT

    def network(sizes, bounds):
        layers = []
        for (inputs, outputs), bound in zip(sizes, bounds, strict=True):
            layer = nn.Linear(inputs, outputs).double()
            with torch.no_grad():
                layer.weight.copy_(((2 * torch.rand(inputs, outputs, generator=draw) - 1) * bound).T)
                layer.bias.copy_((2 * torch.rand(1, outputs, generator=draw)[0] - 1) * inputs**-0.5)
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    actor = network(
        [(size, hidden), (hidden, hidden), (hidden, 2 * size)], [size**-0.5, hidden**-0.5, hidden**-0.5]
    )
    critic = network([(2 * size, hidden), (hidden, hidden), (hidden, 1)], [hidden**-0.5, hidden**-0.5, 3e-3])
    return actor, critic, torch.zeros((), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("blend", [0.3, 0.0])
def test_rlb(scene, blend):
    target, prior, logits = scene
    attack = away(
        RLB,
        but=("blend",),
        episodes=7,
        hidden=5,
        replay=3,
        learning_rate=0.02,
        blend=blend,
        state_weight=1.5,
        action_weight=0.7,
        margin_weight=3.0,
        floor=0.05,
    )
    found = attack.invert(observe(target, "scores", "cpu"), prior, IDENTITIES, run=Run(seed=SEED))
    rewards = torch.zeros(attack.episodes, dtype=torch.float64)
    for place, identity in enumerate(IDENTITIES.tolist()):
        actor, critic, log_alpha = make_agent(attack.hidden)
        adams = [
            torch.optim.Adam(parameters, lr=attack.learning_rate)
            for parameters in (critic.parameters(), actor.parameters(), [log_alpha])
        ]
        memory: list[tuple] = []
        best, highest = None, -1.0

        def policy(states, noise, actor=actor):
            mean, log_std = actor(states).chunk(2, 1)
            log_std = log_std.clamp(-20, 2)
            action = torch.tanh(mean + noise * log_std.exp())
            normal = torch.distributions.Normal(mean, log_std.exp()).log_prob(mean + noise * log_std.exp())
            return action, (normal - torch.log(1 - action**2 + 1e-6)).mean(1)

        for episode in range(attack.episodes):
            draw = stream(SEED, "rlb", "episode", episode)
            numbers = torch.randn(2 * toys.LATENT + 3, generator=draw).double()
            state, trial, noise = numbers[: toys.LATENT], numbers[toys.LATENT : -3], numbers[-3:]
            with torch.no_grad():
                action = policy(state[None], noise[0])[0][0]
                there = logits(action[None]).softmax(1)[0]
                here = logits((blend * state + (1 - blend) * action)[None]).softmax(1)[0]
                others = torch.cat((here[:identity], here[identity + 1 :])).max()
                gain = (
                    attack.state_weight * here[identity].log() + attack.action_weight * there[identity].log()
                )
                margin = max(attack.floor, (here[identity] - others).item())
                gain = gain + attack.margin_weight * torch.tensor(margin).double().log()
            memory.append((state, action, gain))
            rewards[episode] += gain / len(IDENTITIES)
            if episode + 1 > attack.replay:
                order = torch.randperm(episode + 1, generator=draw)[: attack.replay].tolist()
                states, actions, gains = (torch.stack([memory[i][part] for i in order]) for part in range(3))
                adams[0].zero_grad()
                value = critic(torch.cat((states, actions), 1))[:, 0]
                (0.5 * ((value - gains) ** 2).mean()).backward()
                adams[0].step()
                alpha = log_alpha.exp().item()
                chosen, density = policy(states, noise[1])
                entropy = density.detach().mean()
                adams[1].zero_grad()
                (alpha * density - critic(torch.cat((states, chosen), 1))[:, 0]).mean().backward()
                adams[1].step()
                adams[2].zero_grad()
                (-log_alpha * (entropy - toys.LATENT)).backward()
                adams[2].step()
            with torch.no_grad():
                reached = blend * trial + (1 - blend) * policy(trial[None], noise[2])[0][0]
                sure = logits(reached[None]).softmax(1)[0, identity].item()
            if sure >= highest:
                best, highest = reached, sure
        torch.testing.assert_close(found.latents[0, place].double(), best, rtol=1e-3, atol=1e-3)
    assert [point["reward"] for point in found.history] == pytest.approx(rewards.tolist(), rel=1e-3)
    assert found.queries == len(IDENTITIES) * attack.episodes * (3 if blend else 2)
