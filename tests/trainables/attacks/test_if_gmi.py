"""IF-GMI against its loop written out with PyTorch's Adam and a projection by bisection."""

from itertools import pairwise

import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.if_gmi import IFGMI, between
from trainables.attacks.optim.descent import Journal
from trainables.attacks.ppa import PPA
from trainables.defenses.mid import MID
from trainables.errors import ConfigError, TrialError
from trainables.nn.crops import Crop, apply_crop, draw_crops
from trainables.nn.identity_losses import poincare
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.progress import silent
from trainables.storage.resume import Resume


def tiny(noise: bool = True) -> tuple[Classifier, PriorNetworks]:
    """A target and a prior of 32 pixels, so of 4 blocks."""
    torch.manual_seed(0)
    prior = StyleGAN2Prior(width=2, widest=4, latent_size=6, noise=noise).build(32)
    for network in (prior.generator, prior.discriminator):
        network.eval().requires_grad_(False)
    if noise:
        for name, weight in prior.generator.named_parameters():
            if name.endswith("noise_strength"):
                weight.fill_(0.2)
    target = Classifier({"shrink": nn.AvgPool2d(4)}, nn.Flatten(), nn.Linear(192, 5)).eval()
    with torch.no_grad():
        target.head.weight.mul_(20)
    return target, prior


def no_noise():
    while True:
        yield torch.empty(0)


SMALL = IFGMI(
    candidates=10, starts=3, iterations=3, blocks=3, block_iterations=2, kept=3, learning_rate=0.05, rounds=2
)


