"""Files in which a network lies beside other things, as training programs save them."""

import pytest
import torch
from torchvision.models import resnet18

from trainables.errors import ConfigError
from trainables.pretraining.matching import matched, network_in
from trainables.storage.weights import without_prefix
from trainables.training.classifier import build_classifier

ONES = torch.ones(4)


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return resnet18(num_classes=4).state_dict()


@pytest.fixture(scope="module")
def ours():
    return build_classifier("small_cnn", 4, 32, "none", 0).state_dict()


def under(prefix, state, **others):
    return without_prefix({**{f"{prefix}{name}": value for name, value in state.items()}, **others})


BESIDE = {
    "nothing": {},
    "the weights of a loss": {"criterion.weight": ONES},
    "losses of a kind of its own": {"train_loss.weight": ONES, "loss_fn.prototypes": torch.ones(4, 512)},
    "metrics": {"val_acc.tp": torch.ones(4, dtype=torch.int64), "metrics.auc.thresholds": ONES},
    "numbers": {"decay": torch.tensor(0.9), "num_updates": torch.tensor(7)},
}


@pytest.mark.parametrize("prefix", ["", "model.", "model._orig_mod.", "module.net."])
@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("naming", ["theirs", "ours"])
def test_a_network_is_found_beside_what_has_no_part_in_it(prefix, beside, naming, request):
    state = request.getfixturevalue(naming)
    found = network_in(
        "resnet18" if naming == "theirs" else "small_cnn", 32, under(prefix, state, **BESIDE[beside]), "f"
    )
    assert found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize("head", ["last_linear", "output", "logits.1", "fc", "fc.1", "classifier.0"])
@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize("outside", [True, False])
def test_a_single_linear_layer_of_any_name_and_place_is_the_head(theirs, head, prefix, outside):
    place = head if outside else prefix + head
    body = {f"{prefix}{k}": v for k, v in theirs.items() if not k.startswith("fc.")}
    state = {**body, f"{place}.weight": theirs["fc.weight"], f"{place}.bias": theirs["fc.bias"]}
    found = network_in("resnet18", 32, without_prefix(state), "f")
    [weight] = [v for k, v in found.items() if k.startswith(("head.", "fc.", "classifier.")) and v.ndim == 2]
    assert weight is theirs["fc.weight"] and len(found) == len(theirs)


def test_two_networks_are_a_choice_that_nobody_made(theirs):
    both = {f"{prefix}{k}": v for prefix in ("model.", "ema_model.") for k, v in theirs.items()}
    with pytest.raises(ConfigError) as raised:
        network_in("resnet18", 32, both, "f")
    text = str(raised.value)
    assert "got 2, under ema_model., model.; save one alone" in text and len(text) < 250


@pytest.mark.parametrize(
    "others",
    [
        {"projector.0.weight": torch.ones(512, 512), "projector.0.bias": torch.ones(512)},
        {"norm.weight": ONES, "norm.bias": ONES},
        {"fc.weight": torch.ones(4, 512), "fc.bias": ONES},
    ],
)
def test_other_layers_beside_a_network_may_have_a_part_in_it(theirs, others):
    """A head of the network's own: what else is learnt may stand between the two, or instead."""
    with pytest.raises(ConfigError) as raised:
        network_in("resnet18", 32, {**{f"model.{k}": v for k, v in theirs.items()}, **others}, "f")
    text = str(raised.value)
    assert all(name in text for name in others) and "conv1" not in text and len(text) < 250


def test_layers_within_a_network_are_none_of_it(theirs):
    deeper = {**theirs, "layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)}
    with pytest.raises(ConfigError, match=r"surplus: layer1.2.conv1.weight"):
        matched("resnet18", 32, deeper, "f")


def test_what_is_something_else_comes_back_as_it_was(ours):
    assert network_in("resnet18", 32, ours, "f") == ours
