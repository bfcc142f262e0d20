"""PPA against the released code's traces, and what its three parts promise."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.optim.descent import Journal
from trainables.attacks.optim.style_pool import best, crop_scores, mirrored_scores, visible
from trainables.attacks.ppa import PPA
from trainables.defenses.mid import MID
from trainables.errors import ConfigError, TrialError
from trainables.nn.crops import Crop, centre, resize
from trainables.nn.identity_losses import poincare
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.progress import silent

GOLDEN = Path(__file__).parents[2] / "golden"


def trace(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as arrays:
        tensors = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    return {key: value.double() if value.is_floating_point() else value for key, value in tensors.items()}


class Toy(nn.Module):
    """The synthesis of the traces, 1.4 tanh(sum over layers of w A + a), with black at 0 and white at 1."""

    def __init__(self, trace: dict[str, Tensor]) -> None:
        super().__init__()
        self.trace = trace

    def forward(self, z: Tensor) -> Tensor:
        return self.view(self.synthesis(self.style(z))).clamp(0, 1)

    def style(self, z: Tensor) -> Tensor:
        return torch.tanh(z @ self.trace["map_B"])

    def truncate(self, style: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        layers = style[:, None].repeat(1, len(self.trace["syn_A"]), 1)
        mean = self.trace["map_w_avg"]
        layers[:, :cutoff] = mean + psi * (layers[:, :cutoff] - mean)
        return layers

    def synthesis(self, styles: Tensor) -> Tensor:
        weights, bias = self.trace["syn_A"], self.trace["syn_a"]
        if styles.ndim == 2:
            styles = styles[:, None]
        layers = styles.expand(-1, len(weights), -1)
        raw = 1.4 * torch.tanh(torch.einsum("nlw,lwp->np", layers, weights) + bias)
        return raw.reshape(-1, 3, 16, 16) / 2 + 0.5

    def view(self, images: Tensor) -> Tensor:
        return resize(centre(images, int(self.trace["center_crop"])), int(self.trace["resize"]))


class Pool(nn.Module):
    """Average over squares so that an image has 8 x 8 pixels."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, x.shape[-1] // 8)[..., :8, :8].flatten(1)


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape).double()
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


def recorded(g: dict[str, Tensor]) -> tuple[Classifier, PriorNetworks]:
    hidden = nn.Sequential(Pool(), affine(g["T_W1"], g["T_b1"]), nn.Tanh())
    half = (0.5, 0.5, 0.5)  # as published: the target sees [-1, 1]
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"]), mean=half, std=half)
    return target.double().eval(), PriorNetworks(Toy(g), nn.Identity(), 8)


def no_noise():
    while True:
        yield torch.empty(0)


def crops(g: dict[str, Tensor], flips: list[bool] | None = None) -> list[Crop]:
    rows = g["crop_ijhw"].tolist()
    return [Crop(*row, flip=flip) for row, flip in zip(rows, flips or [False] * len(rows), strict=True)]


def near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance * max(1, wanted.abs().max().item()), rtol=0)


def test_initial_selection_follows_the_released_code():
    g = trace("04b_ppa_initial_selection_a.npz")
    target, prior = recorded(g)
    toy = prior.generator
    styles = toy.truncate(toy.style(g["z"]), float(g["psi"]), int(g["cutoff"]))
    near(styles, g["candidate_w"], 1e-5)
    images = visible(toy, toy.synthesis(styles), bool(g["clip"]))
    near(target(images), g["logits_image"], 1e-4)
    near(target(images.flip(3)), g["logits_flipped"], 1e-4)
    scores = mirrored_scores(target, images, no_noise())
    near(scores, g["mean_conf"], 1e-5)
    taken: dict[int, int] = {}
    chosen = best(scores, 8)
    for wanted, identity in zip(g["chosen_index"].tolist(), g["targets"].tolist(), strict=True):
        rank = taken.get(identity, 0)
        assert chosen[rank, identity] == wanted
        taken[identity] = rank + 1
    assert max(taken.values()) > 1  # the trace takes several of one identity


