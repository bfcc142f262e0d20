"""PPDG-MI's rounds against plain loops: the plain attack, with the tuning in between written out."""

import copy
import dataclasses
import math

import pytest
import torch
import toy_networks as toys
from away import ALIGNED, away
from torch.nn import functional

from trainables.attacks.gmi import GMI, PPDGGMI
from trainables.attacks.ppa import PPA, PPDGPPA
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream

IDENTITIES = torch.tensor([3, 0])
SEED = 4


class PlainGMI(GMI):
    kind = "ppdg_gmi"  # the same random streams


class PlainPPA(PPA):
    kind = "ppdg_ppa"


def plain(cls, attack):
    """Return the attack without what tunes the prior."""
    return cls(**{field.name: getattr(attack, field.name) for field in dataclasses.fields(cls)})


def weights_apart(prior, other) -> float:
    pairs = zip(prior.generator.parameters(), other.generator.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def adversarially_tuned(attack, prior, public, pictures, identity: int, number: int):
    """WGAN-GP on both kinds of images, by torch's Adam."""
    networks = [
        copy.deepcopy(net).eval().requires_grad_(True) for net in (prior.generator, prior.discriminator)
    ]
    generator, critic = networks
    descents = [
        torch.optim.Adam(net.parameters(), lr=attack.tuning_rate, betas=(0.5, 0.999)) for net in networks
    ]
    images = torch.cat((public, pictures)) / 255
    order, noise = (stream(SEED, "ppdg_gmi", use, identity, number) for use in ("order", "noise"))
    step = 0
    for _ in range(attack.epochs):
        permuted = torch.randperm(len(images), generator=order)
        for first in range(0, len(images) - attack.batch_size + 1, attack.batch_size):
            real, step = images[permuted[first : first + attack.batch_size]], step + 1
            fake = generator(torch.randn(len(real), toys.LATENT, generator=noise)).detach()
            share = torch.rand(len(real), 1, 1, 1, generator=noise)
            between = (real + share * (fake - real)).requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            penalty = ((slope.flatten(1).square().sum(1).sqrt() - 1) ** 2).mean()
            descents[1].zero_grad()
            (critic(fake).mean() - critic(real).mean() + 10 * penalty).backward()
            descents[1].step()
            if step % attack.critic_steps == 0:
                descents[0].zero_grad()
                (-critic(generator(torch.randn(len(real), toys.LATENT, generator=noise))).mean()).backward()
                descents[0].step()
    assert step > attack.critic_steps
    return dataclasses.replace(prior, generator=generator, discriminator=critic)


def test_ppdg_gmi():
    prior = toys.prior("gmi")
    target = toys.target(prior)
    attack = away(
        PPDGGMI,
        but=ALIGNED,
        iterations=4,
        restarts=4,
        learning_rate=0.3,
        momentum=0.5,
        identity_weight=3.0,
        clip=0.8,
        group=7,
        tunings=2,
        points=2,
        rating_views=3,
        public_images=7,
        epochs=2,
        batch_size=4,
        tuning_rate=0.01,
        critic_steps=2,
    )
    learnt = attack.auxiliary.make(target, toys.colours(), run=Run(seed=SEED))
    chosen = torch.randperm(30, generator=stream(SEED, "auxiliary", "public"))[:7]
    assert torch.equal(learnt["public"], toys.colours().pixels[chosen])
    result = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED), auxiliary=learnt)
    for place, identity in enumerate(IDENTITIES.tolist()):
        label, networks = torch.tensor([identity]), prior
        for number in range(attack.tunings):
            images = plain(PlainGMI, attack).invert(target, networks, label, run=Run(seed=SEED)).images[:, 0]
            draws = torch.randn(
                4 * 3, AUGMENTATION_DRAWS, generator=stream(SEED, "ppdg_gmi", "views", identity, number)
            )
            views = random_augmentation((images / 255).repeat_interleave(3, 0), draws)
            with torch.no_grad():
                sure = target(views).softmax(1)[:, identity].reshape(4, 3).mean(1)
            best = images[torch.argsort(sure, descending=True)[:2]]
            networks = adversarially_tuned(attack, networks, learnt["public"], best, identity, number)
        assert weights_apart(networks, prior) > 0.01
        last = plain(PlainGMI, attack).invert(target, networks, label, run=Run(seed=SEED))
        torch.testing.assert_close(result.latents[:, place], last.latents[:, 0], rtol=1e-4, atol=1e-4)
        assert (result.images[:, place].int() - last.images[:, 0].int()).abs().max() <= 1
        first = plain(PlainGMI, attack).invert(target, prior, label, run=Run(seed=SEED))
        assert (first.latents - last.latents).abs().max() > 0.01  # the tuning can be told


