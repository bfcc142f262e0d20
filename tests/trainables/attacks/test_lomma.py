"""LOMMA against the released code's losses and traces, and each of its parts alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.gmi import GMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lomma import LommaGMI, LommaKEDMI, lomma_loss
from trainables.attacks.optim.descent import Journal, guided
from trainables.datasets.base import Images
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.nn.critic import Critic
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inversion_discriminator import MinibatchLayer
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent

GOLDEN = Path(__file__).parents[2] / "golden"
LOSSES = {"logit_loss": "logit", "cel": "cross_entropy"}  # the trace's names


def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / name) as arrays:
        tensors = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    return {k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}


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


class Judge(Critic):
    """The trace's discriminator of KEDMI: a tanh layer, the minibatch layer, a linear layer."""

    compares_images = True

    def __init__(self, g: dict[str, Tensor]) -> None:
        super().__init__()
        self.hidden, self.head = affine(g["DK_U"], g["DK_u"]), affine(g["DK_V"], g["DK_v"])
        self.minibatch = MinibatchLayer(*g["DK_M"].shape).double()
        self.minibatch.load_state_dict({"weight": g["DK_M"]})

    def forward(self, x: Tensor, group: int) -> Tensor:
        features = self.hidden(x.flatten(1)).tanh()
        return self.head(torch.cat([self.minibatch(part) for part in features.split(group)])).logsumexp(1)


def recorded_classifier(g: dict[str, Tensor], name: str) -> Classifier:
    hidden = nn.Sequential(nn.Flatten(), affine(g[f"{name}_W1"], g[f"{name}_b1"]), nn.Tanh())
    head = affine(g[f"{name}_W2"], g[f"{name}_b2"])
    return Classifier({"hidden": hidden}, nn.Identity(), head).double()


def recorded_generator(g: dict[str, Tensor]) -> nn.Module:
    return nn.Sequential(affine(g["G_A"], g["G_a"]), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))


def no_noise():
    while True:
        yield torch.empty(0)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("named", LOSSES)
def test_loss_follows_the_released_code(named, models):
    g = golden("03a_lomma_loss_a.npz")
    logits = [g[f"logits{number}"].requires_grad_(True) for number in range(models)]
    features = g["feat0"].requires_grad_(True)
    knobs = {"identity_loss": LOSSES[named], "feature_weight": float(g["lam"])}
    loss = lomma_loss(logits, g["y"], features, g["reg_mean"], **knobs)
    assert loss.shape == g["y"].shape
    torch.testing.assert_close(loss.mean(), g[f"{named}_n{models}"], atol=1e-5, rtol=1e-5)
    wanted = {f"logits{number}": one for number, one in enumerate(logits)} | {"feat0": features}
    gradients = torch.autograd.grad(loss.mean(), list(wanted.values()), allow_unused=True)
    for (name, value), gradient in zip(wanted.items(), gradients, strict=True):
        recorded = g[f"{named}_n{models}_grad_{name}"]
        found = torch.zeros_like(value) if gradient is None else gradient
        torch.testing.assert_close(found, recorded, atol=1e-6, rtol=1e-5, msg=name)


def test_loss_on_known_numbers():
    """-1.5 and -2.5 average to -2 over the classifiers, and the regulariser is 2."""
    logits = [
        torch.tensor([[2, -1, 0.5, 0], [0, 3, -2, 1]]),
        torch.tensor([[1.0, 0, 0, 2], [0, 1, 0, 4]]),
    ]
    features, mean = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0]]), torch.tensor([0.0, 1, 1, 2])
    y = torch.tensor([0, 3])
    for weight, expected in ((0.0, -2.0), (1.0, 0.0), (0.5, -1.0)):
        found = lomma_loss(logits, y, features, mean, identity_loss="logit", feature_weight=weight)
        assert found.mean().item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("named", LOSSES)
