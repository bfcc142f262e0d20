"""KEDMI against the released code's trace; groups, chunks, final draws and what goes wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.optim.descent import Journal, guided
from trainables.defenses.mid import MID
from trainables.errors import ConfigError, TrialError
from trainables.nn.critic import Critic
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inversion_discriminator import MinibatchLayer
from trainables.priors.base import PriorNetworks
from trainables.priors.kedmi import KEDMIPrior
from trainables.runtime.progress import silent
from trainables.storage.resume import Resume

GOLDEN = Path(__file__).parents[2] / "golden" / "02c_kedmi_attack_a.npz"


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape).to(weight.dtype)
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


class Judge(Critic):
    """The trace's discriminator: a tanh layer, the minibatch layer, a linear layer."""

    compares_images = True

    def __init__(self, g: dict[str, Tensor]) -> None:
        super().__init__()
        self.hidden, self.head = affine(g["D_U"], g["D_u"]), affine(g["D_V"], g["D_v"])
        self.minibatch = MinibatchLayer(*g["D_M"].shape).double()
        self.minibatch.load_state_dict({"weight": g["D_M"]})

    def forward(self, x: Tensor, group: int) -> Tensor:
        features = self.hidden(x.flatten(1)).tanh()
        return self.head(torch.cat([self.minibatch(part) for part in features.split(group)])).logsumexp(1)


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as arrays:
        tensors = {name: torch.as_tensor(arrays[name]) for name in arrays.files}
    return {k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}


@pytest.fixture(scope="module")
def recorded(golden: dict[str, Tensor]) -> tuple[dict[str, Classifier], PriorNetworks]:
    """The tiny networks of the trace, in float64: target T, evaluation classifier E, prior."""
    classifiers = {}
    for name in ("T", "E"):
        first, last = (affine(golden[f"{name}_W{n}"], golden[f"{name}_b{n}"]) for n in (1, 2))
        hidden = nn.Sequential(nn.Flatten(), first, nn.Tanh())
        classifiers[name] = Classifier({"hidden": hidden}, nn.Identity(), last).double()
    first = affine(golden["G_A"], golden["G_a"])
    generator = nn.Sequential(first, nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
    return classifiers, PriorNetworks(generator, Judge(golden), 100)


def no_noise():
    while True:
        yield torch.empty(0)


def test_follows_the_released_code(golden, recorded):
    classifiers, prior = recorded
    knobs = {
        "learning_rate": float(golden["lr"]),
        "identity_weight": float(golden["lamda"]),
        "group": len(golden["ids"]),
    }
    for iterations in (1, 2, 7, 25):
        attack = KEDMI(iterations=iterations, **knobs)
        guide = guided(classifiers["T"], cross_entropy)
        draws = iter(golden["eps"][:25])
        gaussian, losses = attack.descend(guide, prior, golden["ids"], draws, no_noise(), Journal())
        torch.testing.assert_close(gaussian[0], golden["mu"][iterations], atol=1e-3, rtol=0)
        torch.testing.assert_close(gaussian[1], golden["log_var"][iterations], atol=1e-3, rtol=0)
        if iterations < 25:
            following = attack.draw(gaussian, golden["eps"][iterations])
            torch.testing.assert_close(following, golden["z_loop"][iterations], atol=1e-3, rtol=0)
    torch.testing.assert_close(losses[:, 0], golden["iden_loss"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses[:, 1], golden["prior_loss"], atol=1e-4, rtol=1e-4)
    for noise, logits in zip(golden["eps"][25:], golden["final_E_logits"], strict=True):
        found = classifiers["E"](prior.generator(attack.draw(gaussian, noise)))
        torch.testing.assert_close(found, logits, atol=1e-3, rtol=1e-3)


def test_one_step_by_hand():
    """Adam's first step is the sign of the gradient; the share of start latents beyond 1 is known."""
    target, prior = tiny()
    labels, noise = torch.tensor([2, 0]), torch.randn(2, 6)
    attack = KEDMI(iterations=1)
    moved, _ = attack.descend(
        guided(target, cross_entropy), prior, labels, iter([noise]), no_noise(), Journal()
    )
    mean = torch.zeros(2, 6, requires_grad=True)
    log_variance = torch.ones(2, 6, requires_grad=True)
    images = prior.generator(mean + (log_variance / 2).exp() * noise)
    score = prior.discriminator(images)
    loss = (score.exp() + 1).log().mean() - score.mean() + 100 * cross_entropy(target(images), labels).mean()
    for found, value in zip(moved, (mean, log_variance), strict=True):
        (gradient,) = torch.autograd.grad(loss, value, retain_graph=True)
        torch.testing.assert_close(found, value.detach() - 0.02 * gradient.sign(), atol=1e-5, rtol=0)
    beyond = attack.draw(
        torch.stack((mean, log_variance)).mean(dim=(1, 2), keepdim=True), torch.randn(1, 10**6)
    )
    assert (beyond.abs() > 1).double().mean().item() == pytest.approx(0.54416243, abs=3e-3)


def tiny() -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(6, 48), nn.BatchNorm1d(48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))
    target = Classifier({"flat": nn.Flatten()}, nn.Tanh(), nn.Linear(48, 5))
    return target.eval(), PriorNetworks(generator.eval(), critic.eval(), 6)


def comparing() -> tuple[Classifier, PriorNetworks]:
    """A target, and a prior whose discriminator finds its images near to each other."""
    torch.manual_seed(0)
    prior = KEDMIPrior(width=2, latent_size=6).build(32, classes=5)
    with torch.no_grad():
        prior.discriminator.minibatch.weight *= 0.01
    target = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, 5))
    return target.eval(), prior


