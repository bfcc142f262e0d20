"""VMI against the released code's traces, and its bookkeeping."""

from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.optim.descent import Journal
from trainables.attacks.optim.posteriors import Gaussian, Mixture
from trainables.attacks.vmi import VMI, smoothed_cross_entropy
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent

GOLDEN = Path(__file__).parents[2] / "golden"
POSTERIORS = ["gaussian", "mixture", "flow"]


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape).double()
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


class Layered(nn.Module):
    """The trace's mapping and synthesis; layers outside the mask take the next recorded nuisance latent."""

    def __init__(self, g: dict[str, Tensor], begin: int) -> None:
        super().__init__()
        self.g, self.step = g, begin

    def forward(self, flat: Tensor) -> Tensor:
        g, mask = self.g, self.g["identity_layer_mask"][:, None]
        own = torch.tanh(flat.reshape(len(flat), -1, g["map_B"].shape[0]) @ g["map_B"])
        nuisance = torch.tanh(g["draw0"][self.step].double() @ g["map_B"])[:, None]
        self.step += 1
        w = mask * own + (1 - mask) * nuisance
        image = 1.6 * torch.tanh(torch.einsum("nlz,lzp->np", w, g["syn_A"]) + g["syn_a"])
        return image.clamp(-1, 1).reshape(-1, 3, 8, 8) / 2 + 0.5


def load(name: str, begin: int = 0) -> tuple[dict[str, Tensor], Classifier, PriorNetworks, dict]:
    with np.load(GOLDEN / f"07_vmi_{name}_a.npz") as arrays:
        g = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    hidden = nn.Sequential(nn.Flatten(), affine(g["T_W1"], g["T_b1"]), nn.Tanh())
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"])).double()
    knobs = {
        "learning_rate": float(g["lr"]),
        "momentum": float(g["momentum"]),
        "kl_weight": float(g["lambda_kl"]),
        "smoothing": float(g["label_smoothing"]),
        "batch": int(g["batch"]),
    }
    return g, target, PriorNetworks(Layered(g, begin), nn.Identity(), 0), knobs


def fit(attack, family, parameters, draws, g, target, prior):
    return attack.fit(
        target, prior, family, parameters, g["target"].reshape(1), iter(draws), Journal(), size=1000
    )