def test_on_gmi_follows_the_released_code(named):
    g = golden("03b_lomma_traj_a.npz")
    target, *students = (recorded_classifier(g, name) for name in ("T0", "T1", "T2"))
    prior = PriorNetworks(recorded_generator(g), Score(g["Dlin_d"], g["Dlin_d0"]), 100)
    for iterations in (1, 2, 5, 9, 10):
        attack = LommaGMI(
            iterations=iterations,
            restarts=1,
            learning_rate=float(g["lr"]),
            momentum=float(g["momentum"]),
            identity_weight=float(g["lamda"]),
            group=len(g["ids"]),
            identity_loss=LOSSES[named],
            feature_weight=float(g["lam"]),
        )
        guide = attack.shared_guide(target, students, g["reg_mean"])
        start = g[f"gmi_{named}_z0"]
        z, losses = attack.descend(guide, prior, start, g["ids"], no_noise(), Journal())
        if iterations < 10:  # the trace has the latents before each of its ten steps
            torch.testing.assert_close(z, g[f"gmi_{named}_z"][iterations], atol=1e-4, rtol=0)
    torch.testing.assert_close(losses[:, 0], g[f"gmi_{named}_iden"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses[:, 1], g[f"gmi_{named}_prior"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("named", LOSSES)
def test_on_kedmi_follows_the_released_code(named):
    g = golden("03b_lomma_traj_a.npz")
    target, *students = (recorded_classifier(g, name) for name in ("T0", "T1", "T2"))
    prior = PriorNetworks(recorded_generator(g), Judge(g), 100)
    for iterations in (1, 2, 5, 10):
        attack = LommaKEDMI(
            iterations=iterations,
            learning_rate=float(g["lr"]),
            identity_weight=float(g["lamda"]),
            group=len(g["ids"]),
            identity_loss=LOSSES[named],
            feature_weight=float(g["lam"]),
        )
        guide = attack.shared_guide(target, students, g["reg_mean"])
        draws = iter(g[f"kedmi_{named}_eps"])
        gaussian, losses = attack.descend(guide, prior, g["ids"], draws, no_noise(), Journal())
        for found, part in zip(gaussian, ("mu", "log_var"), strict=True):
            recorded = g[f"kedmi_{named}_{part}"][iterations]
            torch.testing.assert_close(found, recorded, atol=1e-4, rtol=0)
        if iterations < 10:
            into_generator = attack.draw(gaussian, g[f"kedmi_{named}_eps"][iterations])
            recorded = g[f"kedmi_{named}_z_into_G"][iterations]
            torch.testing.assert_close(into_generator, recorded, atol=1e-4, rtol=0)
    torch.testing.assert_close(losses[:, 0], g[f"kedmi_{named}_iden"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses[:, 1], g[f"kedmi_{named}_prior"], atol=1e-4, rtol=1e-4)


def tiny() -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = nn.Sequential(
        nn.Linear(6, 48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)), nn.Upsample(scale_factor=8)
    )
    critic = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1), nn.Flatten(0))
    stage = nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
    target = Classifier({"pool": stage}, nn.Tanh(), nn.Linear(48, 5))
    return target.eval(), PriorNetworks(generator.eval(), critic.eval(), 6)


def public() -> Images:
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    return Images(
        pixels=pixels,
        labels=torch.zeros(12, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(12))),
    )


SHORT = {"iterations": 8, "restarts": 2, "student_epochs": 1}


def learn(attack, target):
    how = {"seed": 0, "device": "cpu", "report": silent}
    return None if attack.auxiliary is None else attack.auxiliary.make(target, public(), **with_run(how))


def invert(attack, target, prior, identities=(0, 3, 4), **options):
    arguments = {"seed": 3, "device": "cpu", "report": silent, "auxiliary": learn(attack, target)} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def test_without_its_parts_it_is_gmi():
    """The starts differ, since each attack has its own random stream; the descent is the same."""
    target, prior = tiny()
    plain = LommaGMI(identity_loss="cross_entropy", students=(), **SHORT)
    assert plain.auxiliary is None
    gmi = GMI(iterations=8, restarts=2)
    start, labels = torch.randn(3, 6), torch.tensor([0, 3, 4])
    rest = (prior, start, labels, no_noise(), Journal())
    ours, _ = plain.descend(plain.shared_guide(target, [], None), *rest)
    theirs, _ = gmi.descend(guided(target, cross_entropy), *rest)
    torch.testing.assert_close(ours, theirs)
    assert invert(plain, target, prior).latents.shape == (2, 3, 6)