def invert(attack: IFGMI, target: Classifier, prior: PriorNetworks, identities, **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def projected(moved: Tensor, start: Tensor, radius: float) -> Tensor:
    rows = []
    for row, origin in zip(moved, start, strict=True):
        away = (row - origin).double()
        low, high = 0.0, away.abs().max().item()
        if away.abs().sum() > radius:
            for _ in range(100):
                theta = (low + high) / 2
                small = (away.abs() - theta).clamp_min(0).sum() < radius
                low, high = (low, theta) if small else (theta, high)
            away = away.sign() * (away.abs() - low).clamp_min(0)
        rows.append(origin + away.float())
    return torch.stack(rows)


def as_published(
    attack: IFGMI, target: Classifier, prior: PriorNetworks, styles: Tensor, labels: Tensor, crops: list[Crop]
) -> tuple[Tensor, list[float], int]:
    """Images of the last step, the loss at each step, and how many projections changed something."""
    synthesis = prior.generator.network.synthesis
    blocks = [synthesis.get_submodule(f"b{4 * 2**number}") for number in range(4)]

    def through(number, x, picture, w):
        return blocks[number](x, picture, iter([w, w]), w, "const")

    w, features, picture = styles.clone(), None, None
    losses, drawn, cuts, image = [], iter(crops), 0, None
    for stage in range(attack.blocks + 1):
        moving = [w.requires_grad_(True)] + ([features.requires_grad_(True)] if stage else [])
        starts = [value.detach().clone() for value in moving]
        optimizer = torch.optim.Adam(moving, lr=attack.learning_rate, betas=(0.1, 0.1))
        for _ in range(attack.block_iterations if stage else attack.iterations):
            x, made = features, picture if attack.keep_picture else None
            for number in range(stage, 4):
                x, made = through(number, x, made, w)
            image = made / 2 + 0.5
            loss = poincare(target(apply_crop(image, next(drawn), 32)), labels)
            losses.append(loss.mean().item())
            optimizer.zero_grad()
            (loss.sum() / attack.group).backward()
            optimizer.step()
            with torch.no_grad():
                for value, start in zip(moving, starts, strict=True):
                    held = projected(value, start, attack.radii[stage])
                    cuts += int((held - value).abs().max() > 1e-6)
                    value.copy_(held)
        with torch.no_grad():
            features, picture = through(stage, features, picture, w)
            features = features.detach()
    return image.detach(), losses, cuts


@pytest.mark.parametrize("keep_picture", [False, True])
@pytest.mark.parametrize("radii", [(1e3,) * 4, (0.4, 2.0, 0.7, 3.0)], ids=["loose", "tight"])
def test_follows_the_published_loop(keep_picture, radii):
    target, prior = tiny()
    attack = IFGMI(
        iterations=4,
        blocks=3,
        block_iterations=5,
        learning_rate=0.05,
        radii=radii,
        keep_picture=keep_picture,
    )
    styles, labels = torch.randn(3, 6), torch.tensor([0, 3, 4])
    crops = draw_crops(attack.steps, 32, (0.8, 1.0), (1.0, 1.0), torch.manual_seed(1))
    images, losses, cuts = as_published(attack, target, prior, styles, labels, crops)
    assert (cuts > 8) == (radii[0] < 1)  # the tight balls are reached often, the loose never
    state, found = attack.descend(target, prior.generator, styles, labels, crops, 32, no_noise(), Journal())
    torch.testing.assert_close(found[:, 0], torch.tensor(losses), atol=1e-3, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(attack.look(prior.generator, state), images, atol=1e-3, rtol=0)


def test_no_number_moves_farther_than_the_rate_per_step():
    """Why a ball that Adam cannot reach need not be looked at."""
    target, prior = tiny()
    attack = IFGMI(iterations=6, blocks=0, learning_rate=0.05)
    styles, labels = torch.randn(4, 6), torch.tensor([0, 3, 4, 1])
    crops = draw_crops(6, 32, (0.5, 1.0), (1.0, 1.0), torch.manual_seed(1))
    state, _ = attack.descend(target, prior.generator, styles, labels, crops, 32, no_noise(), Journal())
    moved = (state["styles"] - styles).abs()
    assert moved.max() <= 5 * 0.05 * 1.00001 and moved.max() > 0.1


def test_inner_features_go_where_styles_cannot():
    target, prior = tiny(noise=False)
    identities = [0, 1, 2]
    knobs = {"candidates": 15, "starts": 1, "kept": 1, "learning_rate": 0.1}
    both = IFGMI(iterations=10, blocks=2, block_iterations=10, **knobs)
    alone = IFGMI(iterations=30, blocks=0, **knobs)
    inner, outer = (invert(attack, target, prior, identities) for attack in (both, alone))
    assert inner.history[-1]["identity_loss"] < outer.history[-1]["identity_loss"] - 0.1


def test_without_further_stages_it_is_ppa_less_its_last_step():
    target, prior = tiny()
    shared = {"candidates": 30, "starts": 3, "kept": 3, "learning_rate": 0.05, "group": 5}
    ours = IFGMI(iterations=5, blocks=0, **shared)
    theirs = PPA(iterations=4, rounds=1, **shared)
    state, _ = ours.descend(
        target,
        prior.generator,
        styles := torch.randn(3, 6),
        labels := torch.tensor([0, 1, 2]),
        crops := draw_crops(5, 32, (0.9, 1.0), (1.0, 1.0), torch.manual_seed(1)),
        32,
        no_noise(),
        Journal(),
    )
    wanted, _ = theirs.descend(target, prior, styles, labels, crops, 32, no_noise(), Journal())
    assert torch.equal(state["styles"], wanted)
    assert between(state) == (None, None)


def test_kept_are_the_most_robust_of_all_starts():
    target, prior = tiny()
    knobs = {"candidates": 30, "starts": 4, "iterations": 3, "blocks": 1, "block_iterations": 2, "rounds": 5}
    everyone = invert(IFGMI(kept=4, **knobs), target, prior, [1, 3])
    few = invert(IFGMI(kept=2, **knobs), target, prior, [1, 3])
    best = invert(IFGMI(kept=1, **knobs), target, prior, [1, 3])
    assert torch.equal(best.images, few.images[:1])
    for column in range(2):
        all_of_one = {tuple(row.tolist()) for row in everyone.latents[:, column]}
        assert len(all_of_one) == 4
        assert {tuple(row.tolist()) for row in few.latents[:, column]} < all_of_one


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    together = invert(SMALL, target, prior, [0, 1, 2, 4], batch_size=5)
    alone = invert(SMALL, target, prior, [2])
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-4, rtol=1e-4)
    assert (together.images[:, 2].int() - alone.images[:, 0].int()).abs().max() <= 1


@pytest.mark.parametrize("kept", [3, 2], ids=["all kept", "some kept"])
def test_costs_what_it_says(kept):
    target, prior = tiny()
    attack = IFGMI(candidates=30, starts=3, iterations=5, blocks=2, block_iterations=3, kept=kept, rounds=4)
    counts = {"generator": [0, 0], "target": [0, 0]}

    def count(name, output):
        counts[name][0] += len(output)
        counts[name][1] += len(output) if output.requires_grad else 0

    last = prior.generator.network.synthesis.b32
    last.register_forward_hook(lambda _, inputs, output: count("generator", output[1]))
    target.register_forward_hook(lambda _, inputs, output: count("target", output))
    invert(attack, target, prior, [0, 4])
    costs = attack.passes()
    shared = 30  # the pool, seen twice by the target; and one image each to see what fits
    assert counts["generator"] == [shared + 2 + 2 * costs.generator_forward, 2 * costs.generator_backward]
    assert counts["target"] == [2 * shared + 1 + 2 * costs.target_forward, 2 * costs.target_backward]


def test_finished_rows_leave_no_features_on_the_disk(tmp_path):
    found = invert(SMALL, *tiny(), [0, 1], resume=Resume(tmp_path, every=0.0), batch_size=4)
    states = sorted(path for path in tmp_path.glob("rows-*.pt") if "found" not in path.name)
    assert len(states) == 2 and all(torch.load(path, weights_only=True) == {} for path in states)
    again = invert(SMALL, *tiny(), [0, 1], resume=Resume(tmp_path, every=0.0), batch_size=4)
    assert torch.equal(again.images, found.images) and again.history == found.history


def test_progress_never_goes_back_and_ends_at_its_total():
    reports = []
    invert(SMALL, *tiny(), [0, 3], report=lambda *a, **m: reports.append(a), batch_size=4)
    assert reports[-1] == ("attack", 10 + 6 * 9, 10 + 6 * 9)
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(reports))


