"""MIRROR against the released code's trace, its bounds, its ramp and its choice by hand."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.mirror import Mirror, choose, ramp
from trainables.attacks.optim.descent import Journal
from trainables.attacks.optim.style_pool import best, style_bounds
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.progress import silent
from trainables.runtime.run import Run

GOLDEN = Path(__file__).parents[2] / "golden" / "05a_mirror_whitebox_a.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as arrays:
        tensors = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    return {key: value.double() if value.is_floating_point() else value for key, value in tensors.items()}


class Toy(nn.Module):
    """The generator of the trace, .5 + .5 tanh(w A + a), 8 x 8 pixels; it has one layer."""

    def __init__(self, trace: dict[str, Tensor]) -> None:
        super().__init__()
        self.trace = trace

    def style(self, z: Tensor) -> Tensor:
        return z

    def truncate(self, style: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        return style[:, None]

    def synthesis(self, styles: Tensor) -> Tensor:
        raw = torch.tanh(styles[:, 0] @ self.trace["G_A"] + self.trace["G_a"])
        return (0.5 + 0.5 * raw).reshape(-1, 3, 8, 8)

    def view(self, images: Tensor) -> Tensor:
        return images


class Hundredth(nn.Module):
    """The trace's target sees normalized images by the hundredth, in its order of colours."""

    def __init__(self, bgr: bool) -> None:
        super().__init__()
        self.bgr = bgr

    def forward(self, x: Tensor) -> Tensor:
        return (x.flip(1) if self.bgr else x).flatten(1) / 100


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape).double()
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


def victim(g: dict[str, Tensor]) -> Classifier:
    bgr = bool(g["bgr"])
    mean, std = (g[name].flip(0) if bgr else g[name] for name in ("mean255", "std255"))  # stored as seen
    hidden = nn.Sequential(Hundredth(bgr), affine(g["T_W1"], g["T_b1"]), nn.Tanh())
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"])).double().eval()
    target.mean, target.std = (value.view(1, 3, 1, 1) / 255 for value in (mean, std))
    return target


def no_noise():
    while True:
        yield torch.empty(100, 0)


def near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance * max(1, wanted.abs().max().item()), rtol=0)


@pytest.mark.parametrize("at_once", [100, 4])
def test_follows_the_released_code(golden, at_once):
    g = golden
    target = victim(g)
    low, high = style_bounds(g["pool_w"], float(g["p_std"]))
    near(low, g["w_lo"][0], 1e-5)
    near(high, g["w_hi"][0], 1e-5)
    near(torch.minimum(torch.maximum(g["clip_in"], low), high), g["clip_out"], 1e-5)
    chosen = best(g["pool_logits"].softmax(1), int(g["bs"]))[:, int(g["target"])]
    assert chosen.tolist() == g["start_index"].tolist()
    near(g["pool_w"][chosen], g["w"][0], 1e-6)

    steps = int(g["epochs"])
    rates = [ramp(float(g["lr_peak"]), number, steps) for number in range(1, steps + 1)]
    near(torch.tensor(rates).double(), g["lr"], 1e-6)
    attack = Mirror(
        starts=int(g["bs"]),
        iterations=steps,
        learning_rate=float(g["lr_peak"]),
        loss_weight=float(g["loss_ce_weight"]),
        spread=float(g["p_std"]),
    )
    labels = torch.full((attack.starts,), int(g["target"]))
    found, losses = attack.descend(
        target,
        Toy(g),
        g["w"][0],
        labels,
        low,
        high,
        [bool(flip) for flip in g["flip"].tolist()],
        no_noise(),
        Journal(),
        size=at_once,
    )
    near(losses[:, 0], g["ce_mean"], 1e-4)
    near(found, g["best_w"], 1e-3)


def test_ramp_at_known_steps():
    steps = {1: 0.00025, 100: 0.025, 1000: 0.25, 15000: 0.25, 17500: 0.125, 19000: 0.02387288, 20000: 0}
    for step, rate in steps.items():
        assert ramp(0.25, step, 20_000) == pytest.approx(rate, abs=1e-8)


def test_bounds_of_known_styles():
    before = torch.tensor([[-2.0, 1.0], [0.0, 3.0], [2.0, -1.0]]).double()
    low, high = style_bounds(functional.leaky_relu(before, 0.2), 1.0)
    near(low, torch.tensor([-0.32659863, -0.12659863]).double(), 1e-7)
    near(high, torch.tensor([1.63299316, 2.63299316]).double(), 1e-7)


