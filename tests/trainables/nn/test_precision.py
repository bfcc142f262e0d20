"""Half precision and compiled networks: where they work, that they are close, and that nothing else moves."""

import pytest
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.base import Attack, Reconstructions
from trainables.attacks.gmi import GMI
from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lomma import LommaGMI
from trainables.attacks.mirror import Mirror
from trainables.attacks.plg import PLG
from trainables.attacks.ppa import PPA
from trainables.attacks.vmi import VMI
from trainables.defenses.mid import MID
from trainables.nn.inference import inference_copy
from trainables.nn.precision import Precision, number_format_on, precision_scope
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.run import Run

HALF, COMPILED = Precision("bfloat16"), Precision(compiled=True)
ATTACKS: dict[str, Attack] = {
    "gmi": GMI(iterations=3, restarts=1),
    "kedmi": KEDMI(iterations=3, restarts=1, group=1),
    "lomma_gmi": LommaGMI(iterations=3, restarts=1, students=(), feature_weight=0.0),
    "ppa": PPA(candidates=6, starts=1, iterations=3, rounds=1, kept=1),
    "if_gmi": IFGMI(candidates=6, starts=1, iterations=2, blocks=1, block_iterations=2, kept=1),
    "mirror": Mirror(pool=6, starts=1, iterations=3, learning_rate=0.01),
    "plg": PLG(iterations=3, restarts=1, learning_rate=0.01),
    "vmi": VMI(steps=3, batch=2, samples=1, kl_samples=0, learning_rate=0.01),
}


def victim(name: str) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    target = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(256, 5)).eval()
    if name in ("ppa", "if_gmi", "mirror"):
        prior = StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)
    elif name == "kedmi":
        prior = KEDMIPrior(width=2, latent_size=6).build(32, 5)
    elif name == "plg":
        prior = PLGPrior(width=2, latent_size=5).build(32, 5)
    else:
        prior = GMIPrior(width=4, latent_size=6).build(32)
    prior.generator.eval()
    prior.discriminator.eval()
    return target, prior


def invert(name: str, precision: Precision, target: Classifier | None = None) -> Reconstructions:
    ours, prior = victim(name)
    with precision_scope(precision):
        return ATTACKS[name].invert(target or ours, prior, torch.tensor([3, 0]), run=Run(seed=0))


def kinds_seen(network: nn.Module) -> list[torch.dtype]:
    """Return the list that the types of every convolution's outputs are written to."""
    seen: list[torch.dtype] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    return seen


def test_half_precision_where_gradients_are_taken_and_nowhere_else():
    target, _ = victim("gmi")
    seen = kinds_seen(target)
    with precision_scope(HALF):
        copy = inference_copy(target, "cpu")
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    for ask in (copy, copy.features):
        exact = (
            inference_copy(target, "cpu").features(images)
            if ask is not copy
            else inference_copy(target, "cpu")(images)
        )
        seen.clear()
        said = ask(images)
        assert seen == [torch.bfloat16] and said.dtype == torch.float32
        assert 0 < (said - exact).abs().max() < 0.02 * exact.abs().max()
        (slope,) = torch.autograd.grad(said.square().sum(), images)
        assert slope.dtype == torch.float32 and slope.abs().max() > 0
        with torch.no_grad():
            assert torch.equal(ask(images), exact) and seen[-1] == torch.float32
    assert (
        inference_copy(target, "cpu")(images).dtype == torch.float32 and seen[-1] == torch.float32
    )  # outside again


@pytest.mark.parametrize("name", ATTACKS)
def test_every_white_box_attack_runs_in_half_precision(name):
    exact, half = invert(name, Precision()), invert(name, HALF)
    assert half.latents.dtype == torch.float32 and half.images.dtype == torch.uint8
    # Adam's first steps are the gradient's sign, so latents may agree to the bit: the losses must not
    assert (half.latents - exact.latents).abs().max() < 0.5
    losses = [[row["identity_loss"] for row in found.history] for found in (half, exact)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1, abs=0.1)


def test_images_that_are_returned_are_exact():
    """Those of the latents in float32, although the search was in half precision."""
    found = invert("gmi", HALF)
    _, prior = victim("gmi")
    with torch.no_grad():
        wanted = prior.generator(found.latents.flatten(0, 1)) * 255
    assert (found.images.flatten(0, 1) - wanted).abs().max() < 0.501


@pytest.fixture
def no_compiler(monkeypatch):
    """torch.compile without code generation, which would need a compiler and a minute."""
    compiled: list[str] = []

    def traced(function):
        compiled.append(function.__qualname__)
        return compile_(function, backend="aot_eager")

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    yield compiled
    torch.compiler.reset()


@pytest.mark.parametrize("name", ["gmi", "if_gmi"])
def test_compiled_gives_the_same(name, no_compiler):
    exact, compiled = invert(name, Precision()), invert(name, COMPILED)
    assert len(no_compiler) >= 3
    torch.testing.assert_close(compiled.latents, exact.latents, atol=1e-3, rtol=1e-3)
    assert (compiled.images.int() - exact.images.int()).abs().max() <= 1


def test_compiled_networks_get_fresh_noise_at_each_step(no_compiler):
    target = MID(bottleneck=8).prepare(victim("gmi")[0]).eval()
    exact, compiled = invert("gmi", Precision(), target), invert("gmi", COMPILED, target)
    torch.testing.assert_close(compiled.latents, exact.latents, atol=1e-3, rtol=1e-3)


def test_both_at_once(no_compiler):
    target, _ = victim("gmi")
    with precision_scope(Precision("bfloat16", compiled=True)):
        copy = inference_copy(target, "cpu")
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    said, exact = copy(images), inference_copy(target, "cpu")(images)
    assert said.dtype == torch.float32 and 0 < (said - exact).abs().max() < 0.02 * exact.abs().max()
    assert no_compiler and torch.autograd.grad(said.sum(), images)[0].dtype == torch.float32


def test_nothing_is_lent_afterwards():
    with pytest.raises(RuntimeError), precision_scope(HALF):
        raise RuntimeError
    target, _ = victim("gmi")
    assert "forward" not in vars(inference_copy(target, "cpu"))


@pytest.mark.parametrize(
    ("asked", "device", "abilities", "expected"),
    [
        ("auto", "cpu", {"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ("auto", "cpu", {"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ("auto", "cpu", {"avx512_f": True}, "float32"),
        ("auto", "cpu", {}, "float32"),
        ("auto", "mps", {"avx512_bf16": True}, "float32"),
        ("float32", "cpu", {"avx512_bf16": True}, "float32"),
        ("bfloat16", "cpu", {}, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, asked, device, abilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert number_format_on(asked, device) == expected


@pytest.mark.parametrize("has", [True, False])
def test_auto_asks_the_card_what_it_computes_itself(monkeypatch, has):
    def supported(including_emulation: bool = True) -> bool:
        return has or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert number_format_on("auto", "cuda:1") == ("bfloat16" if has else "float32")


def test_auto_where_torch_cannot_say(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert number_format_on("auto", "cpu") == "float32"
