"""Scaled skips against the authors' network, and against each block's formula written out."""

import copy
import pickle

import numpy as np
import pytest
import recorded_stages
import torch
from torch import nn

from trainables.architectures import ARCHITECTURES
from trainables.architectures.skips import ScaledShortcut, restore_gradients, scale_skips


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return recorded_stages.read()


def recorded(golden: dict[str, np.ndarray]) -> list[nn.Sequential]:
    """Return the four recorded stages, each block scaled as recorded."""
    stages = recorded_stages.stages(golden)
    for stage, factors in zip(stages, golden["effective_k_per_block"], strict=True):
        for block, factor in zip(stage, factors, strict=True):
            assert scale_skips(block, float(factor)) == 1
    return stages


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_authors_stages(golden, mode):
    x = torch.from_numpy(golden["x"]).requires_grad_()
    y = x
    for number, stage in enumerate(recorded(golden), 1):
        y = stage.train(mode == "train")(y)
        assert np.allclose(y.detach(), golden[f"{mode}_out_stage{number}"], rtol=0, atol=2e-5)
    if mode == "eval":
        y.sum().backward()
        assert np.allclose(x.grad, golden["eval_grad_x_of_sum"], rtol=0, atol=2e-5)


def plain_block(kind: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a block with a skip as its library makes it, in eval mode, and an input of it."""
    from torchvision.models import densenet, maxvit, mobilenetv2, vision_transformer

    torch.manual_seed(0)
    image = torch.randn(2, 8, 4, 4)
    if kind == "inverted":
        return mobilenetv2.InvertedResidual(8, 8, 1, 2).eval(), image
    if kind == "encoder":
        return vision_transformer.EncoderBlock(2, 8, 16, 0.0, 0.0).eval(), torch.randn(2, 5, 8)
    if kind == "attention":
        layer = maxvit.PartitionAttentionLayer(
            8, 4, 2, "grid", (4, 4), 2, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0
        )
        return layer.eval(), image
    return densenet._DenseBlock(3, 8, 2, 6, 0.0).eval(), image


BLOCKS = ("inverted", "encoder", "attention", "dense")


def expected(kind: str, block: nn.Module, x: torch.Tensor, factor: float, more: float = 0) -> torch.Tensor:
    """Return what the block gives with its skip scaled, from its layers; more: that its gradient has."""

    def skip(x: torch.Tensor) -> torch.Tensor:
        return factor * x.detach() + (factor + more) * (x - x.detach())

    if kind == "inverted":
        return skip(x) + block.conv(x)
    if kind == "encoder":
        normal = block.ln_1(x)
        x = x + block.self_attention(normal, normal, normal)[0]
        return skip(x) + block.mlp(block.ln_2(x))
    if kind == "attention":
        x = block.partition_swap(block.partition_op(x, 2))
        x = skip(x) + block.attn_layer(x)
        x = skip(x) + block.mlp_layer(x)
        return block.departition_op(block.departition_swap(x), 2, 2, 2)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_factor_of_one_changes_nothing_and_zero_takes_the_skip_away(kind):
    block, x = plain_block(kind)
    before, names = block(x), list(block.state_dict())
    assert scale_skips(block, 0.0) == 1
    assert not torch.allclose(block(x), before)
    assert scale_skips(block, 1.0) == 1
    assert torch.allclose(block(x), before, atol=1e-6)
    assert list(block.state_dict()) == names


@pytest.mark.parametrize("kind", [kind for kind in BLOCKS if kind != "dense"])
@pytest.mark.parametrize("factor", [0.0, 0.3])
def test_a_block_follows_its_formula(kind, factor):
    block, x = plain_block(kind)
    scale_skips(block, factor)
    assert torch.allclose(block(x), expected(kind, block, x, factor), atol=1e-6)


def slope(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the gradient in x of a sum of y with unequal weights."""
    weights = torch.linspace(-1, 2, y.numel()).reshape(y.shape)
    return torch.autograd.grad((y * weights).sum(), x)[0]


@pytest.mark.parametrize("kind", [kind for kind in BLOCKS if kind != "dense"])
@pytest.mark.parametrize("factor", [0.0, 0.3])
def test_a_restored_skip_has_the_whole_gradient_and_the_same_output(kind, factor):
    block, x = plain_block(kind)
    scale_skips(block, factor)
    before, x = block(x), x.requires_grad_()
    plain = slope(block(x), x)
    restore_gradients(block)
    assert torch.equal(block(x), before)
    truth = slope(expected(kind, block, x, factor, more=1 - factor), x)
    assert torch.allclose(slope(block(x), x), truth, atol=1e-5)
    assert not torch.allclose(plain, truth, atol=1e-2)
    if kind != "attention":  # whose second layer lies at another point
        assert torch.allclose(slope(expected(kind, block, x, 1.0), x), truth, atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_a_restored_residual_block_has_the_whole_gradient_and_the_same_output(factor):
    from torchvision.models.resnet import BasicBlock

    torch.manual_seed(0)
    block = BasicBlock(4, 4).eval()
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    scale_skips(block, factor)
    before, plain = block(x), slope(block(x), x)
    restore_gradients(block)
    assert torch.equal(block(x), before)
    inside = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    passed = (inside + factor * x).detach() > 0
    truth = slope((inside + x) * passed, x)
    assert torch.allclose(slope(block(x), x), truth, atol=1e-5)
    assert not torch.allclose(plain, truth, atol=1e-2)


@pytest.mark.parametrize("factor", [0.0, 0.25, 0.5])
def test_a_restored_dense_block_sends_gradients_to_the_maps_that_it_dropped(factor):
    block, x = plain_block("dense")
    for layer in block.values():
        layer.norm1.running_var.fill_(1 - layer.norm1.eps)
        nn.init.uniform_(layer.norm1.bias, 0.5, 1.0)  # so that what is missing passes the ReLU
    scale_skips(block, factor)
    before, x = block(x), x.requires_grad_()
    plain = slope(block(x)[:, -6:], x)
    restore_gradients(block)
    assert torch.equal(block(x), before)
    maps, alive, missing = x, torch.ones(8, dtype=torch.bool), []
    for layer in block.values():
        missing.append(~alive)
        new = layer([torch.where(alive[:, None, None], maps, maps - maps.detach())])
        alive = alive & (alive.cumsum(0) <= round(factor * int(alive.sum())))
        maps, alive = torch.cat((maps, new), 1), torch.cat((alive, torch.ones(6, dtype=torch.bool)))
    truth = slope(maps[:, -6:], x)
    assert torch.allclose(slope(block(x)[:, -6:], x), truth, atol=1e-5)
    assert not torch.allclose(plain, truth, atol=1e-3)
    for layer, gone in zip(block.values(), missing, strict=True):  # as after training on zeros
        layer.norm1.running_var[gone] = 0
    assert torch.allclose(slope(block(x)[:, -6:], x), truth, atol=1e-4)


@pytest.mark.parametrize("factor", [0.0, 0.25, 0.5, 0.9])
def test_a_dense_block_drops_the_maps_that_the_published_one_drops(factor):
    """The published block has no weights for dropped maps: here theirs are taken out of the layers."""
    block, x = plain_block("dense")
    block.train()  # a batch norm of zeros alone is its own bias, which the next one takes away
    scale_skips(block, factor)
    ours = block(x)
    maps, places = x, list(range(8))
    for layer in block.values():
        norm = nn.BatchNorm2d(len(places))
        norm.load_state_dict(
            {name: value[places] if value.ndim else value for name, value in layer.norm1.state_dict().items()}
        )
        y = nn.functional.conv2d(norm(maps).relu(), layer.conv1.weight[:, places])
        new = layer.conv2(layer.norm2(y).relu())
        first = layer.norm1.num_features
        keep = round(factor * len(places))
        maps, places = torch.cat((maps[:, :keep], new), 1), [*places[:keep], *range(first, first + 6)]
    assert torch.allclose(ours[:, places], maps, atol=1e-4)
    dropped = [place for place in range(ours.shape[1]) if place not in places]
    assert dropped and not ours[:, dropped].any()


def test_a_copy_has_factors_of_its_own():
    for kind in BLOCKS:
        block, x = plain_block(kind)
        scale_skips(block, 0.5)
        copied, read = copy.deepcopy(block), pickle.loads(pickle.dumps(block))
        half = block(x)
        scale_skips(block, 0.0)
        assert not torch.equal(block(x), half), kind
        for other in (copied, read):
            assert torch.equal(other(x), half), kind
        with torch.no_grad():
            for weight in block.parameters():
                weight.zero_()
        assert torch.equal(copied(x), half), kind


SMALLEST = {"facenet112": 112, "inception_v3": 75}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_stated_stage_has_a_skip_and_no_other_stage_has(name):
    """Only names and kinds of blocks are looked at: no weights are made."""
    if name == "resnest101":
        pytest.importorskip("timm")
    with torch.device("meta"):
        classifier = ARCHITECTURES[name].build(2, SMALLEST.get(name, 64))
    stated = [stage for group in classifier.skips for stage in group]
    assert len(set(stated)) == len(stated)
    names = list(classifier.state_dict())
    having = [stage for stage, module in classifier.stages.items() if scale_skips(module, 0.5)]
    assert having == stated
    assert list(classifier.state_dict()) == names
    assert all(
        list(group) == [stage for stage in classifier.stages if stage in group] for group in classifier.skips
    )


GROUPS = {
    "resnet18": [2, 2, 2, 2],
    "resnet152": [3, 8, 36, 3],
    "densenet121": [1, 1, 1, 1],
    "maxvit_t": [2, 2, 5, 2],
    "vit_b_16": [1] * 12,
    "mobilenet_v2": [1, 2, 3, 2, 2],
    "ir152": [3, 8, 36, 3],
}


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_groups_are_those_of_the_published_vectors(name):
    with torch.device("meta"):
        assert [len(group) for group in ARCHITECTURES[name].build(2, 64).skips] == GROUPS[name]


@pytest.mark.parametrize("name", ["small_resnet", "mobilenet_v2", "resnet18", "facenet64", "mobilefacenet"])
def test_without_any_skip_a_network_gives_other_logits_and_gradients_reach_its_image(name):
    torch.manual_seed(0)
    classifier = ARCHITECTURES[name].build(3, 32).eval()
    for module in classifier.modules():  # fresh statistics would leave nothing of MobileNetV2's signal
        module.train(isinstance(module, nn.BatchNorm2d))
    images = torch.rand(4, 3, 32, 32, requires_grad=True)
    before = classifier(images)
    for group in classifier.skips:
        for stage in group:
            scale_skips(classifier.stages[stage], 0.0)
    after = classifier(images)
    assert not torch.equal(before, after)
    assert torch.autograd.grad(after.sum(), images)[0].any()
    for module in classifier.modules():
        if isinstance(module, ScaledShortcut):
            module.factor = 1.0
    if name not in ("mobilenet_v2", "mobilefacenet"):
        assert torch.allclose(classifier(images), before, atol=1e-4)
