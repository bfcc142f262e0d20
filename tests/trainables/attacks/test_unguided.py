"""Pictures that an attack draws where no target says anything: the floor of its figures."""

import dataclasses

import pytest
import torch

from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack, to_pixels
from trainables.attacks.brep import BREP
from trainables.attacks.gmi import GMI
from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.mirror import Mirror
from trainables.attacks.mirror_blackbox import MirrorBlackbox
from trainables.attacks.ppa import PPA
from trainables.attacks.rlb import RLB
from trainables.nn.conditional_gan import ConditionalGenerator
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.run import Run

STYLES = ("ppa", "ppdg_ppa", "if_gmi", "mirror", "mirror_blackbox", "smile")


def prior_of(kind: str) -> PriorNetworks:
    """Return an untrained prior that attack `kind` can search in."""
    torch.manual_seed(0)
    if kind in STYLES:
        return eval_mode(StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32))
    if kind in ("plg", "lokt"):
        networks = eval_mode(PLGPrior(width=2, latent_size=5).build(32, 4))
        for module in networks.generator.modules():  # untrained, the label has no effect
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.normal_(module.weight)
        return networks
    prior = KEDMIPrior(width=2, latent_size=6) if "kedmi" in kind else GMIPrior(width=2, latent_size=6)
    return eval_mode(prior.build(32, 4))


def small(kind: str) -> Attack:
    """Return attack `kind` without networks to learn beforehand."""
    blocks = {"blocks": 2} if kind == "if_gmi" else {}
    return ATTACKS[kind](**blocks)


@pytest.mark.parametrize("kind", ATTACKS)
def test_every_attack_has_a_floor(kind):
    attack, prior = small(kind), prior_of(kind)
    pictures = attack.unguided(prior, 9, run=Run(seed=3))
    assert pictures.shape == (9, 3, 32, 32) and pictures.dtype == torch.uint8
    assert len(pictures.flatten(1).unique(dim=0)) == 9
    again = attack.unguided(prior, 9, run=Run(seed=3, batch_size=4))
    assert (again.int() - pictures.int()).abs().max() <= 1  # floats are rounded by batch
    assert not torch.equal(attack.unguided(prior, 9, run=Run(seed=4)), pictures)


def normals(count: int, size: int) -> torch.Tensor:
    """Return the numbers behind latents drawn under seed 0."""
    return torch.randn(count, size, generator=Run(seed=0).stream("unguided", "latents"))


@pytest.mark.parametrize(
    ("attack", "expected"),
    [
        (GMI(clip=0.3), lambda z: z.clamp(-0.3, 0.3)),
        (BREP(clip=0.7), lambda z: z.clamp(-0.7, 0.7)),
        (KEDMI(log_variance=0.5, clip=0.8), lambda z: (2.718281828459045**0.25 * z).clamp(-0.8, 0.8)),
        (RLB(blend=0.25), lambda z: 0.25 * z + 0.75 * torch.tanh(z)),
        (ATTACKS["vmi"](), lambda z: z),
    ],
    ids=lambda value: value.kind if isinstance(value, Attack) else "",
)
def test_latents_keep_within_the_bounds_of_the_attack(attack, expected):
    prior = prior_of(attack.kind)
    with torch.no_grad():
        images = to_pixels(prior.generator(expected(normals(6, prior.latent_size))))
    assert torch.equal(attack.unguided(prior, 6, run=Run(seed=0)), images)


def test_conditional_generators_get_labels_at_random():
    prior = prior_of("plg")
    labels = []
    prior.generator.register_forward_pre_hook(lambda _, inputs: labels.extend(inputs[0][:, -1].tolist()))
    assert isinstance(prior.generator, ConditionalGenerator)
    ATTACKS["plg"]().unguided(prior, 400, run=Run(seed=0))
    counts = torch.tensor(labels).long().bincount(minlength=4)
    assert counts.sum() == 400 and counts.min() > 60  # 100 each, deviation 8.7


@pytest.mark.parametrize(
    "attack", [PPA(psi=0.0), Mirror(psi=0.0), MirrorBlackbox(psi=0.0)], ids=lambda a: a.kind
)
def test_styles_are_truncated_as_the_attack_truncates_them(attack):
    prior = prior_of(attack.kind)
    mean = prior.generator.network.mapping.w_avg.normal_()
    pictures = attack.unguided(prior, 4, run=Run(seed=0))
    with torch.no_grad():
        average = prior.generator.view(prior.generator.synthesis(mean[None])).clamp(0, 1)
    assert (pictures.int() - to_pixels(average).int()).abs().max() <= 1
    spread_out = dataclasses.replace(attack, psi=1.0).unguided(prior, 4, run=Run(seed=0))
    assert not torch.equal(spread_out, pictures)


def test_if_gmi_starts_where_ppa_does():
    prior = prior_of("if_gmi")
    knobs = {"psi": 0.6, "cutoff": 1, "clip": True}
    assert torch.equal(
        IFGMI(blocks=2, **knobs).unguided(prior, 5, run=Run(seed=0)),
        PPA(**knobs).unguided(prior, 5, run=Run(seed=0)),
    )


@pytest.mark.parametrize("kind", ["mirror", "mirror_blackbox"])
def test_mirrors_pictures_lie_within_the_usual_styles(kind):
    prior = prior_of(kind)
    narrow = ATTACKS[kind](spread=1e-6, psi=1.0).unguided(prior, 5, run=Run(seed=0))
    wide = ATTACKS[kind](spread=50.0, psi=1.0).unguided(prior, 5, run=Run(seed=0))
    assert (narrow.int() - narrow[:1].int()).abs().max() <= 1
    assert (wide.int() - wide[:1].int()).abs().max() > 1
