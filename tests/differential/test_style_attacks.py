"""Attacks on styles of a StyleGAN2 against plain loops, away from every default."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import toy_networks as toys
from away import ALIGNED, away
from torch import Tensor, nn
from torch.nn import functional

from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.mirror import Mirror, choose
from trainables.attacks.mirror_blackbox import MirrorBlackbox
from trainables.attacks.ppa import PPA
from trainables.nn.crops import apply_crop, draw_crops
from trainables.oracle import observe
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream

IDENTITIES = torch.tensor([3, 0, 2])
SEED = 4
CROPS = {
    "candidates": 16,
    "psi": 0.6,
    "cutoff": 5,
    "starts": 3,
    "iterations": 4,
    "learning_rate": 0.03,
    "crop": (0.4, 0.8),
    "clip": True,
    "rounds": 3,
    "selection_crop": (0.3, 0.6),
    "selection_ratio": (0.5, 1.5),
    "kept": 2,
}


class Wide(nn.Module):
    """A StyleGAN2 in float64: PPA's Adam keeps but the signs of gradients, which float32 rounds away."""

    def __init__(self, pictures: nn.Module) -> None:
        super().__init__()
        self.pictures = copy.deepcopy(pictures).double()
        for name in ("truncate", "synthesis", "view", "advance", "finish"):
            setattr(Wide, name, _passed_on(name))

    def style(self, z: Tensor) -> Tensor:
        return self.pictures.style(z.double())

    def forward(self, z: Tensor) -> Tensor:
        return self.pictures(z.double())

    @property
    def depth(self) -> int:
        return self.pictures.depth


def _passed_on(name: str):
    return lambda self, *arguments: getattr(self.pictures, name)(*arguments)


def scene():
    """Return a target, a prior, and the networks that the references look into, all in float64."""
    networks = toys.prior("stylegan2")
    target = toys.target(networks).double()
    prior = replace(
        networks, generator=Wide(networks.generator), discriminator=networks.discriminator.double()
    )
    return target, prior, (target, prior.generator.pictures, prior.discriminator)


def pool_of(generator, kind: str, count: int):
    latents = torch.randn(count, toys.LATENT, generator=stream(SEED, kind, "pool")).double()
    with torch.no_grad():
        return generator.network.mapping(latents)


def truncated(generator, styles, psi: float, cutoff: int):
    """Return styles (n, L, W), the first `cutoff` layers drawn to the mean style."""
    layers = styles[:, None].repeat(1, generator.network.synthesis.layers, 1)
    layers[:, :cutoff] = generator.network.mapping.w_avg * (1 - psi) + psi * layers[:, :cutoff]
    return layers


def picture(generator, styles, clip: bool):
    whole = generator.network.synthesis(styles) / 2 + 0.5
    return whole.clamp(0, 1) if clip else whole


def poincare(logits, label: int, xi: float = 1e-4):
    """PPA's distance, written with the vectors themselves."""
    u = logits / logits.abs().sum(1, keepdim=True)
    v = torch.zeros_like(u)
    v[:, label] = 1 - xi
    room = (1 - (u**2).sum(1)) * (1 - (v**2).sum(1))
    return torch.acosh(1 + 2 * ((u - v) ** 2).sum(1) / room)


def best_of(values, count: int):
    return torch.argsort(values, descending=True)[:count]


def first_styles(attack, classifier, generator, identity: int):
    """Return the starts of an identity: the candidates surest with their mirror images, best first."""
    pool = pool_of(generator, attack.kind, attack.candidates)
    styles = truncated(generator, pool, attack.psi, attack.cutoff)
    with torch.no_grad():
        images = picture(generator, styles, attack.clip_samples)
        sure = (classifier(images).softmax(1) + classifier(images.flip(3)).softmax(1))[:, identity]
    return styles[best_of(sure, attack.starts), 0]


