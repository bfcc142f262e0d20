"""Updates of descents against hand-computed steps and torch; the loop: what it keeps, saves, refuses."""

import pytest
import torch
from torch import nn

from trainables.attacks.optim.descent import (
    Journal,
    adam_step,
    descend,
    momentum_step,
    realism,
    sampled,
)
from trainables.errors import TrialError
from trainables.nn.critic import Critic
from trainables.priors.base import PriorNetworks, inference_prior
from trainables.storage.resume import Resume


def test_momentum_step_on_hand_computed_steps():
    z, v = torch.tensor([[0.5, -0.95]]).double(), torch.zeros(1, 2).double()
    expected = [
        ((1, 2), (0.462, -1), (-0.02, -0.04)),
        ((0.5, -1), (0.4268, -0.9944), (-0.028, -0.016)),
        ((10, 30), (0.02412, -1), (-0.2252, -0.6144)),
    ]
    for g, z_next, v_next in expected:
        g, z_next, v_next = (torch.tensor([row], dtype=torch.float64) for row in (g, z_next, v_next))
        z, v = momentum_step(z, v, g, learning_rate=0.02, momentum=0.9, clip=1.0)
        torch.testing.assert_close(z, z_next, atol=1e-9, rtol=0)
        torch.testing.assert_close(v, v_next, atol=1e-9, rtol=0)


def test_momentum_step_without_a_clip_is_nesterov_sgd():
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 5).double(), torch.randn(4, 3, 5).double()
    weight = start.clone().requires_grad_(True)
    optimizer = torch.optim.SGD([weight], lr=0.02, momentum=0.9, nesterov=True)
    z, v = start, torch.zeros_like(start)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        z, v = momentum_step(z, v, gradient, learning_rate=0.02, momentum=0.9, clip=float("inf"))
        torch.testing.assert_close(z, weight.detach(), atol=1e-12, rtol=0)


def test_adam_step_is_that_of_torch():
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 5).double(), torch.randn(6, 3, 5).double()
    gradients[:, 0, 0] = 0
    weight = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=0.02)
    values, first, second = start, torch.zeros_like(start), torch.zeros_like(start)
    for steps, gradient in enumerate(gradients, start=1):
        weight.grad = gradient.clone()
        optimizer.step()
        values, first, second = adam_step(values, first, second, gradient, steps=steps, learning_rate=0.02)
        torch.testing.assert_close(values, weight.detach(), atol=1e-12, rtol=0)
    assert values[0, 0] == start[0, 0]


def counting():
    number = 0
    while True:
        number += 1
        yield torch.tensor(float(number))


def add(state, iteration, drawn, other):
    """A step that adds up its number and its draws."""
    return {"sum": state["sum"] + iteration + drawn + 2 * other}, (state["sum"].sum(), drawn)


def run(resume=None, iterations=130, step=add, seen=None):
    noises = [counting(), counting()]
    progress = (lambda *point: seen.append(point)) if seen is not None else (lambda *_: None)
    start = {"sum": torch.zeros(4)}
    return descend(step, start, 4, iterations, noises, Journal(progress, resume or Resume()))


def test_every_step_gets_its_number_and_one_draw_of_each_stream():
    seen = []
    state, losses = run(seen=seen)
    done = torch.arange(130.0)
    gained = done + 3 * (done + 1)
    assert torch.equal(state["sum"], gained.sum().expand(4))
    before = (gained.cumsum(0) - gained)[sampled(130)]
    drawn = done[sampled(130)] + 1
    torch.testing.assert_close(losses, torch.stack((before, drawn / 4), dim=1))
    assert seen[-1] == (130, *losses[-1].tolist())


@pytest.mark.parametrize("iterations", [1, 2, 49, 50, 99, 100, 2400])
def test_losses_are_kept_at_some_fifty_points(iterations):
    points = sampled(iterations)
    assert points[0] == 0 and points[-1] == iterations - 1 and points == sorted(set(points))
    assert min(iterations, 50) <= len(points) <= 100


@pytest.mark.parametrize("killed_at", [1, 60, 129])
def test_goes_on_where_it_was_killed(tmp_path, killed_at):
    whole = run()

    def dying(state, iteration, *draws):
        if iteration == killed_at:
            raise KeyboardInterrupt
        return add(state, iteration, *draws)

    with pytest.raises(KeyboardInterrupt):
        run(Resume(tmp_path, every=0.0), step=dying)
    steps = []

    def counted(state, iteration, *draws):
        steps.append(iteration)
        return add(state, iteration, *draws)

    again = run(Resume(tmp_path, every=0.0), step=counted)
    assert steps == list(range(killed_at, 130))
    assert torch.equal(again[0]["sum"], whole[0]["sum"]) and torch.equal(again[1], whole[1])


def test_what_is_not_finite_is_a_trial_error():
    def diverging(state, iteration, *_):
        return {"sum": state["sum"] * 1e30 + 1}, (torch.tensor(1.0), torch.tensor(2.0))

    with pytest.raises(TrialError, match="not finite at iteration 9 of 9"):
        run(iterations=9, step=diverging)


class Comparing(Critic):
    """Scores an image by the sum of its group."""

    compares_images = True

    def forward(self, x, group):
        return torch.cat([part.sum().expand(len(part)) for part in x.split(group)])


def test_realism_hands_the_group_to_a_discriminator_that_compares():
    images = torch.arange(5.0).reshape(5, 1, 1, 1)
    assert realism(Comparing(), images).tolist() == [0, 1, 2, 3, 4]
    assert realism(Comparing(), images, 2).tolist() == [1, 1, 5, 5, 4]
    assert realism(nn.Flatten(0), images, 2).tolist() == [0, 1, 2, 3, 4]


def test_a_lean_prior_is_a_copy():
    prior = PriorNetworks(nn.Linear(3, 4), nn.Linear(4, 1), 3)
    fast = inference_prior(prior, "cpu")
    assert fast.latent_size == 3 and torch.equal(fast.generator.weight, prior.generator.weight)
    assert prior.generator.weight.requires_grad and not fast.generator.weight.requires_grad
    assert not fast.discriminator.weight.requires_grad and not fast.discriminator.training