@pytest.mark.parametrize("steps", [1, 2, 15])
def test_optimisation_follows_the_released_code(steps):
    g = trace("04c_ppa_optimise_a.npz")
    target, prior = recorded(g)
    score = nn.Sequential(nn.Flatten(), affine(g["D_d"][:, None], g["D_d0"][None]), nn.Flatten(0))

    class Seen(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return score(images * 2 - 1)

    weight = float(g["disc_weight"])
    attack = PPA(
        iterations=steps,
        learning_rate=float(g["lr"]),
        milestones=tuple(g["lr_milestones"].int().tolist()),
        clip=bool(g["clip"]),
        realism_weight=weight,
        group=len(g["y"]),
    )
    start = g["w0"][:, 0] if g["w0"].shape[1] == 1 else g["w0"]
    prior = PriorNetworks(prior.generator, Seen(), 8)
    found, losses = attack.descend(
        target, prior, start, g["y"], crops(g), int(g["rrc_out"]), no_noise(), Journal()
    )
    near(found.reshape(g["w"][steps].shape), g["w"][steps], 1e-3)
    near(losses[:, 0], g["poincare_per_image"].mean(1)[:steps], 1e-4)


def test_final_selection_follows_the_released_code():
    g = trace("04d_ppa_final_selection_a.npz")
    target, prior = recorded(g)
    images = visible(prior.generator, prior.generator.synthesis(g["w"]), clip=False)
    drawn = crops(g, (g["flip_uniform"] < 0.5).tolist())
    rounds, size = int(g["iterations"]), int(g["batch_size"])
    used, scores, kept = 0, [], []
    for identity in g["target_order"].tolist():  # published: one draw per batch of one identity and round
        rows = (g["targets"] == identity).nonzero().flatten()
        own = []
        for batch in rows.split(size):
            some = drawn[used : used + rounds]
            used += rounds
            own.append(crop_scores(target, images[batch], g["targets"][batch], some, no_noise(), 224))
        scores.append(torch.cat(own))
        kept += rows[best(scores[-1][:, None], int(g["samples_per_target"]))[:, 0]].tolist()
    assert used == len(drawn)
    near(torch.cat(scores), g["scores_concat"], 1e-5)
    assert kept == g["selected_index"].tolist()


def tiny(seed: int = 0) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(seed)
    prior = StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)
    for network in (prior.generator, prior.discriminator):
        network.eval().requires_grad_(False)
    target = Classifier({"shrink": nn.AvgPool2d(4)}, nn.Flatten(), nn.Linear(192, 5)).eval()
    with torch.no_grad():
        target.head.weight.mul_(20)
    return target, prior


SMALL = PPA(candidates=30, starts=4, iterations=8, learning_rate=0.05, rounds=3, kept=2)


def invert(attack: PPA, target: Classifier, prior: PriorNetworks, identities, **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def confidence(target: Classifier, images: Tensor, identities) -> Tensor:
    with torch.no_grad():
        shown = target(images.flatten(0, 1).float() / 255).softmax(1).reshape(*images.shape[:2], -1)
    return shown[:, torch.arange(len(identities)), torch.tensor(identities)]


def test_the_search_lowers_the_distance_and_gains_confidence():
    target, _ = tiny()
    identities = [0, 1, 2, 3, 4]
    short, long = (
        invert(
            PPA(candidates=30, starts=3, iterations=n, learning_rate=lr, rounds=3, kept=3),
            *tiny(),
            identities,
        )
        for n, lr in ((1, 1e-9), (40, 0.1))
    )
    assert long.history[-1]["identity_loss"] < long.history[0]["identity_loss"] - 0.1
    assert (
        confidence(target, long.images, identities).mean()
        > confidence(target, short.images, identities).mean()
    )


def test_kept_are_the_most_robust_of_all_starts_best_first():
    target, prior = tiny()
    everyone = invert(PPA(candidates=30, starts=4, iterations=3, rounds=5, kept=4), target, prior, [1, 3])
    few = invert(PPA(candidates=30, starts=4, iterations=3, rounds=5, kept=2), target, prior, [1, 3])
    assert torch.equal(everyone.latents[:2], few.latents)
    assert len({tuple(row.tolist()) for row in everyone.latents[:, 0]}) == 4  # no start is kept twice


def test_starts_are_distinct_samples_of_the_pool_by_score():
    """With no step to speak of, what comes back are the pool's best samples, truncated."""
    target, prior = tiny()
    prior.generator.network.mapping.w_avg.normal_()
    attack = PPA(candidates=30, starts=3, iterations=1, learning_rate=1e-12, rounds=1, kept=3, psi=0.5)
    found = invert(attack, target, prior, [2])
    pool = invert(
        PPA(candidates=30, starts=30, iterations=1, learning_rate=1e-12, rounds=1, kept=30),
        target,
        prior,
        [2],
    )
    styles = pool.latents[:, 0]
    with torch.no_grad():
        images = prior.generator.synthesis(styles).clamp(0, 1)  # all 8 layers are truncated alike
        score = (target(images).softmax(1) + target(images.flip(3)).softmax(1))[:, 2]
    wanted = {tuple(row) for row in styles[score.topk(3).indices].tolist()}
    assert {tuple(row) for row in found.latents[:, 0].tolist()} == wanted


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    together = invert(SMALL, target, prior, [0, 1, 2, 4], batch_size=5)
    alone = invert(SMALL, target, prior, [2])
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-4, rtol=1e-4)