def survivors(attack, classifier, generator, images, identity: int):
    """Return which images hold the most softmax over the random crops of the last part, best first."""
    shown = draw_crops(
        attack.rounds,
        toys.SIZE,
        attack.selection_crop,
        attack.selection_ratio,
        stream(SEED, attack.kind, "selection"),
        flips=True,
    )
    with torch.no_grad():
        sure = sum(classifier(apply_crop(images, crop, toys.SIZE)).softmax(1)[:, identity] for crop in shown)
    return best_of(sure, attack.kept)


@pytest.mark.parametrize("clip_samples", [False, True])
def test_ppa(clip_samples):
    target, prior, (classifier, generator, critic) = scene()
    attack = away(
        PPA,
        but=("clip_samples", *ALIGNED),
        **CROPS,
        clip_samples=clip_samples,
        milestones=(2, 3),
        realism_weight=0.7,
        group=4,
    )
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    crops = draw_crops(attack.iterations, toys.SIZE, attack.crop, (1, 1), stream(SEED, "ppa", "crops"))
    for place, identity in enumerate(IDENTITIES.tolist()):
        style = first_styles(attack, classifier, generator, identity).requires_grad_(True)
        start = style.detach().clone()
        adam = torch.optim.Adam([style], lr=attack.learning_rate, betas=(0.1, 0.1))
        for step, crop in enumerate(crops):
            adam.param_groups[0]["lr"] = attack.learning_rate * 0.1 ** ((step >= 2) + (step >= 3))
            one_for_all = style[:, None].expand(-1, generator.network.synthesis.layers, -1)
            whole = generator.network.synthesis(one_for_all) / 2 + 0.5
            seen = apply_crop(whole.clamp(0, 1), crop, toys.SIZE)
            loss = poincare(classifier(seen), identity).sum()
            loss = loss + attack.realism_weight * functional.softplus(-critic(whole)).sum()
            adam.zero_grad()
            (loss / attack.group).backward()
            adam.step()
        with torch.no_grad():
            images = picture(generator, style, True)
        kept = survivors(attack, classifier, generator, images, identity)
        assert (style.detach() - start).abs().mean() > 0.01
        torch.testing.assert_close(
            found.latents[:, place].double(), style.detach()[kept], rtol=1e-5, atol=1e-5
        )
        assert (found.images[:, place].double() - 255 * images[kept]).abs().max() < 1


def test_ppa_without_a_clip():
    """Images that leave [0, 1] reach the target as they are: `clip` is off in all published runs."""
    target, prior, (classifier, generator, _) = scene()
    attack = PPA(**CROPS | {"clip": False, "iterations": 1, "kept": 3})
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    (crop,) = draw_crops(1, toys.SIZE, attack.crop, (1, 1), stream(SEED, "ppa", "crops"))
    style = first_styles(attack, classifier, generator, 3).requires_grad_(True)
    whole = picture(generator, style, False)
    assert whole.min() < 0 or whole.max() > 1
    poincare(classifier(apply_crop(whole, crop, toys.SIZE)), 3).sum().backward()
    moved = style.detach() - attack.learning_rate * style.grad.sign()  # Adam's first step
    for latent in found.latents[:, 0].double():
        assert (moved - latent).abs().amax(1).min() < 1e-3


def nearest_in_l1_ball(row, radius: float):
    """Return the point of the L1 ball that is nearest, by halving the interval of the shrinkage."""
    if row.abs().sum() <= radius:
        return row
    low, high = 0.0, row.abs().max().item()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (row.abs() - middle).clamp_min(0).sum() > radius else (low, middle)
    return row.sign() * (row.abs() - high).clamp_min(0)