@pytest.mark.parametrize("name", ["minegan", "layeredminegan"])
def test_gaussian_follows_the_released_code(name):
    steps = 5 if name == "minegan" else 4
    layers = 1 if name == "minegan" else 3
    for count in range(1, steps + 1):
        g, target, prior, knobs = load(name)
        prefix = ["param__"] if layers == 1 else [f"param__mvn_{layer}_" for layer in range(layers)]

        def at(step, prefix=prefix, g=g):
            m = torch.stack([g[f"{each}m"][step, 0] for each in prefix])[None]
            return {"m": m, "L": torch.stack([g[f"{each}L"][step] for each in prefix])[None]}

        draws = [
            {
                "z": g["draw1"][step].double()[None],
                "kl": torch.stack([g[f"draw{2 + layer}"][step].double() for layer in range(layers)])[None],
                "head": torch.empty(1, knobs["batch"], 0),
            }
            for step in range(steps)
        ]
        attack = VMI(steps=count, layers=layers, **knobs)
        parameters, losses = fit(attack, Gaussian(), at(0), draws, g, target, prior)
        for key, expected in at(count).items():
            torch.testing.assert_close(parameters[key], expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(losses[:, 0], g["attack_loss"], atol=1e-9, rtol=0)
    torch.testing.assert_close(losses[:, 1], g["kl_term"], atol=1e-9, rtol=0)
    total = losses[:, 0] + knobs["kl_weight"] * losses[:, 1]
    torch.testing.assert_close(total, g["total_loss"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("step", range(4))
def test_mixture_follows_the_released_code(step):
    """One step from each recorded state: without momentum it moves by learning rate times gradient."""
    g, target, prior, knobs = load("layeredgmm", step)

    def stacked(kind, index):
        rows = [
            torch.stack([g[f"{kind}__gmm_{layer}_mvn_{c}_{index}"][step].squeeze(0) for c in range(2)])
            for layer in range(3)
        ]
        return torch.stack(rows)[None]

    def forced(first):
        """Gumbel draws that leave no doubt: the recorded choices, and no gradient through the choice."""
        chosen = torch.stack([g[f"component_choice{first + layer}"][step] for layer in range(3)])
        return 1e4 * functional.one_hot(chosen, 2).double()[None]

    logits = torch.stack([g[f"param__gmm_{layer}_mixing_weight_logits"][step] for layer in range(3)])
    before = {"m": stacked("param", "m"), "L": stacked("param", "L"), "logits": logits[None]}
    draw = {
        "z": g["draw1"][step].double()[None],
        "gumbel": forced(0),
        "kl": torch.stack([g[f"draw{2 + layer}"][step].double() for layer in range(3)])[None],
        "kl_gumbel": forced(3),
        "head": torch.empty(1, knobs["batch"], 0),
    }
    attack = VMI(steps=1, layers=3, **knobs)
    after, losses = fit(attack, Mixture(2), before, [draw], g, target, prior)
    torch.testing.assert_close(losses[0, 0], g["attack_loss"][step], atol=1e-9, rtol=0)
    torch.testing.assert_close(losses[0, 1], g["kl_term"][step], atol=1e-9, rtol=0)
    for key in ("m", "L"):
        gradient = (before[key] - after[key]) / knobs["learning_rate"]
        torch.testing.assert_close(gradient, stacked("grad", key), atol=1e-9, rtol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothed_cross_entropy(smoothing):
    logits, labels = torch.tensor([[2.0, -1, 0.5, 0], [0, 3, -2, 1]]), torch.tensor([0, 3])
    wanted = torch.full((2, 4), smoothing / 3)
    wanted[torch.arange(2), labels] = 1 - smoothing
    expected = functional.cross_entropy(logits, wanted, reduction="none")
    torch.testing.assert_close(smoothed_cross_entropy(logits, labels, smoothing), expected)


def tiny(noisy: bool = False) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(6, 48), nn.Sigmoid(), nn.Unflatten(1, (3, 4, 4)))
    head = nn.Linear(48, 5)
    with torch.no_grad():
        head.weight.mul_(10)  # and every label is that of some images
        head.bias.sub_(head(generator(torch.randn(500, 6)).flatten(1)).mean(0))
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), head)
    if noisy:
        target = MID(bottleneck=4).prepare(target)
    return target.eval(), PriorNetworks(generator.eval(), nn.Identity(), 6)


def small(posterior: str, **knobs) -> VMI:
    chosen = {"steps": 25, "batch": 6, "samples": 4, "kl_samples": 5, "learning_rate": 0.02} | knobs
    return VMI(posterior=posterior, components=2, flow_steps=2, hidden=5, **chosen)


def invert(attack, target, prior, identities, **options):
    arguments = {"seed": 0, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_samples_are_taken_for_their_identity(posterior):
    target, prior = tiny()
    found = invert(small(posterior, steps=60, learning_rate=0.1), target, prior, [0, 3])
    assert found.latents.shape == (4, 2, 6)
    with torch.no_grad():
        p = target(prior.generator(found.latents.flatten(0, 1))).softmax(1).reshape(4, 2, -1)
        at_random = target(prior.generator(torch.randn(500, 6))).softmax(1).mean(0)
    for position, identity in enumerate((0, 3)):
        assert p[:, position, identity].mean() > at_random[identity] + 0.2
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_an_identity_is_fitted_the_same_in_any_company(posterior, noisy):
    attack = small(posterior, steps=6, layers=2)
    together = invert(attack, *tiny(noisy), [0, 1, 2], batch_size=13)
    alone = invert(attack, *tiny(noisy), [1], batch_size=4)  # a step of 6 images is cut
    torch.testing.assert_close(together.latents[:, 1], alone.latents[:, 0], atol=1e-5, rtol=1e-5)


def test_a_latent_that_does_not_divide_into_layers():
    with pytest.raises(ConfigError, match="4 vectors of equal length; got a latent of 6"):
        invert(small("gaussian", layers=4), *tiny(), [0])


@pytest.mark.parametrize("knob", ["layers", "components", "steps", "batch", "samples", "learning_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        VMI(**{knob: 0})
