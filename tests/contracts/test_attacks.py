"""What every attack must keep, whatever it is. A new one in the registry is tested by being there."""

import dataclasses

import pytest
import torch
from contexts import with_run
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack, Reconstructions
from trainables.attacks.brep import BREP
from trainables.attacks.gmi import GMI
from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lokt import LOKT
from trainables.attacks.lomma import LommaGMI, LommaKEDMI
from trainables.attacks.mirror import Mirror
from trainables.attacks.mirror_blackbox import MirrorBlackbox
from trainables.attacks.plg import PLG
from trainables.attacks.ppa import PPA
from trainables.attacks.rlb import RLB
from trainables.attacks.sharding import cut, merge
from trainables.attacks.vmi import VMI
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.method import LENGTH, knobs_marked
from trainables.oracle import observe
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.progress import silent
from trainables.runtime.run import Run
from trainables.storage.resume import Resume

SMALL: dict[str, Attack] = {
    "gmi": GMI(iterations=6, restarts=2),
    "vmi": VMI(steps=5, batch=3, samples=2, kl_samples=4, learning_rate=0.1),
    "rlb": RLB(episodes=8, hidden=5, replay=3, learning_rate=0.05),
    "plg": PLG(iterations=5, restarts=2),
    "lokt": LOKT(iterations=5, restarts=2),
    "ppa": PPA(candidates=20, starts=3, iterations=5, rounds=2, kept=2),
    "if_gmi": IFGMI(
        candidates=20,
        starts=3,
        iterations=4,
        blocks=2,
        block_iterations=3,
        rounds=2,
        kept=2,
        radii=(9, 0.5, 9),
    ),
    "mirror": Mirror(pool=20, starts=2, iterations=5),
    "mirror_blackbox": MirrorBlackbox(pool=20, population=6, generations=4),
    "brep": BREP(points=8, radius=0.5, iterations=6, calls=8, start_batch=32, start_queries=512),
    "kedmi": KEDMI(iterations=6, restarts=2, group=1),  # a larger group couples the identities in it
    "lomma_gmi": LommaGMI(iterations=6, restarts=2, students=("small_cnn",), student_epochs=1),
    "lomma_kedmi": LommaKEDMI(iterations=6, restarts=2, group=1, students=("small_cnn",), student_epochs=1),
}
# attacks whose latents are styles: how a generator draws those
DRAWN = {
    "ppa": lambda generator, styles: generator.synthesis(styles),
    "mirror": lambda generator, styles: generator.synthesis(generator.truncate(styles, 0.7, 8)),
    "mirror_blackbox": lambda generator, styles: generator.synthesis(generator.truncate(styles, 0.7, 8)),
}
# attacks whose images take more than their latents: their own tests look at that
BEYOND_LATENTS = ("if_gmi",)
IDENTITIES = torch.tensor([3, 0, 2])
CLASSES = 5


def taught(target: Classifier) -> PriorNetworks:
    """A prior of LOKT whose one surrogate is the target itself: the best that one can learn."""
    prior = LOKTPrior(width=2, latent_size=5, surrogates=()).build(32, CLASSES)
    prior.discriminator.surrogates.append(target)
    return prior


def styled(_: Classifier) -> PriorNetworks:
    return StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)


# attacks that want a prior of their own kind: how to make one for a target; its latents are 6 numbers
PRIORS_OF = {
    **dict.fromkeys((*DRAWN, *BEYOND_LATENTS), styled),
    "kedmi": lambda _: KEDMIPrior(width=2, latent_size=6).build(32, CLASSES),
    "plg": lambda _: PLGPrior(width=2, latent_size=5).build(32, CLASSES),
    "lokt": taught,
}

pytestmark = pytest.mark.parametrize("name", ATTACKS)


def small(name: str) -> Attack:
    """Return the attack with knobs for a test: those above, or its defaults with few steps."""
    if name in SMALL:
        return SMALL[name]
    return ATTACKS[name](**dict.fromkeys(knobs_marked(ATTACKS[name], LENGTH), 6))


def victim(name: str) -> tuple[Classifier, PriorNetworks]:
    """A small target with what real ones have (convolution, batch norm, dropout), and a small prior."""
    torch.manual_seed(0)
    stage = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()
    )
    target = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(4 * 64, CLASSES))
    target(torch.rand(8, 3, 32, 32))  # gives the batch norm statistics
    prior = PRIORS_OF.get(name, lambda _: GMIPrior(width=4, latent_size=6).build(32))(target)
    with torch.no_grad():  # every label is that of some of the prior's images: attackers who ask need it
        logits = target.eval()(prior.generator.eval()(torch.randn(200, 6)))
        target.head.weight.div_(logits.std(0)[:, None])
        target.head.bias.sub_(logits.mean(0)).div_(logits.std(0))
    return target, prior


def public() -> Images:
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    labels = torch.zeros(4, dtype=torch.int64)
    return Images(pixels=pixels, labels=labels, names=("all",), files=("a", "b", "c", "d"))


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
    restarts = len(found.latents)
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
    torch.testing.assert_close(parts.latents, whole.latents, atol=1e-4, rtol=1e-4)


def test_order_and_company_of_identities_do_not_matter(name):
    whole = invert(name, *victim(name))
    swapped = invert(name, *victim(name), identities=torch.tensor([2, 3]))
    torch.testing.assert_close(swapped.latents, whole.latents[:, [2, 0]], atol=1e-4, rtol=1e-4)


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
