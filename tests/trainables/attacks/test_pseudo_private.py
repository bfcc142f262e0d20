"""PPDG-MI's rounds: queries, costs, precision, and the priors that they take."""

from dataclasses import dataclass, replace

import pytest
import torch
import toy_networks as toys

from trainables.attacks.adversarial_tuning import AdversarialTuning
from trainables.attacks.base import Attack, Passes, Reconstructions, render
from trainables.attacks.gmi import GMI, PPDGGMI
from trainables.attacks.ppa import PPA, PPDGPPA
from trainables.attacks.pseudo_private import PseudoPrivate
from trainables.errors import ConfigError
from trainables.nn.critic import NoDiscriminator
from trainables.nn.precision import Precision, precision_scope
from trainables.oracle import observe
from trainables.runtime.run import Run

FEW = {
    "iterations": 3,
    "restarts": 3,
    "points": 2,
    "rating_views": 2,
    "public_images": 8,
    "epochs": 2,
    "batch_size": 4,
}
PUBLIC = {"public": toys.colours().pixels[:8]}


@dataclass(frozen=True, kw_only=True)
class Drawing(Attack):
    """Random latents, each asked about once."""

    kind = "drawing"
    restarts: int = 3

    def __post_init__(self) -> None: ...

    def reconstruct(self, target, prior, identities, run, auxiliary):
        latents = torch.randn(3, len(identities), prior.latent_size, generator=run.stream("drawing"))
        images = render(prior.generator, latents, run)
        target(images.flatten(0, 1).float() / 255)
        history = [{"iteration": 0.0}]
        return Reconstructions(latents=latents, images=images, history=history, queries=3)


@dataclass(frozen=True, kw_only=True)
class TunedDrawing(AdversarialTuning, Drawing):
    kind = "tuned_drawing"


@pytest.mark.parametrize("threat_model", ["scores", "labels"])
def test_every_question_counts(threat_model, monkeypatch):
    monkeypatch.setattr(TunedDrawing, "threat_model", threat_model, raising=False)
    prior = toys.prior("gmi")
    oracle = observe(toys.target(prior), threat_model, "cpu")
    few = {"points": 2, "rating_views": 4, "public_images": 8, "epochs": 1, "batch_size": 4, "tunings": 2}
    result = TunedDrawing(**few).invert(
        oracle, prior, torch.tensor([1, 0]), run=Run(seed=0), auxiliary=PUBLIC
    )
    assert result.queries == oracle.queries == 2 * (3 * 3 + 2 * 3 * 4)
    assert [point["iteration"] for point in result.history] == [0.0, 1.0, 2.0]


def test_costs_are_those_of_searches_tunings_and_views():
    attack = PPDGGMI(
        iterations=10, restarts=4, tunings=2, points=3, rating_views=5, public_images=17, epochs=2
    )
    search = GMI(iterations=10, restarts=4).passes()
    assert attack.passes() == Passes(
        generator_forward=3 * search.generator_forward + 2 * 2 * (17 + 3),
        generator_backward=3 * search.generator_backward + 2 * 2 * (17 + 3),
        target_forward=3 * search.target_forward + 2 * 4 * 5,
        target_backward=3 * search.target_backward,
    )
    styles = PPDGPPA(tunings=1, points=3, inversion_steps=7, tuning_steps=5)
    whole = PPA(candidates=500, starts=100, iterations=70, kept=100)
    search = whole.passes() + whole.shared_passes()  # of one identity
    assert styles.passes() == Passes(
        generator_forward=2 * search.generator_forward + 3 * 12,
        generator_backward=2 * search.generator_backward + 3 * 12,
        target_forward=2 * search.target_forward,
        target_backward=2 * search.target_backward,
    )


def test_the_tuned_prior_is_the_one_that_half_precision_descends_through():
    """A copy of a network that computes otherwise would go on computing as the network before the tuning."""
    prior = toys.prior("gmi")
    target, attack = toys.target(prior), PPDGGMI(tuning_rate=0.05, critic_steps=1, **FEW)
    run = {"run": Run(seed=0), "auxiliary": PUBLIC}
    with precision_scope(Precision("bfloat16")):
        tuned = attack.invert(target, prior, torch.tensor([1]), **run)
        hardly = replace(attack, tuning_rate=1e-12).invert(target, prior, torch.tensor([1]), **run)
    assert (tuned.latents - hardly.latents).abs().mean() > 0.05


@pytest.mark.parametrize("kind", ["kedmi", "plg", "lokt"])
def test_priors_whose_critics_do_more_are_refused(kind):
    with pytest.raises(ConfigError, match=r"'ppdg_gmi' expects a .*choose .*'gmi'"):
        PPDGGMI().check_prior(toys.prior(kind))


def test_a_generator_alone_is_refused():
    alone = replace(toys.prior("gmi"), discriminator=NoDiscriminator())
    with pytest.raises(ConfigError, match="'ppdg_gmi' expects a prior with a discriminator"):
        PPDGGMI().check_prior(alone)
    with pytest.raises(ConfigError, match="'ppdg_ppa' expects a prior with a style space"):
        PPDGPPA().check_prior(toys.prior("gmi"))


def test_public_images_are_asked_for():
    prior = toys.prior("gmi")
    with pytest.raises(ConfigError, match="expects public images"):
        PPDGGMI(**FEW).invert(toys.target(prior), prior, torch.tensor([1]), run=Run(seed=0))


def test_knobs_out_of_range():
    for cls in (PPDGGMI, PPDGPPA):
        assert issubclass(cls, PseudoPrivate)
        with pytest.raises(ValueError, match="tunings"):
            cls(tunings=0)
