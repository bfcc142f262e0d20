"""Any classifier of torchvision or timm: same logits, points in execution order, errors that say why."""

import pytest
import torch
from architecture_costs import needs_timm
from torch import nn
from torchvision.models import get_model

from trainables.architectures import freeze_points, get_architecture
from trainables.architectures.library import _network
from trainables.errors import ConfigError
from trainables.pretraining.matching import matched

# timm's efficientnet has batch norms that are subclasses with an activation; regnet builds with tensors.
SMALL = [
    ("torchvision:googlenet", 64),
    ("torchvision:regnet_y_400mf", 32),
    ("torchvision:mobilenet_v3_small", 32),
    ("torchvision:alexnet", 64),
    ("torchvision:swin_t", 64),
    ("timm:efficientnet_lite0", 32),
    ("timm:vit_tiny_patch16_224", 32),
]


@pytest.mark.parametrize(
    ("name", "size"), [pytest.param(name, size, marks=needs_timm(name)) for name, size in SMALL]
)
def test_computes_the_librarys_logits(name, size):
    entry, network = get_architecture(name), _network(name, size).eval()
    ours, saved = entry.build(5, size).eval(), network.state_dict()
    state = matched(name, size, saved, "its own file")  # every weight of the file is known
    ours.stages.load_state_dict(state)
    modules = dict(network.named_modules())
    head = next(modules[key[:-1]] for key in entry.surplus if isinstance(modules.get(key[:-1]), nn.Linear))
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        assert torch.allclose(head(ours.features(images)), network(images), atol=1e-4)
    assert ours.hooks[-1] == "neck" and 3 <= len(ours.hooks) <= 5
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    own = [m for m in ours.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(own) == len(norms) - sum(m in norms for m in _auxiliary(network))


def _auxiliary(network: nn.Module) -> list[nn.Module]:
    heads = [
        network.get_submodule(name) for name in ("aux1", "aux2") if getattr(network, name, None) is not None
    ]
    return [module for head in heads for module in head.modules()]


@pytest.mark.parametrize(("network", "size"), [("googlenet", 64), ("inception_v3", 96)])
def test_published_weights_hold_auxiliary_heads_that_are_left_out(network, size):
    published = get_model(network, weights=None, aux_logits=True, init_weights=False).state_dict()
    state = matched(f"torchvision:{network}", size, published, "the published file")
    stages = get_architecture(f"torchvision:{network}").build(2, size).stages
    stages.load_state_dict(state)
    assert not any("aux" in name.lower() for name in state)


def test_freeze_points_follow_execution_by_block():
    points = freeze_points("torchvision:resnext50_32x4d")
    blocks = [f"layer{n}_{b}" for n, count in enumerate((3, 4, 6, 3), 1) for b in range(count)]
    assert points == ("none", "conv1", *blocks)
    assert freeze_points("torchvision:vgg11_bn")[1:4] == ("features_0", "features_4", "features_8")
    assert freeze_points("torchvision:vit_b_32")[1:3] == ("conv_proj", "encoder_layers_encoder_layer_0")
    assert freeze_points("torchvision:googlenet")[-1] == "inception5b"


def test_the_size_that_a_network_is_made_for_is_the_studys():
    with torch.device("meta"):
        classifier = get_architecture("torchvision:vit_b_32").build(2, 64)
    (positions,) = [p for name, p in classifier.named_parameters() if name.endswith("pos_embedding")]
    assert positions.shape == (1, 5, 768)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "torchvision:resnet19",
            ["a classifier that torchvision has", "resnet19", "did you mean 'resnet18'"],
        ),
        ("torchvision:fcn_resnet50", ["a classifier that torchvision has"]),
        ("torchvision:squeezenet1_0", ["cannot be cut into stages", "not a linear one"]),
        ("keras:resnet50", ["one of vgg16_bn", "torchvision:NAME", "timm:NAME", "got 'keras:resnet50'"]),
        ("resnet19", ["one of vgg16_bn", "torchvision:NAME", "did you mean 'resnet18'"]),
    ],
)
def test_an_unknown_name_or_network_says_what_there_is(name, parts):
    with pytest.raises(ConfigError) as error:
        freeze_points(name)
    for part in parts:
        assert part in str(error.value)


def test_a_size_that_does_not_fit_is_named_with_its_place():
    entry = get_architecture("torchvision:vit_b_32")
    with pytest.raises(ConfigError, match=r"does not take images of 40 pixels \(judge.input_size\)"):
        entry.check_size(40, "judge.input_size")


def test_timm_networks_that_give_several_maps_or_are_unknown():
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=r"selecsls42' cannot be cut.*several tensors"):
        freeze_points("timm:selecsls42")
    with pytest.raises(ConfigError, match=r"a classifier that timm has .* got 'resnetx'"):
        freeze_points("timm:resnetx")


def test_asking_for_the_points_draws_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    get_architecture("torchvision:mnasnet0_5").check_size(48)
    assert torch.equal(torch.rand(3), expected)