@pytest.mark.parametrize("keep_picture", [True, False])
def test_if_gmi(keep_picture):
    target, prior, (classifier, generator, _) = scene()
    attack = away(
        IFGMI,
        but=("clip_samples", "keep_picture", *ALIGNED),
        **CROPS | {"learning_rate": 0.02},
        blocks=2,
        block_iterations=3,
        radii=(0.1, 0.5, 2.0),
        keep_picture=keep_picture,
        group=3,
    )
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    steps = attack.iterations + 2 * attack.block_iterations
    crops = draw_crops(steps, toys.SIZE, attack.crop, (1, 1), stream(SEED, "if_gmi", "crops"))
    synthesis = generator.network.synthesis
    for place, identity in enumerate(IDENTITIES.tolist()):
        style = first_styles(attack, classifier, generator, identity)
        features = shown = None
        step = 0
        for stage in range(3):
            if stage:
                with torch.no_grad():
                    features, drawn = synthesis.part(style, stage - 1, stage, features, shown)
                shown = drawn if keep_picture else None
            moving = [style.requires_grad_(True)]
            moving += [] if features is None else [features.requires_grad_(True)]
            begun = [value.detach().clone() for value in moving]
            adam = torch.optim.Adam(moving, lr=attack.learning_rate, betas=(0.1, 0.1))
            for _ in range(attack.block_iterations if stage else attack.iterations):
                whole = synthesis(style, begin=stage, features=features, picture=shown) / 2 + 0.5
                seen = apply_crop(whole.clamp(0, 1), crops[step], toys.SIZE)
                step += 1
                if step == steps:
                    break  # the last step only looks
                adam.zero_grad()
                (poincare(classifier(seen), identity).sum() / attack.group).backward()
                adam.step()
                with torch.no_grad():
                    for value, start in zip(moving, begun, strict=True):
                        for row, origin in zip(value, start, strict=True):
                            held = nearest_in_l1_ball((row - origin).flatten(), attack.radii[stage])
                            row.copy_(origin + held.view_as(row))
            style = style.detach()
            features = None if features is None else features.detach()
        with torch.no_grad():
            whole = synthesis(style, begin=2, features=features, picture=shown) / 2 + 0.5
        kept = survivors(attack, classifier, generator, whole.clamp(0, 1), identity)
        torch.testing.assert_close(found.latents[:, place].double(), style[kept], rtol=1e-5, atol=1e-5)
        assert (found.images[:, place].double() - 255 * whole[kept].clamp(0, 1)).abs().max() < 1


def style_range(pool, spread: float):
    """Return MIRROR's bounds: spread deviations around the mean, before the leaky ReLU of slope 0.2."""
    before = torch.where(pool < 0, pool * 5, pool)
    ends = [before.mean(0) + sign * spread * before.std(0, unbiased=False) for sign in (-1, 1)]
    return [torch.where(end < 0, end * 0.2, end) for end in ends]


def ramp(peak: float, t: float) -> float:
    return peak * min(1, t / 0.05) * (0.5 - 0.5 * math.cos(math.pi * min(1, (1 - t) / 0.25)))


@pytest.mark.parametrize("choice", [False, True])
@pytest.mark.parametrize("flips", [False, True])
def test_mirror(flips, choice):
    target, prior, (classifier, generator, _) = scene()
    attack = away(
        Mirror,
        but=("flips", "choice", *ALIGNED),
        pool=16,
        psi=0.5,
        cutoff=4,
        starts=3,
        iterations=12,
        learning_rate=0.6,
        spread=0.7,
        loss_weight=3.0,
        flips=flips,
        choice=choice,
    )
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    pool = pool_of(generator, "mirror", attack.pool)
    low, high = style_range(pool, attack.spread)
    coins = torch.rand(attack.iterations, generator=stream(SEED, "mirror", "coins"))
    assert 0 < (coins > 0.5).sum() < len(coins)  # or mirroring could not be told
    earlier = False
    for place, identity in enumerate(IDENTITIES.tolist()):

        def look(styles):
            layers = truncated(generator, styles, attack.psi, attack.cutoff)
            return generator.network.synthesis(layers) / 2 + 0.5

        with torch.no_grad():
            sure = classifier(look(pool)).softmax(1)[:, identity]
        style = pool[best_of(sure, attack.starts)].clone().requires_grad_(True)
        adam = torch.optim.Adam([style])
        lowest, best, last = math.inf, None, None
        for step in range(1, attack.iterations + 1):
            adam.param_groups[0]["lr"] = ramp(attack.learning_rate, step / attack.iterations)
            images = look(style)
            seen = images.flip(3) if flips and coins[step - 1] > 0.5 else images
            loss = -classifier(seen).log_softmax(1)[:, identity].mean()
            adam.zero_grad()
            (attack.loss_weight * loss).backward()
            adam.step()
            with torch.no_grad():
                style.copy_(torch.minimum(torch.maximum(style, low), high))
            last = style.detach().clone()
            if loss.item() < lowest:
                lowest, best = loss.item(), last
        earlier = earlier or not torch.equal(best, last)
        if choice:
            with torch.no_grad():
                best = best[[choose(classifier(look(best)), identity)]]
        torch.testing.assert_close(found.latents[:, place].double(), best, rtol=1e-5, atol=1e-5)
        with torch.no_grad():
            drawn = look(best).clamp(0, 1)
        assert (found.images[:, place].double() - 255 * drawn).abs().max() < 1
    assert earlier  # a best step that is not the last one, or keeping it could not be told