def pivots_of(attack, prior, images, identity: int):
    """StyleGAN2's projector with pixels as the features."""
    draw = stream(SEED, "ppdg_ppa", "pivots", identity, 0)
    mapping, synthesis = prior.generator.network.mapping, prior.generator.network.synthesis
    with torch.no_grad():
        styles = mapping(torch.randn(600, toys.LATENT, generator=draw))
    mean = styles.mean(0)
    wide = math.sqrt(((styles - mean) ** 2).sum(1).mean().item())
    style = mean.repeat(len(images), 1).requires_grad_(True)
    adam = torch.optim.Adam([style])
    for step in range(attack.inversion_steps):
        t = step / attack.inversion_steps
        fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))
        adam.param_groups[0]["lr"] = attack.inversion_rate * fall * min(1.0, t / 0.05)
        noise = torch.randn(style.shape, generator=draw) * wide * 0.05 * max(0.0, 1 - t / 0.75) ** 2
        made = synthesis(style + noise) / 2 + 0.5
        loss = ((made - images) ** 2).sum(1).mean((1, 2)).sum()
        loss = loss + 0.1 * functional.softplus(-prior.discriminator(made)).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return style.detach()


def test_ppdg_ppa():
    prior = toys.prior("stylegan2")
    target = toys.target(prior)
    attack = away(
        PPDGPPA,
        but=("clip_samples", "milestones", "tunings", *ALIGNED),
        candidates=16,
        psi=0.6,
        cutoff=5,
        starts=4,
        iterations=4,
        learning_rate=0.03,
        crop=(0.4, 0.8),
        clip=True,
        group=3,
        rounds=3,
        selection_crop=(0.3, 0.6),
        selection_ratio=(0.5, 1.5),
        kept=3,
        realism_weight=0.1,
        points=2,
        inversion_steps=7,
        inversion_rate=0.05,
        tuning_steps=4,
        tuning_rate=0.01,
        features="pixels",
    )
    result = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    for place, identity in enumerate(IDENTITIES.tolist()):
        label = torch.tensor([identity])
        first = plain(PlainPPA, attack).invert(target, prior, label, run=Run(seed=SEED))
        images = first.images[:2, 0] / 255
        pivots = pivots_of(attack, prior, images, identity)
        generator = copy.deepcopy(prior.generator).requires_grad_(True)
        adam = torch.optim.Adam(generator.parameters(), lr=attack.tuning_rate)
        away_from = []
        for _ in range(attack.tuning_steps):
            made = generator.network.synthesis(pivots) / 2 + 0.5
            loss = ((made - images) ** 2).sum(1).mean((1, 2)).mean()
            away_from.append(loss.item())
            adam.zero_grad()
            loss.backward()
            adam.step()
        assert away_from[-1] < away_from[0]  # the pivots give the reconstructions more nearly
        tuned = dataclasses.replace(prior, generator=generator)
        last = plain(PlainPPA, attack).invert(target, tuned, label, run=Run(seed=SEED))
        assert (first.latents - last.latents).abs().max() > 0.01
        torch.testing.assert_close(result.latents[:, place], last.latents[:, 0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["gmi", "stylegan2"])
def test_the_prior_that_was_given_stays(kind):
    """Also where the networks' weights take gradients, and through two identities."""
    prior = toys.prior(kind)
    before = copy.deepcopy(prior.generator.state_dict())
    few = {"restarts": 2, "iterations": 2, "rating_views": 2, "epochs": 1, "batch_size": 4}
    attack = (
        PPDGGMI(**few)
        if kind == "gmi"
        else PPDGPPA(
            candidates=8,
            starts=2,
            iterations=2,
            rounds=1,
            kept=2,
            features="pixels",
            tuning_steps=2,
            inversion_steps=2,
        )
    )
    learnt = {"public": toys.colours().pixels}
    attack.invert(toys.target(prior), prior, IDENTITIES, run=Run(seed=SEED), auxiliary=learnt)
    assert all(torch.equal(value, before[name]) for name, value in prior.generator.state_dict().items())
