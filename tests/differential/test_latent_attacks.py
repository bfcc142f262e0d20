"""Attacks with gradients on latents, step by step against plain loops in float64, away from every default."""

import copy
import math

import pytest
import torch
import toy_networks as toys
from away import ALIGNED, away
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.attacks.gmi import GMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lokt import LOKT
from trainables.attacks.lomma import LommaGMI, LommaKEDMI
from trainables.attacks.plg import PLG
from trainables.attacks.vmi import VMI
from trainables.nn.augmentation import random_augmentation
from trainables.oracle import observe
from trainables.runtime.run import Run
from trainables.runtime.seeds import stream

IDENTITIES = torch.tensor([3, 0, 2])
SEED = 4
COUNT = len(IDENTITIES)
GMI_KNOBS = {
    "iterations": 5,
    "restarts": 2,
    "learning_rate": 0.03,
    "momentum": 0.6,
    "identity_weight": 30.0,
    "clip": 0.7,
    "group": 7,
}
GAUSSIAN_KNOBS = {
    "iterations": 5,
    "restarts": 2,
    "learning_rate": 0.05,
    "identity_weight": 7.0,
    "log_variance": -0.5,
    "clip": 0.6,
    "group": 2,
}


def scene(kind: str):
    """Return a target, a prior, and both in float64 for the reference."""
    prior = toys.prior(kind)
    target = toys.target(prior)
    doubles = [copy.deepcopy(net).double() for net in (target, prior.generator, prior.discriminator)]
    return target, prior, doubles


def draws(kind: str, use: str, *names: object) -> torch.Generator:
    return stream(SEED, kind, use, *names)


def rows_of(blocks: int, generators, size: int):
    """Return standard normal rows, step by step: every row draws 16 steps at once from its own stream."""
    drawn = [torch.randn(16 * blocks, size, generator=generator).double() for generator in generators]
    return torch.stack(drawn, 1)


def cross_entropy(logits, labels):
    return -(logits - logits.logsumexp(1, keepdim=True))[torch.arange(len(labels)), labels]


def lomma(attack, target, students, feature_mean):
    """The mean over classifiers of the negative logit, plus the distance of the feature to its mean."""

    def loss(images, labels):
        feature = target.features(images)
        logits = [target.head(feature), *(student(images) for student in students)]
        if attack.identity_loss == "cross_entropy":
            return sum(cross_entropy(each, labels) for each in logits) / len(logits)
        own = sum(-each[torch.arange(len(labels)), labels] for each in logits) / len(logits)
        return own + attack.feature_weight * ((feature - feature_mean) ** 2).mean(1)

    return loss


def reference_gmi(attack, generator, critic, loss):
    """Nesterov's momentum on -D(G(z)) + weight · loss, over `group`, clipped after the step."""
    found = []
    for restart in range(attack.restarts):
        row = []
        for identity in IDENTITIES.tolist():
            z = torch.randn(toys.LATENT, generator=draws(attack.kind, "start", restart, identity)).double()
            velocity = torch.zeros_like(z)
            for _ in range(attack.iterations):
                z = z.detach().requires_grad_(True)
                image = generator(z[None])
                value = -critic(image) + attack.identity_weight * loss(image, torch.tensor([identity]))
                (slope,) = torch.autograd.grad(value.sum() / attack.group, z)
                before, velocity = velocity, attack.momentum * velocity - attack.learning_rate * slope
                z = z.detach() - attack.momentum * before + (1 + attack.momentum) * velocity
                z = z.clamp(-attack.clip, attack.clip)
            row.append(z)
        found.append(torch.stack(row))
    return torch.stack(found)


