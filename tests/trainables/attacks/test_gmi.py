"""GMI against the released code's trace, batching, noise and what goes wrong."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.gmi import GMI
from trainables.attacks.optim.descent import Journal, guided
from trainables.defenses.mid import MID
from trainables.errors import ConfigError, TrialError
from trainables.nn.identity_losses import cross_entropy
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent

GOLDEN = Path(__file__).parents[2] / "golden" / "01_gmi_a.npz"


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape).to(weight.dtype)
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


class Score(nn.Module):
    """A linear critic."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight + self.bias


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(GOLDEN) as arrays:
        tensors = {name: torch.as_tensor(arrays[name]) for name in arrays.files}
    return {k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}


@pytest.fixture(scope="module")
def recorded(golden: dict[str, Tensor]) -> tuple[Classifier, PriorNetworks]:
    """The tiny networks of the trace, in float64."""
    g = golden
    hidden = nn.Sequential(nn.Flatten(), affine(g["T_W1"], g["T_b1"]), nn.Tanh())
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"])).double()
    generator = nn.Sequential(affine(g["G_A"], g["G_a"]), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
    return target, PriorNetworks(generator, Score(g["D_d"], g["D_d0"]), 100)


def no_noise():
    while True:
        yield torch.empty(0)


def test_follows_the_released_code(golden, recorded):
    target, prior = recorded
    knobs = {
        "restarts": 1,
        "learning_rate": float(golden["lr"]),
        "momentum": float(golden["momentum"]),
        "identity_weight": float(golden["lamda"]),
        "clip": float(golden["clip"]),
        "group": len(golden["ids"]),  # the trace's batch
    }
    for restart, z0 in enumerate(golden["z0"]):
        for iterations in (1, 2, 7, 25):
            attack = GMI(iterations=iterations, **knobs)
            z, losses = attack.descend(
                guided(target, cross_entropy), prior, z0, golden["ids"], no_noise(), Journal()
            )
            torch.testing.assert_close(z, golden["z"][restart, iterations], atol=1e-3, rtol=0)
        torch.testing.assert_close(losses[:, 0], golden["iden_loss"][restart], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(losses[:, 1], golden["prior_loss"][restart], atol=1e-4, rtol=1e-4)
        logits = target(prior.generator(z))
        torch.testing.assert_close(logits, golden["final_T_logits"][restart], atol=1e-3, rtol=1e-3)


def tiny(seed: int = 0) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(seed)
    generator = nn.Sequential(nn.Linear(6, 48), nn.BatchNorm1d(48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0))
    target = Classifier({"flat": nn.Flatten()}, nn.Tanh(), nn.Linear(48, 5))
    return target.eval(), PriorNetworks(generator.eval(), critic.eval(), 6)


def invert(attack: GMI, target: Classifier, prior: PriorNetworks, identities, **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def test_step_is_that_of_the_published_batch_mean():
    """One identity in a group of 60 moves a 60th of what it moves alone."""
    target, prior = tiny()
    z0 = torch.zeros(1, 6)
    moved = {}
    for group in (1, 60):
        attack = GMI(iterations=1, group=group, clip=1e6)
        moved[group], _ = attack.descend(
            guided(target, cross_entropy), prior, z0, torch.tensor([2]), no_noise(), Journal()
        )
    torch.testing.assert_close(moved[1], 60 * moved[60])


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    attack = GMI(iterations=20, restarts=2)
    together = invert(attack, target, prior, [0, 1, 2, 4], batch_size=3)
    alone = invert(attack, target, prior, [2])
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-5, rtol=1e-5)
    assert not torch.equal(together.latents[0, 2], together.latents[1, 2])  # restarts start apart


def test_memory_that_ends_halves_the_chunk(monkeypatch):
    target, prior = tiny()
    attack = GMI(iterations=4, restarts=2)
    plain = invert(attack, target, prior, [0, 1, 2])
    descend, sizes = GMI.descend, []

    def small_memory(self, guide, prior, latents, *rest, **named):
        sizes.append(len(latents))
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return descend(self, guide, prior, latents, *rest, **named)

    monkeypatch.setattr(GMI, "descend", small_memory)
    again = invert(attack, target, prior, [0, 1, 2])
    assert sizes == [6, 3, 2, 2, 2]
    torch.testing.assert_close(plain.latents, again.latents)
    for before, after in zip(plain.history, again.history, strict=True):
        assert before == pytest.approx(after, abs=1e-5)


def test_memory_for_not_even_one_image_is_a_trial_error(monkeypatch):
    def none_at_all(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GMI, "descend", none_at_all)
    with pytest.raises(TrialError, match="one image"):
        invert(GMI(iterations=1), *tiny(), [0, 1])


def test_history_and_progress():
    reports = []

    def report(stage, done, total, **metrics):
        reports.append((stage, done, total, set(metrics)))

    found = invert(GMI(iterations=120, restarts=1), *tiny(), [0, 3], report=report, batch_size=1)
    iterations = [point["iteration"] for point in found.history]
    assert iterations[0] == 0 and iterations[-1] == 119 and 50 <= len(iterations) <= 62
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]
    assert reports[-1] == ("attack", 240, 240, {"identity_loss", "prior_loss"})
    assert all(earlier[1] <= later[1] for earlier, later in pairwise(reports))


def test_a_loss_that_is_not_finite_fails_the_trial():
    target, prior = tiny()
    with torch.no_grad():
        target.head.weight.fill_(float("nan"))
    with pytest.raises(TrialError, match="not finite at iteration 3 of 3"):
        invert(GMI(iterations=3, restarts=1), target, prior, [0])


@pytest.mark.parametrize("identities", [[0, 5], [-1], []])
def test_identities_that_the_target_lacks(identities):
    with pytest.raises(ConfigError, match="identities from 0 to 4"):
        invert(GMI(iterations=1), *tiny(), identities)


@pytest.mark.parametrize("knob", ["iterations", "restarts", "group", "learning_rate", "clip"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        GMI(**{knob: 0})
