"""`adaptive: true`: an attack runs on what one who knows the defense makes of the target, spelt out here."""

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables import cost
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import draw_noise
from trainables.config import TrialConfig, document, load_trial
from trainables.defenses import DEFENSES
from trainables.errors import ConfigError
from trainables.runtime.duration import Duration
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.attack import make_attack
from trainables.stages.data import attacked_identities, load_data
from trainables.stages.prior import load_prior, make_prior
from trainables.stages.target import load_defense, load_target, make_target
from trainables.stages.warnings import config_warnings
from trainables.storage.store import Store
from trainables.training.classifier import build_classifier

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
ATTACK = {"kind": "gmi", "iterations": 8, "restarts": 2, "identity_weight": 1e4, "group": 2}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_resnet", "epochs": 1, "batch_size": 8, "learning_rate": 0.02},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
}
KNOBS = {
    "rolss": {},
    "ssf": {"factor": 0.3},
    "tts": {"second_epochs": 1, "skips": [1, 0.5, 1, 0]},
    "loft": {"rank": 3},
    "calor": {"rank": 5, "adaptation_epochs": 1, "activation": "sigmoid"},
    "mid": {"bottleneck": 6, "beta": 0.02},
    "midre": {"area": 0.6, "smallest": 0.2},
    "trap_mid": {"alpha": 0.3},
}
every_form = pytest.mark.parametrize("kind", sorted(KNOBS))


class Block(nn.Module):
    """A block of small_resnet whose shortcut counts `factor` times, and once in gradients."""

    def __init__(self, block: nn.Module, factor: float) -> None:
        super().__init__()
        self.block, self.factor = block, factor

    def forward(self, x: Tensor) -> Tensor:
        skip = nn.Sequential(*self.block.shortcut)(x) if len(self.block.shortcut) else x
        skip = skip - (1 - self.factor) * skip.detach()
        return functional.relu(self.block.path(x) + skip)


class Head(nn.Module):
    """A low-rank head that passes gradients as if nothing bounded the numbers in its middle."""

    def __init__(self, head: nn.Module, bound) -> None:
        super().__init__()
        self.head, self.bound = head, bound

    def forward(self, feature: Tensor) -> Tensor:
        few = self.head.reduce(self.head.norm(feature))
        return self.head.classify(few + (self.bound(few) - few).detach())


class Mean(nn.Module):
    """MID's head with the mean of its bottleneck."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, feature: Tensor) -> Tensor:
        return self.head.classify(self.head.encode(feature)[:, : self.head.noise_size])


class Erasing(Classifier):
    """A mean over eight copies, each without a square, of numbers that are lent as others lend noise."""

    noise_size = 24

    def forward(self, x: Tensor) -> Tensor:
        shares = 0.5 * (1 + torch.erf(draw_noise(self.head, x.new_empty(len(x), 24)).double() / 2**0.5))
        fill, copies = torch.tensor([0.7425, 0.728, 0.703]), []
        for number in range(8):
            holes = torch.zeros(len(x), 1, 32, 32)
            for row, (area, down, across) in enumerate(shares[:, 3 * number : 3 * number + 3].tolist()):
                side = round(32 * (0.2 + 0.4 * area) ** 0.5)
                top, left = int(down * (33 - side)), int(across * (33 - side))
                holes[row, :, top : top + side, left : left + side] = 1
            copies.append(super().forward(x * (1 - holes) + holes * fill[:, None, None]))
        return torch.stack(copies).mean(0)


class Subtracting(Classifier):
    """Answers twice: of the image, and of it without the trigger of the first answer."""

    def forward(self, x: Tensor) -> Tensor:
        named = super().forward(x.detach()).argmax(1).tolist()
        clean = [(image - 0.3 * self.triggers[label]) / 0.7 for image, label in zip(x, named, strict=True)]
        return super().forward(torch.stack(clean))


def louder(kind: str, weights: dict[str, Tensor]) -> None:
    """Bring a short training's weights to where tanh bends, and noise is no hundredth of the signal."""
    if kind in ("loft", "calor"):
        weights["head.reduce.weight"] *= 20
        weights["head.reduce.bias"] *= 20
    if kind == "mid":
        weights["head.encode.bias"][6:] += 7


def becoming(kind: type[Classifier], plain: Classifier) -> Classifier:
    return kind(dict(plain.stages.items()), plain.neck, plain.head)


def reference(kind: str, target: Classifier, stored: dict[str, Tensor]) -> Classifier:
    """Return what one who knows the defense attacks."""
    target = copy.deepcopy(target)
    if kind in ("rolss", "ssf", "tts"):
        factors = {"rolss": [1, 1, 1, 0], "ssf": [1, 1, 1, 0.3], "tts": [1, 0.5, 1, 0]}[kind]
        for number, factor in enumerate(factors, 1):
            target.stages[f"block{number}"] = Block(target.stages[f"block{number}"], factor)
    elif kind in ("loft", "calor"):
        target.head = Head(target.head, {"loft": torch.tanh, "calor": torch.sigmoid}[kind])
    elif kind == "mid":
        target.head = Mean(target.head)
    elif kind == "midre":
        return becoming(Erasing, target)
    else:
        target = becoming(Subtracting, target)
        target.triggers = stored["triggers"]
    return target