def reference_kedmi(attack, generator, critic, loss):
    """torch's Adam on means and log-variances of one Gaussian for each identity, group by group."""
    found = []
    for first in range(0, COUNT, attack.group):
        labels = IDENTITIES[first : first + attack.group]
        mean = torch.zeros(len(labels), toys.LATENT, dtype=torch.float64, requires_grad=True)
        spread = torch.full_like(mean, attack.log_variance).requires_grad_(True)
        adam = torch.optim.Adam([mean, spread], lr=attack.learning_rate)
        noise = rows_of(1, [draws(attack.kind, "draw", int(label)) for label in labels], toys.LATENT)

        def latents(normal, mean=mean, spread=spread):
            z = mean + (spread / 2).exp() * normal
            return z if attack.clip is None else z.clamp(-attack.clip, attack.clip)

        for step in range(attack.iterations):
            images = generator(latents(noise[step]))
            value = functional.softplus(-critic(images)) + attack.identity_weight * loss(images, labels)
            adam.zero_grad()
            (value.sum() / attack.group).backward()
            adam.step()
        last = rows_of(1, [draws(attack.kind, "last", int(label)) for label in labels], toys.LATENT)
        found.append(torch.stack([latents(last[restart]).detach() for restart in range(attack.restarts)]))
    return torch.cat(found, 1)


def compare(found, expected, prior, least: float = 0.05):
    """The latents agree, they have moved, and the images are theirs."""
    torch.testing.assert_close(found.latents.double(), expected, rtol=1e-3, atol=1e-3)
    assert expected.abs().mean() > least
    with torch.no_grad():
        drawn = prior.generator(expected.float().flatten(0, 1)).reshape(found.images.shape)
    assert (found.images.double() - 255 * drawn.double().clamp(0, 1)).abs().max() < 2


def test_gmi():
    target, prior, (classifier, generator, critic) = scene("gmi")
    attack = away(GMI, but=ALIGNED, **GMI_KNOBS)
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    expected = reference_gmi(attack, generator, critic, lambda x, y: cross_entropy(classifier(x), y))
    compare(found, expected, prior)


def test_kedmi():
    target, prior, (classifier, generator, critic) = scene("kedmi")
    attack = away(KEDMI, but=ALIGNED, **GAUSSIAN_KNOBS)
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    expected = reference_kedmi(attack, generator, critic, lambda x, y: cross_entropy(classifier(x), y))
    compare(found, expected, prior)


def test_kedmi_without_a_clip():
    """`clip` None is KEDMI's default; its knob is tried above."""
    target, prior, (classifier, generator, critic) = scene("kedmi")
    attack = KEDMI(**GAUSSIAN_KNOBS | {"clip": None, "log_variance": 2.0})
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    assert found.latents.abs().max() > 1.5
    expected = reference_kedmi(attack, generator, critic, lambda x, y: cross_entropy(classifier(x), y))
    compare(found, expected, prior)


@pytest.mark.parametrize(
    ("cls", "kind", "knobs"), [(LommaGMI, "gmi", GMI_KNOBS), (LommaKEDMI, "kedmi", GAUSSIAN_KNOBS)]
)
@pytest.mark.parametrize("identity_loss", ["logit", "cross_entropy"])
def test_lomma(cls, kind, knobs, identity_loss):
    target, prior, (classifier, generator, critic) = scene(kind)
    attack = away(
        cls,
        but=("identity_loss", *ALIGNED),
        **knobs,
        identity_loss=identity_loss,
        feature_weight=3.0,
        students=("small_cnn",),
        student_epochs=1,
        student_learning_rate=0.05,
        student_weights="none",
    )
    learnt = attack.auxiliary.make(target, toys.colours(), run=Run(seed=SEED))
    student = ARCHITECTURES["small_cnn"].build(toys.CLASSES, toys.SIZE)
    student.load_state_dict(learnt["students"][0]["weights"])
    students = [student.double().eval()]
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED), auxiliary=learnt)
    loss = lomma(attack, classifier, students, learnt["feature_mean"].double())
    reference = reference_gmi if kind == "gmi" else reference_kedmi
    compare(found, reference(attack, generator, critic, loss), prior)


