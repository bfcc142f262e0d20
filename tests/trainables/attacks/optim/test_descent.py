"""Updates of descents against hand-computed steps and torch; the loop: what it keeps, saves, refuses."""

import pytest
import torch

from trainables.attacks.optim.descent import (
    Journal,
    adam_descend,
    adam_step,
    descend,
    momentum_step,
    sampled,
)
from trainables.errors import TrialError
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


def test_a_descent_by_adam_is_that_of_torch_with_its_rates():
    start, goal = torch.zeros(3, 2).double(), torch.tensor([1.0, -2.0]).double()

    def loss(values, iteration, drawn):
        total = (values - goal * drawn).square().sum()
        return total / 2, total, torch.zeros(()).double()

    def rate(iteration):
        return 0.1 / (1 + iteration)

    values, losses = adam_descend(
        "x", start, loss, 5, [counting()], Journal(), rows=3, learning_rate=rate, decays=(0.5, 0.9)
    )
    weight = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=1.0, betas=(0.5, 0.9))
    for iteration in range(5):
        optimizer.param_groups[0]["lr"] = rate(iteration)
        total = (weight - goal * (iteration + 1)).square().sum()
        assert losses[iteration, 0].item() == pytest.approx(total.item() / 3)
        optimizer.zero_grad()
        (total / 2).backward()
        optimizer.step()
    torch.testing.assert_close(values, weight.detach())