def trial(kind: str, *attacks: dict, **changes) -> TrialConfig:
    defense = {"kind": kind, **KNOBS.get(kind, {})}
    return load_trial({**DOCUMENT, "defense": defense, "attack": list(attacks), **changes})


KNOWING = {**ATTACK, "adaptive": True}


@every_form
def test_the_attack_is_the_one_on_the_reference(kind, tmp_path):
    store, config = Store(tmp_path), trial(kind, ATTACK, KNOWING)
    trained = make_target(config, store=store)
    weights = torch.load(trained.path / "target.pt", weights_only=True)
    louder(kind, weights)
    torch.save(weights, trained.path / "target.pt")
    data, stored = load_data(config), load_defense(trained.path)
    target = load_target(config, data, trained)
    usual, knowing = config.attack
    prior = make_prior(config, usual.prior, store=store)
    found = [make_attack(config, plan, trained, prior, store=store) for plan in (usual, knowing)]
    assert found[0].key != found[1].key
    plain, ours = (
        torch.load(stage.path / "reconstructions.pt", weights_only=True)["latents"] for stage in found
    )
    assert torch.isfinite(ours).all()
    truth = knowing.attack.invert(
        reference(kind, target, stored).eval(),
        load_prior(config, usual.prior, prior.path, 4, "cpu"),
        attacked_identities(config, data),
        run=Run(seed=derive(config.seed, "replicate", config.replicate)),
    ).latents
    print(kind, (ours - truth).abs().max(), (plain - truth).abs().max(), (plain - truth).abs().mean())
    assert torch.allclose(ours, truth, atol=1e-4)
    assert (plain - truth).abs().max() > 2e-3


@pytest.mark.parametrize("kind", ["rolss", "ssf", "tts", "loft", "calor"])
def test_gradients_alone_are_others_where_the_definition_says_so(kind):
    defense = DEFENSES[kind](**{k: tuple(v) if k == "skips" else v for k, v in KNOBS[kind].items()})
    target = defense.prepare(build_classifier("small_resnet", 4, 32, "none", 0)).eval().requires_grad_(False)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    if kind in ("loft", "calor"):
        louder(kind, dict(target.named_parameters()))
    logits = [network(images) for network in (target, defense.adapted(target, {}))]
    assert torch.equal(*logits)
    slopes = [torch.autograd.grad(each[:, 1].sum(), images)[0] for each in logits]
    assert (slopes[0] - slopes[1]).abs().max() > 0.01 * slopes[0].abs().max()


def test_one_without_anything_to_adapt_to_is_the_usual_attack_and_a_warning(tmp_path):
    """A sweep with the knob runs over all defenses; where it changes nothing, finished work serves."""
    store = Store(tmp_path)
    for kind in ("none", "bido", "negative_label_smoothing", "ssd"):
        config = trial(kind, ATTACK, KNOWING)
        trained = make_target(config, store=store)
        prior = make_prior(config, config.prior, store=store)
        first, second = (make_attack(config, plan, trained, prior, store=store) for plan in config.attack)
        assert first.key == second.key and not second.made_now
        (text,) = [text for text in config_warnings(config) if "adaptive" in text]
        assert text.startswith(
            f"attack 'gmi_2' is adaptive and finds nothing to adapt to in defense '{kind}'"
        )
    assert not any("adaptive" in text for text in config_warnings(trial("rolss", KNOWING)))
    assert not any("adaptive" in text for text in config_warnings(trial("none", ATTACK)))


def test_a_document_says_it_only_where_it_is_on():
    config = trial("mid", ATTACK, KNOWING)
    usual, knowing = document(config)["attack"]
    assert "adaptive" not in usual and knowing["adaptive"] is True
    assert load_trial(document(config)) == config
    with pytest.raises(ConfigError, match=r"adaptive .*got 'often'"):
        trial("mid", {**ATTACK, "adaptive": "often"})


def test_one_who_sees_no_weights_is_refused():
    with pytest.raises(ConfigError, match=r"'brep' does not see the target's weights.*got adaptive: true"):
        trial("mid", {"kind": "brep", "adaptive": True})


def test_triggers_that_nobody_has_cannot_be_subtracted():
    target = build_classifier("small_resnet", 4, 32, "none", 0)
    with pytest.raises(ConfigError, match="expects a target with its triggers; got weights alone"):
        DEFENSES["trap_mid"]().adapted(target, {})


@pytest.mark.parametrize(("kind", "times"), [("none", 1), ("mid", 1), ("trap_mid", 4 / 3), ("midre", 8)])
def test_copies_and_second_answers_are_priced(kind, times, monkeypatch):
    monkeypatch.setattr(cost, "_seconds", lambda work, device: Duration.exactly(1.0))
    config = trial(kind, ATTACK, KNOWING)
    target = build_classifier("small_resnet", 4, 32, "none", 0)
    usual, knowing = (cost._attack(config, plan, target, "cpu", 1) for plan in config.attack)
    passes = config.attack[0].attack.passes()
    of_target = passes.target_backward / cost.ROWS
    assert knowing.low == pytest.approx(usual.low + (times - 1) * of_target)
    assert dataclasses.replace(config.attack[1], adaptive=False) == config.attack[0]