def invert(attack: KEDMI, target: Classifier, prior: PriorNetworks, identities, **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def test_a_group_is_all_that_an_identity_depends_on():
    target, prior = comparing()
    attack = KEDMI(iterations=12, restarts=2, group=2, identity_weight=1.0)
    whole = invert(attack, target, prior, [0, 3, 1, 4, 2]).latents
    for batch_size in (1, 3, 4):  # whole groups, as many as fit
        parts = invert(attack, target, prior, [0, 3, 1, 4, 2], batch_size=batch_size).latents
        torch.testing.assert_close(parts, whole, atol=1e-4, rtol=1e-4)
    swapped = invert(attack, target, prior, [1, 4, 0, 3, 2]).latents
    torch.testing.assert_close(swapped, whole[:, [2, 3, 0, 1, 4]], atol=1e-4, rtol=1e-4)
    regrouped = invert(attack, target, prior, [0, 1, 3, 4, 2]).latents
    assert not torch.allclose(regrouped[:, 0], whole[:, 0], atol=1e-4)
    torch.testing.assert_close(regrouped[:, 4], whole[:, 4], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_a_group_of_one_knows_no_others(noisy):
    target, prior = comparing()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    attack = KEDMI(iterations=12, restarts=2, group=1)
    together = invert(attack, target, prior, [0, 1, 2, 4], batch_size=3)
    alone = invert(attack, target, prior, [2])
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-5, rtol=1e-5)


def test_final_latents_are_drawn_from_the_gaussian():
    """After many draws, an identity's latents have the mean and deviation that a second run is told."""
    target, prior = tiny()
    many = invert(KEDMI(iterations=30, restarts=4000), target, prior, [1, 2]).latents
    few = invert(KEDMI(iterations=30, restarts=3), target, prior, [1, 2]).latents
    torch.testing.assert_close(few, many[:3])
    mean, deviation = many.mean(0), many.std(0)
    assert ((deviation.log() * 2 - 1).abs() < 0.8).all()  # 30 steps of 0.02 from 1, and the rounding
    assert (mean.abs() < 0.6 + 5 * deviation / 4000**0.5).all() and mean.abs().max() > 0.2
    assert not torch.equal(many[0, 0], many[0, 1])


def test_memory_that_ends_halves_the_chunk(monkeypatch):
    target, prior = comparing()
    attack = KEDMI(iterations=4, restarts=2, group=2)
    plain = invert(attack, target, prior, [0, 1, 2, 3, 4])
    descend, sizes = KEDMI.descend, []

    def small_memory(self, guide, prior, labels, *rest, **named):
        sizes.append(len(labels))
        if len(labels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return descend(self, guide, prior, labels, *rest, **named)

    monkeypatch.setattr(KEDMI, "descend", small_memory)
    again = invert(attack, target, prior, [0, 1, 2, 3, 4])
    assert sizes == [5, 4, 2, 2, 1]
    torch.testing.assert_close(plain.latents, again.latents)
    for before, after in zip(plain.history, again.history, strict=True):
        assert before == pytest.approx(after, abs=1e-4)


def test_memory_for_not_even_one_group_is_a_trial_error(monkeypatch):
    def none_at_all(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(KEDMI, "descend", none_at_all)
    with pytest.raises(TrialError, match=r"not even one group of 2 identities .* smaller group"):
        invert(KEDMI(iterations=1, group=2), *tiny(), [0, 1, 2])


def test_history_and_progress():
    reports = []

    def report(stage, done, total, **metrics):
        reports.append((stage, done, total, set(metrics)))

    attack = KEDMI(iterations=120, group=1)
    found = invert(attack, *tiny(), [0, 3], report=report, batch_size=1)
    iterations = [point["iteration"] for point in found.history]
    assert iterations[0] == 0 and iterations[-1] == 119 and 50 <= len(iterations) <= 62
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]
    assert reports[-1] == ("attack", 240, 240, {"identity_loss", "prior_loss"})


def test_goes_on_where_it_was_killed(tmp_path):
    target, prior = comparing()
    attack = KEDMI(iterations=9, restarts=2, group=2)
    whole = invert(attack, target, prior, [0, 1, 2])

    class Dying(Resume):
        writes = 0

        def write(self, name, state):
            super().write(name, state)
            self.writes += 1
            if self.writes == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invert(attack, target, prior, [0, 1, 2], batch_size=2, resume=Dying(tmp_path, every=0.0))
    again = invert(attack, target, prior, [0, 1, 2], batch_size=2, resume=Resume(tmp_path, every=0.0))
    torch.testing.assert_close(again.latents, whole.latents, atol=1e-5, rtol=1e-5)


def test_a_loss_that_is_not_finite_fails_the_trial():
    target, prior = tiny()
    with torch.no_grad():
        target.head.weight.fill_(float("nan"))
    with pytest.raises(TrialError, match="not finite at iteration 3 of 3"):
        invert(KEDMI(iterations=3), target, prior, [0])


@pytest.mark.parametrize("identities", [[0, 5], [-1], []])
def test_identities_that_the_target_lacks(identities):
    with pytest.raises(ConfigError, match="identities from 0 to 4"):
        invert(KEDMI(iterations=1), *tiny(), identities)


@pytest.mark.parametrize("knob", ["iterations", "restarts", "group", "learning_rate", "clip"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        KEDMI(**{knob: 0})