def test_realism_is_part_of_the_loss_only_if_it_has_weight():
    plain, weighted = (
        invert(PPA(candidates=20, starts=2, iterations=5, rounds=1, kept=1, realism_weight=w), *tiny(), [0])
        for w in (0.0, 5.0)
    )
    assert plain.history[0]["prior_loss"] == 0 and weighted.history[0]["prior_loss"] > 0
    assert not torch.equal(plain.latents, weighted.latents)


def test_realism_pulls_to_where_the_discriminator_scores_higher():
    """The first step of Adam is the rate times the sign of the gradient, here that of a sum of two terms."""
    target, prior = tiny()
    styles, labels = torch.randn(3, 6), torch.tensor([0, 3, 1])
    gradients = []
    for term in (
        lambda images: poincare(target(images), labels),
        lambda images: functional.softplus(-prior.discriminator(images)),
    ):
        leaf = styles.clone().requires_grad_(True)
        gradients.append(torch.autograd.grad(term(prior.generator.synthesis(leaf)).sum(), leaf)[0])
    identity, realism = gradients
    weight = (identity.norm() / realism.norm()).item()  # both count
    slope = identity + weight * realism
    assert (slope.sign() != identity.sign()).any() and (slope.sign() != realism.sign()).any()
    assert (slope.sign() != (identity - weight * realism).sign()).any()
    attack = PPA(iterations=1, learning_rate=0.01, realism_weight=weight, group=1)
    whole = [Crop(0, 0, 32, 32)]
    moved, _ = attack.descend(target, prior, styles, labels, whole, 32, no_noise(), Journal())
    torch.testing.assert_close(moved, styles - 0.01 * slope.sign(), atol=1e-4, rtol=0)


def test_the_rate_falls_at_milestones():
    """After a milestone a tenth of the step remains: Adam with hardly any memory moves by about the rate."""
    target, prior = tiny()
    styles, labels = torch.randn(2, 6), torch.tensor([0, 3])
    moved = {}
    for steps in (3, 4):
        attack = PPA(iterations=steps, milestones=(3,), learning_rate=0.01)
        moved[steps], _ = attack.descend(
            target, prior, styles, labels, [Crop(0, 0, 32, 32)] * 4, 32, no_noise(), Journal()
        )
    last = (moved[4] - moved[3]).abs()
    assert last.max() < 0.0025 and last.max() > 1e-5


def test_progress_never_goes_back_and_ends_at_its_total():
    reports = []
    invert(SMALL, *tiny(), [0, 3], report=lambda *a, **m: reports.append(a), batch_size=3)
    assert reports[-1] == ("attack", 30 + 8 * 11, 30 + 8 * 11)
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(reports))


def test_a_prior_without_styles_is_refused():
    target, _ = tiny()
    with pytest.raises(ConfigError, match="attack 'ppa' expects a prior with a style space"):
        invert(SMALL, target, GMIPrior(width=2, latent_size=6).build(32), [0])


def test_a_loss_that_is_not_finite_fails_the_trial():
    target, prior = tiny()
    with torch.no_grad():
        target.head.weight.fill_(float("nan"))
    with pytest.raises(TrialError, match="not finite"):
        invert(SMALL, target, prior, [0])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"kept": 5, "starts": 4}, "kept must be at most starts, 4; got 5"),
        ({"candidates": 10, "starts": 20, "kept": 1}, "starts must be at most candidates"),
        ({"crop": (0.9, 0.5)}, "crop must be two numbers"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_impossible_knobs(knobs, message):
    with pytest.raises(ValueError, match=message):
        PPA(**knobs)


def test_published_loss():
    """The distance that the trace records is the one of `identity_loss`."""
    g = trace("04c_ppa_optimise_a.npz")
    near(poincare(g["T_logits"].flatten(0, 1), g["y"].repeat(15)), g["poincare_per_image"].flatten(), 1e-4)