@pytest.mark.parametrize("crossover", ["corrected", "released"])
def test_mirror_blackbox(crossover):
    target, prior, (classifier, generator, _) = scene()
    attack = away(
        MirrorBlackbox,
        but=("crossover",),
        pool=16,
        psi=0.5,
        cutoff=4,
        population=6,
        generations=5,
        enough=0.93,
        crossover=crossover,
        mutation_chance=0.4,
        mutation_size=0.6,
        spread=0.7,
    )
    found = attack.invert(observe(target, "scores", "cpu"), prior, IDENTITIES, run=Run(seed=SEED))
    pool = pool_of(generator, "mirror_blackbox", attack.pool)
    low, high = style_range(pool, attack.spread)
    deviation = torch.where(pool < 0, pool * 5, pool).std(0, unbiased=False)
    children = attack.population - 1

    @torch.no_grad()
    def log_p(styles, identity):
        images = (
            generator.network.synthesis(truncated(generator, styles, attack.psi, attack.cutoff)) / 2 + 0.5
        )
        return classifier(images.clamp(0, 1)).log_softmax(1)[:, identity]

    asked = attack.pool
    for place, identity in enumerate(IDENTITIES.tolist()):
        fitness = log_p(pool, identity)
        order = best_of(fitness, attack.population)
        population, fitness = pool[order], fitness[order]
        for generation in range(attack.generations):
            if fitness[0] >= math.log(attack.enough):
                break
            asked += children
            draw = stream(SEED, "mirror_blackbox", "breeding", identity, generation)
            weights = fitness.float().softmax(0)
            parents = torch.multinomial(weights, 2 * children, replacement=True, generator=draw)
            one, other = parents[:children], parents[children:]
            p, q = fitness[one], fitness[other]
            first = p.exp() / (p.exp() + q.exp()) if crossover == "corrected" else p / (p + q)
            mine = torch.rand(children, toys.LATENT, generator=draw) < first[:, None]
            genes = torch.where(mine, population[one], population[other])
            moved = torch.rand(children, toys.LATENT, generator=draw) < attack.mutation_chance
            step = (2 * torch.rand(toys.LATENT, generator=draw) - 1) * deviation * attack.mutation_size
            before = torch.where(genes < 0, genes * 5, genes) + moved * step
            born = torch.where(before < 0, before * 0.2, before)
            born = torch.minimum(torch.maximum(born, low), high)
            everyone = torch.cat((population[:1], born))
            fitness = torch.cat((fitness[:1], log_p(born, identity)))
            order = best_of(fitness, attack.population)
            population, fitness = everyone[order], fitness[order]
        torch.testing.assert_close(found.latents[0, place].double(), population[0], rtol=1e-5, atol=1e-5)
    assert found.queries == asked > attack.pool
