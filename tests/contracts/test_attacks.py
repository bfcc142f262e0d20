"""What every attack must keep, whatever it is. A new one in the registry is tested by being there."""

import dataclasses

import pytest
import torch
from contexts import with_run
from small_attacks import BEYOND_LATENTS, CLASSES, DRAWN, IDENTITIES, public, small, victim

from trainables.architectures.base import Classifier
from trainables.attacks import ATTACKS
from trainables.attacks.base import Reconstructions
from trainables.attacks.sharding import cut, merge
from trainables.errors import ConfigError
from trainables.oracle import observe
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent
from trainables.runtime.run import Run
from trainables.storage.resume import Resume

pytestmark = pytest.mark.parametrize("name", ATTACKS)

# Rounding differs by batch and processor. Adam's division by small gradients makes it larger: up to 1e-4, but
# .015 has been seen of SMILE, whose latents move by up to 1.
ROUNDING = dict.fromkeys(ATTACKS, 1e-3) | {"smile": 0.05}


def invert(name: str, target: Classifier, prior: PriorNetworks, **options) -> Reconstructions:
    arguments = {"seed": 0, "device": "cpu", "report": silent, "identities": IDENTITIES} | options
    seen = observe(target, ATTACKS[name].threat_model, "cpu")
    recipe = small(name).auxiliary
    if recipe is not None:
        learnt = recipe.make(seen, public(), run=Run(seed=0))
        arguments = {"auxiliary": learnt} | arguments
    return small(name).invert(seen, prior, **with_run(arguments))


def test_says_what_it_is(name):
    attack = ATTACKS[name]
    assert attack.kind == name and attack.summary and attack.source
    assert attack.threat_model in ("white-box", "scores", "labels")
    assert isinstance(small(name), attack)


def test_shapes_and_types(name):
    found = invert(name, *victim(name))
    restarts = small(name).restarts
    assert found.latents.shape == (restarts, 3, 6) and found.latents.dtype == torch.float32
    assert found.images.shape == (restarts, 3, 3, 32, 32) and found.images.dtype == torch.uint8
    assert found.latents.device.type == found.images.device.type == "cpu"
    assert torch.isfinite(found.latents).all()
    assert found.history and all("iteration" in point for point in found.history)
    assert (found.queries is None) == (ATTACKS[name].threat_model == "white-box")


def test_images_are_those_of_the_latents(name):
    if name in BEYOND_LATENTS:
        return
    target, prior = victim(name)
    found = invert(name, target, prior)
    with torch.no_grad():
        draw = DRAWN.get(name, lambda generator, latents: generator(latents))
        images = draw(prior.generator.eval(), found.latents.flatten(0, 1)).clamp(0, 1)
    levels = (found.images.flatten(0, 1).float() - images * 255).abs()
    assert levels.max() <= 0.51


def test_same_seed_same_result(name):
    torch.manual_seed(1)
    first = invert(name, *victim(name))
    torch.manual_seed(2)
    again, other = invert(name, *victim(name)), invert(name, *victim(name), seed=1)
    assert torch.equal(first.latents, again.latents) and torch.equal(first.images, again.images)
    assert first.history == again.history
    assert not torch.equal(first.latents, other.latents)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_batching_does_not_change_the_result(name, batch_size):
    whole = invert(name, *victim(name))
    parts = invert(name, *victim(name), batch_size=batch_size)
    torch.testing.assert_close(parts.latents, whole.latents, atol=ROUNDING[name], rtol=ROUNDING[name])
    assert [point.keys() for point in parts.history] == [point.keys() for point in whole.history]
    for point, other in zip(parts.history, whole.history, strict=True):  # means over all, however cut
        assert point == pytest.approx(other, rel=10 * ROUNDING[name], abs=10 * ROUNDING[name])


def test_order_and_company_of_identities_do_not_matter(name):
    whole = invert(name, *victim(name))
    swapped = invert(name, *victim(name), identities=torch.tensor([2, 3]))
    torch.testing.assert_close(
        swapped.latents, whole.latents[:, [2, 0]], atol=ROUNDING[name], rtol=ROUNDING[name]
    )
    assert (whole.latents[:, 2] - whole.latents[:, 0]).abs().max() > 3 * ROUNDING[name]


def test_any_number_of_shards_gives_the_same(name, tmp_path):
    """Exactly, where every image is worked on alone; else as `test_batching_does_not_change_the_result`."""
    target, prior = victim(name)
    whole = invert(name, target, prior, batch_size=1)
    for shards in (1, 2, 3):
        parts = cut(len(IDENTITIES), shards, small(name).group_size, tmp_path)
        assert len(parts) == shards
        own = [IDENTITIES[part.first : part.stop] for part in parts]
        found = merge([invert(name, target, prior, batch_size=1, identities=some) for some in own])
        assert torch.equal(found.latents, whole.latents) and torch.equal(found.images, whole.images)
        assert found.queries == whole.queries
        assert [point.keys() for point in found.history] == [point.keys() for point in whole.history]
        for point, other in zip(found.history, whole.history, strict=True):
            assert point == pytest.approx(other, rel=1e-4, abs=1e-5)


