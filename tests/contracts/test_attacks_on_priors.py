"""Attacks of every threat model on every prior that is fitted once for all targets; which pairs are taken."""

import pytest
import torch
from small_attacks import CLASSES, small, victim
from small_priors import SIZE, SMALL, public
from small_trial import TRIAL
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks import ATTACKS
from trainables.config import load_trial
from trainables.errors import ConfigError
from trainables.nn.conditional_gan import ConditionalGenerator
from trainables.oracle import observe
from trainables.priors import PRIORS
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.runtime.run import Run
from trainables.storage.store import to_json

IDENTITIES = torch.tensor([3, 0])
ON_ANY = (
    "gmi",
    "lomma_gmi",
    "kedmi",
    "vmi",
    "map",
    "rlb",
    "brep",
)  # take any prior whose latents are vectors
ONCE = [kind for kind, prior in PRIORS.items() if not prior.needs_target]


@pytest.fixture(scope="module")
def networks() -> dict[str, PriorNetworks]:
    return {kind: SMALL[kind].train(public(), run=Run(seed=0)) for kind in ONCE}


def target(prior: PriorNetworks) -> Classifier:
    """A small target whose logits of the prior's images have deviation 1, so that each label occurs."""
    torch.manual_seed(0)
    classifier = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(3 * (SIZE // 8) ** 2, CLASSES))
    with torch.no_grad():
        logits = classifier.eval()(prior.generator(torch.randn(200, prior.latent_size)))
        classifier.head.weight.div_(logits.std(0)[:, None])
        classifier.head.bias.sub_(logits.mean(0)).div_(logits.std(0))
    return classifier


def test_every_threat_model_has_an_attack_here():
    assert {ATTACKS[name].threat_model for name in ON_ANY} == {"white-box", "scores", "labels"}


@pytest.mark.parametrize("prior", ONCE)
@pytest.mark.parametrize("name", ON_ANY)
def test_an_attack_runs_and_its_images_are_the_priors(name, prior, networks):
    prior_networks, attack = networks[prior], small(name)
    victim = target(prior_networks)
    seen = observe(victim, attack.threat_model, "cpu")
    recipe = attack.auxiliary
    learnt = None if recipe is None else recipe.make(seen, public(), run=Run(seed=0))
    made = attack.invert(seen, prior_networks, IDENTITIES, run=Run(seed=0), auxiliary=learnt)
    assert made.images.shape[1:] == (2, 3, SIZE, SIZE)
    assert torch.isfinite(made.latents).all()
    with torch.no_grad():
        images = prior_networks.generator(made.latents.flatten(0, 1)) * 255
    assert (images - made.images.flatten(0, 1).float()).abs().max() <= 0.51


@pytest.mark.parametrize("prior", ONCE)
def test_an_attack_that_tunes_the_prior_takes_every_gan(prior, networks):
    prior_networks, attack = networks[prior], small("ppdg_gmi")
    learnt = attack.auxiliary.make(None, public(), run=Run(seed=0))
    work = (target(prior_networks), prior_networks, IDENTITIES)
    if prior == "eigenfaces":  # no GAN: nothing in it learns
        with pytest.raises(ConfigError, match=r"'ppdg_gmi' expects a GAN .* got Portraits and Typicality"):
            attack.invert(*work, run=Run(seed=0), auxiliary=learnt)
        return
    made = attack.invert(*work, run=Run(seed=0), auxiliary=learnt)
    assert made.images.shape == (3, 2, 3, SIZE, SIZE) and torch.isfinite(made.latents).all()
    with torch.no_grad():
        images = prior_networks.generator(made.latents.flatten(0, 1)) * 255
    assert (images - made.images.flatten(0, 1).float()).abs().max() > 0.51  # of a tuned copy


def taken(name: str, kind: str) -> bool:
    """Return whether a trial may hold the attack `name` on the prior `kind`."""
    try:
        load_trial({**TRIAL, "attack": to_json(small(name)), "prior": to_json(SMALL[kind])})
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_takes_a_prior_with_labels_draws_whom_it_attacks(name):
    """Of a latent's last number, which is the label there: an attack that searches in it draws others."""
    victim_, _ = victim("plg")
    for kind in [kind for kind in PRIORS if taken(name, kind)]:
        networks, attack = eval_mode(SMALL[kind].build(SIZE, CLASSES)), small(name)
        if isinstance(networks.generator, ConditionalGenerator):
            seen = observe(victim_, attack.threat_model, "cpu")
            recipe = attack.auxiliary
            learnt = None if recipe is None else recipe.make(seen, public(), run=Run(seed=0))
            made = attack.invert(seen, networks, IDENTITIES, run=Run(seed=0), auxiliary=learnt)
            assert (made.latents[..., -1] == IDENTITIES).all(), f"'{name}' on '{kind}'"


def test_priors_with_labels_are_for_the_attacks_that_know_of_them():
    pairs = {(name, kind) for name in ATTACKS for kind in ("plg", "lokt") if taken(name, kind)}
    assert pairs == {("plg", "plg"), ("plg", "lokt"), ("lokt", "lokt")}