def test_more_stages_than_the_generator_has_blocks():
    with pytest.raises(
        ConfigError, match=r"blocks from 0 to 3, as the prior's generator has 4 blocks; got 4"
    ):
        invert(IFGMI(blocks=4), *tiny(), [0])


def test_a_prior_without_styles_is_refused():
    target, _ = tiny()
    with pytest.raises(ConfigError, match="attack 'if_gmi' expects a prior with a style space"):
        invert(SMALL, target, GMIPrior(width=2, latent_size=6).build(32), [0])


def test_a_prior_without_blocks_is_refused():
    class Whole(nn.Module):
        style = truncate = synthesis = view = len

        def forward(self, z):
            return torch.zeros(len(z), 3, 32, 32)

    target, _ = tiny()
    with pytest.raises(ConfigError, match="expects a generator that goes block by block; got a Whole"):
        invert(SMALL, target, PriorNetworks(Whole(), nn.Identity(), 6), [0])


def test_a_loss_that_is_not_finite_fails_the_trial():
    target, prior = tiny()
    with torch.no_grad():
        target.head.weight.fill_(float("nan"))
    with pytest.raises(TrialError, match="not finite"):
        invert(SMALL, target, prior, [0])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"kept": 51}, "kept must be at most starts, 50; got 51"),
        ({"candidates": 40}, "starts must be at most candidates, 40; got 50"),
        ({"blocks": 8}, "radii must be numbers above 0, one for each of the 9 stages"),
        ({"blocks": 1, "radii": (5.0, 0.0)}, "radii must be numbers above 0"),
        ({"blocks": -1}, "blocks must be at least 0"),
        ({"block_iterations": 0}, "block_iterations must be at least 1; got 0"),
        ({"crop": (0.9, 0.5)}, "crop must be two numbers"),
    ],
)
def test_impossible_knobs(knobs, message):
    with pytest.raises(ValueError, match=message):
        IFGMI(**knobs)


def test_published_steps():
    """50 + 7 x 10 steps for FaceScrub, 70 + 4 x 25 for CelebA, 100 + 6 x 10 for dogs."""
    steps = {name: IFGMI(**knobs).steps for name, knobs in IFGMI.presets.items()}
    assert (steps["paper"], steps["paper_celeba"], steps["paper_dogs"]) == (120, 170, 160)