def test_networks_stay_as_they_were(name):
    target, prior = victim(name)
    networks = (target.train(), prior.generator.eval(), prior.discriminator.eval().requires_grad_(False))
    target.head.requires_grad_(False)
    before = [{k: v.clone() for k, v in network.state_dict().items()} for network in networks]
    flags = [weight.requires_grad for network in networks for weight in network.parameters()]
    modes = [module.training for network in networks for module in network.modules()]
    invert(name, target, prior)
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert flags == [weight.requires_grad for network in networks for weight in network.parameters()]
    assert modes == [module.training for network in networks for module in network.modules()]
    assert all(weight.grad is None for network in networks for weight in network.parameters())


def test_the_target_steers_the_latents(name):
    """Attacks on two targets from one seed part: what the target says reaches the latents."""
    target, prior = victim(name)
    first = invert(name, target, prior)
    with torch.no_grad():
        target.head.weight.mul_(-1)
    second = invert(name, target, prior)
    assert ((first.latents - second.latents).abs().amax(2) > 0).all()


def test_progress_ends_at_its_total(name):
    reports = []
    invert(name, *victim(name), report=lambda *done, **_: reports.append(done))
    assert reports and all(stage == "attack" for stage, _, _ in reports)
    assert reports[-1][1] == reports[-1][2] > 0


def test_an_attacker_gets_what_its_threat_model_shows_no_more_and_no_less(name):
    target, prior = victim(name)
    for threat_model in ("white-box", "scores", "labels"):
        if threat_model != ATTACKS[name].threat_model:
            seen = observe(target, threat_model, "cpu")
            with pytest.raises(ConfigError, match="attack expects a"):
                small(name).invert(seen, prior, IDENTITIES, run=Run(seed=0))


def test_identities_that_the_target_does_not_have(name):
    with pytest.raises(ConfigError, match=f"from 0 to {CLASSES - 1}"):
        invert(name, *victim(name), identities=torch.tensor([0, CLASSES]))


def test_presets_are_knobs_of_the_attack(name):
    attack = ATTACKS[name]
    assert {"paper", "cpu"} <= set(attack.presets)
    for knobs in attack.presets.values():
        attack(**{name: value for name, value in knobs.items() if name != "prior"})


def test_says_what_an_identity_costs(name):
    costs = dataclasses.asdict(small(name).passes())
    assert all(isinstance(cost, int) and cost >= 0 for cost in costs.values())
    assert costs["generator_forward"] > 0
    assert costs["target_forward"] > 0 or ATTACKS[name].threat_model == "labels"  # asked before, perhaps
    if ATTACKS[name].threat_model != "white-box":
        assert costs["target_backward"] == 0


def test_the_target_sees_as_many_images_as_is_said(name):
    target, prior = victim(name)
    seen = []
    target.head.register_forward_hook(lambda head, features, _: seen.append(len(features[0])))
    invert(name, target, prior)
    attack = small(name)
    said = attack.shared_passes() + attack.passes() * len(IDENTITIES)
    asked = said.target_forward or said.surrogate_forward  # here the target stands in for itself
    if name.startswith("lomma"):  # students answer beside it, and public images come first
        assert sum(seen) <= asked + len(public())
    elif name == "brep":  # a walk may end early
        assert 0 < sum(seen) <= asked
    else:
        assert sum(seen) - asked in (0, 1)  # one to see what comes of it


def test_the_generator_makes_as_many_images_as_is_said(name):
    target, prior = victim(name)
    seen = []
    *_, last = prior.generator.modules()  # every image goes through it, once
    last.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    invert(name, target, prior)
    attack = small(name)
    said = (attack.shared_passes() + attack.passes() * len(IDENTITIES)).generator_forward
    if name == "brep":  # a walk may end early
        assert 0 < sum(seen) <= said
        return
    if name == "ppdg_gmi":  # the training of a GAN is an estimate
        assert abs(sum(seen) - said) < said / 10
        return
    looks = {"ppa": 1, "if_gmi": 1, "ppdg_ppa": 2 * len(IDENTITIES)}.get(name, 0)  # at the size, per search
    assert sum(seen) == said + looks + 1  # one to see what comes of it


class Killed(Exception):
    pass


def test_a_killed_attack_goes_on_where_it_was(name, tmp_path):
    whole = invert(name, *victim(name))
    resume = Resume(tmp_path, every=0.0)  # writes whenever it may
    calls = 0

    class Dying(Resume):
        def write(self, name, state):
            nonlocal calls
            super().write(name, state)
            calls += 1
            if calls == 2:
                raise Killed

    with pytest.raises(Killed):
        invert(name, *victim(name), resume=Dying(tmp_path, every=0.0))
    assert list(tmp_path.glob("*.pt"))
    again = invert(name, *victim(name), resume=resume)
    assert torch.equal(again.latents, whole.latents) and torch.equal(again.images, whole.images)
    assert again.history == whole.history
