"""What an attack and its prior may have seen of the target: over every attack with every prior."""

import dataclasses

import pytest
import torch
from small_attacks import small
from small_priors import SMALL, public, victim

from trainables.attacks import ATTACKS
from trainables.attacks.plan import AttackPlan
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle
from trainables.priors import PRIORS
from trainables.runtime.run import Run

SHOWN = {
    "nothing": set(),
    "labels": {"labels"},
    "scores": {"labels", "scores"},
    "white-box": {"labels", "scores", "gradients"},
}


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_says_what_it_sees_of_the_target(name):
    prior = PRIORS[name]
    assert "threat_model" in vars(prior) and prior.threat_model in SHOWN
    assert prior.needs_target == (prior.threat_model != "nothing")


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_takes_no_prior_that_saw_more_of_the_target(attack, prior):
    plan = AttackPlan(attack=small(attack), prior=SMALL[prior])
    wider = SHOWN[PRIORS[prior].threat_model] - SHOWN[ATTACKS[attack].threat_model]
    if not wider:
        plan.check_threat_model()
        return
    with pytest.raises(ConfigError, match=f"attack '{attack}' .*; got '{prior}'.*; choose") as error:
        plan.check_threat_model()
    allowed = str(error.value).rpartition("choose ")[2]
    for kind in PRIORS:
        may = SHOWN[PRIORS[kind].threat_model] <= SHOWN[ATTACKS[attack].threat_model]
        assert (kind in allowed.replace(",", " ").split()) == may


@pytest.mark.parametrize("name", [name for name in PRIORS if PRIORS[name].needs_target])
def test_a_prior_counts_what_it_asks(name, monkeypatch):
    """Against a count of the images that went through the target's network while the prior was trained."""
    target, prior = victim(), SMALL[name]
    images = 0
    forward = torch.nn.Linear.forward

    def counting(module, given):
        nonlocal images
        if module.in_features == 48 and not torch.is_grad_enabled():
            images += len(given)
        return forward(module, given)

    monkeypatch.setattr(torch.nn.Linear, "forward", counting)
    networks = prior.train(public(), run=Run(seed=0), target=target)
    asked = prior.queries(networks, len(public()))
    assert asked == (None if prior.threat_model == "white-box" else images)


def test_a_prior_of_labels_is_content_with_labels():
    """What a prior states is true of what it takes: less than that is refused or too little."""
    oracles = {"labels": LabelOracle(victim(), "cpu"), "scores": ScoreOracle(victim(), "cpu")}
    for name, prior in SMALL.items():
        if prior.threat_model == "labels":
            prior.train(public(), run=Run(seed=0), target=oracles["labels"])
        elif prior.threat_model != "nothing":
            with pytest.raises(ConfigError, match=f"prior '{name}' expects a Classifier"):
                prior.train(public(), run=Run(seed=0), target=oracles["labels"])


def test_only_the_attack_that_reports_its_priors_queries_says_so():
    reporting = [name for name, attack in ATTACKS.items() if attack.reports_prior_queries]
    assert reporting == ["lokt"]
    assert all(dataclasses.is_dataclass(ATTACKS[name]) for name in reporting)