def by_enumeration(logits: Tensor, label: int) -> int:
    """The choice by its words: all sets of images, largest first."""
    confidence = logits.softmax(1)[:, label]
    near = [set(row.topk(5).indices.tolist()) - {label} for row in logits]
    for size in range(len(logits), 0, -1):
        sets = [
            s
            for s in combinations(range(len(logits)), size)
            if len(set.intersection(*(near[i] for i in s))) >= 2
        ]
        if sets:
            return max((i for s in sets for i in s), key=lambda i: confidence[i].item())
    raise AssertionError


@pytest.mark.parametrize("seed", range(30))
def test_the_choice_is_the_best_of_those_that_agree(seed):
    logits = torch.randn(8, 12, generator=torch.manual_seed(seed))
    assert choose(logits, 3) == by_enumeration(logits, 3)


def test_the_choice_among_few_classes_is_the_most_confident():
    logits = torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0]])
    assert choose(logits, 1) == 1


def tiny() -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    prior = StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)
    for network in (prior.generator, prior.discriminator):
        network.eval().requires_grad_(False)
    target = Classifier({"shrink": nn.AvgPool2d(4)}, nn.Flatten(), nn.Linear(192, 5)).eval()
    with torch.no_grad():
        target.head.weight.mul_(20)
    return target, prior


def invert(attack: Mirror, target: Classifier, prior: PriorNetworks, identities, **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


SMALL = Mirror(pool=30, starts=3, iterations=12)


def test_styles_stay_within_bounds_and_the_loss_falls():
    target, prior = tiny()
    with torch.no_grad():
        target.head.weight.div_(10)  # so that the best of the pool leave something to gain
    found = invert(Mirror(pool=30, starts=3, iterations=40, choice=False), target, prior, [0, 4])
    pool = Mirror(pool=30, starts=30, iterations=1, learning_rate=1e-12, spread=1e6, choice=False)
    low, high = style_bounds(invert(pool, target, prior, [0]).latents[:, 0], 1.0)
    assert found.latents.shape == (3, 2, 6)
    assert (found.latents >= low - 1e-5).all() and (found.latents <= high + 1e-5).all()
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    together = invert(SMALL, target, prior, [0, 1, 2, 4], batch_size=7)
    alone = invert(SMALL, target, prior, [2], batch_size=2)
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-3, rtol=1e-3)


def test_the_choice_is_one_of_the_starts():
    everyone = invert(Mirror(pool=30, starts=3, iterations=5, choice=False), *tiny(), [1])
    one = invert(Mirror(pool=30, starts=3, iterations=5), *tiny(), [1])
    assert one.latents.shape == (1, 1, 6)
    assert any(torch.equal(one.latents[0, 0], start) for start in everyone.latents[:, 0])


@pytest.mark.parametrize("choice", [True, False])
def test_it_gives_and_costs_what_it_says_with_a_choice_and_without(choice):
    target, prior = tiny()
    counted = {"target": 0, "generator": 0}

    def count(name):
        def hook(module, given, made):
            counted[name] += len(made)

        return hook

    *_, last = prior.generator.modules()  # every image goes through it, once
    last.register_forward_hook(count("generator"))
    target.register_forward_hook(count("target"))
    attack, identities = Mirror(pool=20, starts=3, iterations=4, choice=choice), torch.tensor([1, 4])
    found = attack.reconstruct(target, prior, identities, Run(seed=3), None)
    assert len(found.latents) == attack.restarts == (1 if choice else 3)
    said = attack.shared_passes() + attack.passes() * len(identities)
    assert counted == {"target": said.target_forward, "generator": said.generator_forward}
    assert said.target_forward == 20 + 2 * (3 * 4 + (3 if choice else 0))


def test_a_prior_without_styles_is_refused():
    with pytest.raises(ConfigError, match="attack 'mirror' expects a prior with a style space"):
        invert(SMALL, tiny()[0], GMIPrior(width=2, latent_size=6).build(32), [0])


def test_impossible_knobs():
    with pytest.raises(ValueError, match="starts must be at most pool, 5; got 8"):
        Mirror(pool=5)
    with pytest.raises(ValueError, match="learning_rate"):
        Mirror(learning_rate=0)
