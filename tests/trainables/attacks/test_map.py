"""MAP: where its descent ends, its starts, its choice among them, its views, bad input."""

import pytest
import torch
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.map import MAP
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.nn.augmentation import MOVE_DRAWS, random_move
from trainables.priors.base import PriorNetworks
from trainables.priors.plg import PLGPrior
from trainables.runtime.run import Run

SIZE, LATENT, CLASSES = 8, 4, 3


def linear(*, even: bool = True, seed: int = 0) -> tuple[Classifier, PriorNetworks, Tensor]:
    """Return a target of linear logits on a linear prior of faint pictures, and logits = z @ slopes.

    even: whether every picture is flat in each colour, so that no flip or shift changes it.
    """
    torch.manual_seed(seed)
    make = nn.Linear(LATENT, 3 * SIZE**2)
    with torch.no_grad():
        if even:
            make.weight.copy_(make.weight[:3].repeat_interleave(SIZE**2, 0))
        make.weight.mul_(0.01)
        make.bias.fill_(0.5)
    generator = nn.Sequential(make, nn.Unflatten(1, (3, SIZE, SIZE))).requires_grad_(False)
    head = nn.Linear(3 * SIZE**2, CLASSES)
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), head).eval()
    slopes = (head.weight @ make.weight).detach().T
    with torch.no_grad():  # logits of a usual size
        head.weight.div_(slopes.std())
    return target, PriorNetworks(generator, nn.Identity(), LATENT), slopes / slopes.std()


def attack(**knobs) -> MAP:
    return MAP(**{"iterations": 600, "pool": 50, "penalty": 0.5, "learning_rate": 0.02, **knobs})


def test_it_ends_at_the_maximum_of_logit_less_penalty():
    """For logits z @ s_y, that is s_y / (2 penalty), from any start."""
    target, prior, slopes = linear()
    made = attack().invert(target, prior, torch.tensor([2, 0]), run=Run(seed=0))
    expected = slopes.T[[2, 0]] / (2 * 0.5)
    assert made.latents.shape == (1, 2, LATENT)
    torch.testing.assert_close(made.latents[0], expected, atol=0.02, rtol=0.02)


def test_a_larger_penalty_gives_likelier_latents():
    target, prior, _ = linear()
    sizes = [
        attack(penalty=penalty)
        .invert(target, prior, torch.tensor([1]), run=Run(seed=0))
        .latents.norm()
        .item()
        for penalty in (0.2, 0.5, 2.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_it_starts_at_the_best_of_the_pool():
    """With hardly a step, the latents are those of the pool that the target's logit rates highest."""
    target, prior, slopes = linear()
    run = Run(seed=3)
    knobs = {"iterations": 1, "learning_rate": 1e-9, "pool": 40, "starts": 1}
    made = attack(**knobs).invert(target, prior, torch.tensor([0, 2]), run=run)
    pool = torch.randn(40, LATENT, generator=run.stream("map", "pool"))
    best = (pool @ slopes).argmax(0)[[0, 2]]
    torch.testing.assert_close(made.latents[0], pool[best], atol=1e-4, rtol=1e-4)


def test_of_its_starts_it_returns_the_one_that_views_rate_highest():
    """With hardly a step, views that change nothing choose the best start again; starts alone would not."""
    target, prior, slopes = linear()
    run = Run(seed=3)
    knobs = {"iterations": 1, "learning_rate": 1e-9, "pool": 40, "starts": 7}
    made = attack(**knobs).invert(target, prior, torch.tensor([0, 2]), run=run)
    pool = torch.randn(40, LATENT, generator=run.stream("map", "pool"))
    torch.testing.assert_close(made.latents[0], pool[(pool @ slopes).argmax(0)[[0, 2]]], atol=1e-4, rtol=1e-4)


def test_views_rate_what_a_plain_look_does_not():
    """A target that looks at one corner: moved views see others, so the mean loss over them is another."""
    target, prior, _ = linear(even=False)
    images = prior.generator(torch.randn(2, LATENT))
    labels, none = torch.tensor([0, 1]), torch.empty(2, 0)
    guide = lambda pictures, own, _: -target(pictures).gather(1, own[:, None]).squeeze(1)  # noqa: E731
    draws = torch.randn(2, 5 * MOVE_DRAWS)
    made = MAP(shift=0.25).mean_loss(guide, images, labels, none, draws)
    singly = [guide(random_move(images, part, 2), labels, none) for part in draws.split(MOVE_DRAWS, 1)]
    torch.testing.assert_close(made, torch.stack(singly).mean(0), atol=1e-4, rtol=1e-4)
    assert (made - guide(images, labels, none)).abs().min() > 1e-3


def test_history_holds_the_loss_and_the_size_of_latents():
    target, prior, slopes = linear()
    run = Run(seed=0)
    made = attack(starts=1).invert(target, prior, torch.tensor([1]), run=run)
    pool = torch.randn(50, LATENT, generator=run.stream("map", "pool"))
    start = pool[(pool @ slopes).argmax(0)[1]]
    with torch.no_grad():
        first = -target(prior.generator(start[None]))[0, 1]
    assert made.history[0]["identity_loss"] == pytest.approx(first.item(), abs=1e-3)
    assert made.history[0]["prior_loss"] == pytest.approx(start.square().sum().item(), rel=1e-4)
    assert made.history[-1]["prior_loss"] == pytest.approx((slopes[:, 1]).square().sum().item(), rel=0.05)


def test_a_stochastic_head_gets_noise():
    target, prior, _ = linear()
    noisy = MID(beta=0.1, bottleneck=4).prepare(target).eval()
    first, again, other = (
        attack(iterations=3).invert(noisy, prior, torch.tensor([1]), run=Run(seed=seed)).latents
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_prior_of_identities_is_refused():
    with pytest.raises(ConfigError, match="'map' expects a prior whose latents are normal numbers"):
        MAP().check_prior(PLGPrior(width=2, latent_size=5).build(32, 3))


@pytest.mark.parametrize("starts", [1, 3])
def test_its_costs_are_the_images_that_go_through_the_networks(starts):
    """A single start is not chosen from, so no views of its end are looked at."""
    target, prior, _ = linear()
    knobs = attack(iterations=4, pool=20, starts=starts, views=2, rounds=5)
    counted = {"target": 0, "generator": 0}

    def count(name):
        def hook(module, arguments, _):
            counted[name] += len(arguments[0])

        return hook

    target.register_forward_hook(count("target"))
    prior.generator.register_forward_hook(count("generator"))
    identities = torch.tensor([2, 0])
    knobs.check_prior(prior)
    knobs.reconstruct(target, prior, identities, Run(seed=0), None)
    said = knobs.shared_passes() + knobs.passes() * len(identities)
    assert counted == {"target": said.target_forward, "generator": said.generator_forward}
    assert said.target_forward == 20 + 2 * (starts * 4 * 2 + (starts > 1) * starts * 5)
    assert said.target_backward == 2 * starts * 4 * 2 and said.generator_backward == 2 * starts * 4


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"starts": 9, "pool": 8}, "starts must be at most 8"),
        ({"shift": 0.5}, "shift must be less than 0.5"),
        ({"penalty": -1.0}, "penalty must be at least 0"),
        ({"views": 0}, "views must be at least 1"),
    ],
)
def test_knobs_out_of_range(knobs, text):
    with pytest.raises(ValueError, match=text):
        MAP(**knobs)