@pytest.mark.parametrize("kl_samples", [3, 0])
def test_vmi(kl_samples):
    target, prior, (classifier, generator, _) = scene("gmi")
    attack = away(
        VMI,
        but=("posterior", "components", "flow_steps", "hidden", *ALIGNED),
        layers=2,
        batch=3,
        steps=4,
        samples=2,
        learning_rate=0.07,
        momentum=0.6,
        kl_weight=0.4,
        kl_samples=kl_samples,
        smoothing=0.3,
    )
    found = attack.invert(target, prior, IDENTITIES, run=Run(seed=SEED))
    width, expected = toys.LATENT // 2, []
    for identity in IDENTITIES.tolist():
        mean = torch.zeros(2, width, dtype=torch.float64, requires_grad=True)
        factor = torch.eye(width, dtype=torch.float64).repeat(2, 1, 1).requires_grad_(True)
        sgd = torch.optim.SGD([mean, factor], lr=attack.learning_rate, momentum=attack.momentum)
        generator_of_draws = stream(SEED, "vmi", "draws", identity)

        def spread(normal, mean=mean, factor=factor):  # (..., width) -> (layers, ..., width)
            return torch.stack([m + normal @ f.T for m, f in zip(mean, factor, strict=True)])

        for _ in range(attack.steps):
            z = torch.randn(attack.batch, width, generator=generator_of_draws).double()
            kl = torch.randn(2, kl_samples, width, generator=generator_of_draws).double()
            torch.randn(attack.batch, 0, generator=generator_of_draws)
            log_p = classifier(generator(spread(z).transpose(0, 1).flatten(1))).log_softmax(1)
            truth = torch.full((toys.CLASSES,), attack.smoothing / (toys.CLASSES - 1), dtype=torch.float64)
            truth[identity] = 1 - attack.smoothing
            divergence = 0.0
            for m, f, normal in zip(mean, factor, kl, strict=True):
                square = (
                    ((m + normal @ f.T) ** 2).sum(1).mean() if kl_samples else (m**2).sum() + (f**2).sum()
                )
                divergence = divergence + square / 2 - torch.logdet(f @ f.T) / 2
            sgd.zero_grad()
            (-(log_p * truth).sum(1).mean() + attack.kl_weight * divergence).backward()
            sgd.step()
        last = torch.randn(attack.samples, width, generator=stream(SEED, "vmi", "samples", identity)).double()
        expected.append(spread(last).transpose(0, 1).flatten(1).detach())
    compare(found, torch.stack(expected, 1), prior)


@pytest.mark.parametrize("cls", [PLG, LOKT])
def test_conditional(cls):
    kind = cls.kind
    target, prior, (classifier, generator, critic) = scene(kind)
    attack = away(cls, but=ALIGNED, iterations=4, restarts=2, learning_rate=0.07, group=3)
    found = attack.invert(observe(target, cls.threat_model, "cpu"), prior, IDENTITIES, run=Run(seed=SEED))
    judge = classifier if cls is PLG else critic.surrogates[0]
    expected = torch.zeros(attack.restarts, COUNT, toys.LATENT + 1, dtype=torch.float64)
    for restart in range(attack.restarts):
        for place, identity in enumerate(IDENTITIES.tolist()):
            start = torch.randn(toys.LATENT, generator=draws(kind, "start", restart, identity))
            z = start.double()[None].requires_grad_(True)
            adam = torch.optim.Adam([z], lr=attack.learning_rate)
            views = rows_of(1, [draws(kind, "views", restart, identity)], 2 * 9)
            label = torch.tensor([[identity]], dtype=torch.float64)
            for step in range(attack.iterations):
                image = generator(torch.cat((z, label), 1))
                loss = torch.zeros((), dtype=torch.float64)
                for view in views[step].split(9, 1):
                    logits = judge(random_augmentation(image, view))[0]
                    others = torch.cat((logits[:identity], logits[identity + 1 :]))
                    loss = loss + others.max() - logits[identity]
                adam.zero_grad()
                (loss / attack.group).backward()
                adam.step()
            expected[restart, place] = torch.cat((z.detach(), label), 1)[0]
    compare(found, expected, prior)
    assert math.isclose(expected[0, 0, -1].item(), IDENTITIES[0])