def test_without_its_parts_it_is_kedmi():
    target, prior = tiny()
    plain = LommaKEDMI(identity_loss="cross_entropy", students=(), clip=None, **SHORT)
    kedmi = KEDMI(iterations=8, restarts=2)
    draws, labels = torch.randn(8, 3, 6), torch.tensor([0, 3, 4])
    ours, theirs = (
        attack.descend(guide, prior, labels, iter(draws), no_noise(), Journal())
        for attack, guide in (
            (plain, plain.shared_guide(target, [], None)),
            (kedmi, guided(target, cross_entropy)),
        )
    )
    torch.testing.assert_close(ours, theirs)
    assert invert(plain, target, prior).latents.shape == (2, 3, 6)


def test_latents_on_kedmi_are_clipped():
    target, prior = tiny()
    found = invert(LommaKEDMI(students=(), **SHORT), target, prior).latents
    assert found.abs().max() == 1 and found.min() < 0
    free = invert(LommaKEDMI(students=(), clip=None, **SHORT), target, prior).latents
    assert free.abs().max() > 1


@pytest.mark.parametrize("kind", [LommaGMI, LommaKEDMI])
def test_each_part_changes_the_result(kind):
    target, prior = tiny()
    found = [
        invert(kind(**knobs, **SHORT), target, prior).latents
        for knobs in (
            {"students": (), "identity_loss": "cross_entropy"},
            {"students": (), "feature_weight": 0.0},
            {"students": ()},
            {"students": ("small_cnn",), "identity_loss": "cross_entropy"},
            {"students": ("small_cnn",)},
        )
    ]
    for position, one in enumerate(found):
        assert all(not torch.allclose(one, other, atol=1e-6) for other in found[position + 1 :])


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    attack = LommaGMI(students=("small_cnn",), **SHORT)
    learnt = learn(attack, target)
    together = invert(attack, target, prior, (0, 1, 2, 4), batch_size=3, auxiliary=learnt)
    alone = invert(attack, target, prior, (2,), auxiliary=learnt)
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0], atol=1e-5, rtol=1e-5)


def test_what_it_learns_first():
    assert LommaGMI().auxiliary.students == ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2")
    assert LommaGMI(students=()).auxiliary.students == ()
    assert LommaGMI(students=(), feature_weight=0.0).auxiliary is None
    recipe = LommaGMI(student_epochs=3, student_learning_rate=0.5, student_weights="none").auxiliary
    assert (recipe.epochs, recipe.learning_rate, recipe.weights) == (3, 0.5, "none")


def test_what_an_identity_costs():
    gmi, lomma = GMI(iterations=7, restarts=3).passes(), LommaGMI(iterations=7, restarts=3).passes()
    assert lomma.generator_forward == gmi.generator_forward
    assert (lomma.target_forward, lomma.target_backward) == (4 * 21, 4 * 21)


def test_what_was_not_learnt_is_named():
    target, prior = tiny()
    with pytest.raises(ConfigError, match=r"students \('small_cnn',\); got None"):
        invert(LommaGMI(students=("small_cnn",), **SHORT), target, prior, auxiliary=None)
    other = learn(LommaGMI(students=()), target)
    with pytest.raises(ConfigError, match=r"students \('small_cnn',\); got \(\)"):
        invert(LommaGMI(students=("small_cnn",), **SHORT), target, prior, auxiliary=other)


@pytest.mark.parametrize("knob", ["iterations", "clip", "student_epochs", "student_learning_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        LommaGMI(**{knob: 0})
    with pytest.raises(ValueError, match="students must be among"):
        LommaGMI(students=("resnet_18",))
