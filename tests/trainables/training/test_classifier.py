"""Training: the authors' freezing runs step by step, and what the loop promises."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import trainables.training.frozen_prefix
from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.defenses.bido import BiDO
from trainables.defenses.mid import MID
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError, TrialError
from trainables.runtime.progress import silent
from trainables.runtime.run import Run
from trainables.training.classifier import (
    Target,
    accuracy,
    accuracy_per_identity,
    build_classifier,
    hits,
    make_optimizer,
    train_classifier,
)
from trainables.training.freeze import freeze, training_mode

GOLDEN = Path(__file__).parents[2] / "golden"
RECIPE = Target(
    architecture="small_cnn",
    epochs=3,
    batch_size=16,
    learning_rate=0.02,
    augmentation="none",
    normalization="half",
)


def images(per_identity: int = 8, identities: int = 4, seed: int = 0) -> Images:
    """Return easy images: each identity has its own colour, under noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(identities).repeat_interleave(per_identity)
    colours = torch.linspace(40, 180, identities)[labels].view(-1, 1, 1, 1) * torch.tensor(
        [1.0, 0.5, 0.8]
    ).view(1, 3, 1, 1)
    pixels = colours + 60 * torch.rand(len(labels), 3, 32, 32, generator=g)
    names = tuple(f"p{number}" for number in range(identities))
    return Images(
        pixels=pixels.to(torch.uint8), labels=labels, names=names, files=tuple(map(str, range(len(labels))))
    )


def fit(recipe=RECIPE, defense=None, *, seed=0, train=None, report=silent):
    """Return a freshly trained classifier and how its training went."""
    defense = defense or NoDefense()
    classifier = defense.prepare(build_classifier("small_cnn", 4, 32, recipe.normalization, seed=1))
    data = train or images()
    trained = train_classifier(
        classifier, recipe, defense, data, images(seed=9), run=Run(seed=seed, report=report)
    )
    return classifier, trained


def recorded_network(golden: dict[str, torch.Tensor]) -> Classifier:
    """Return the recorded net, one stage per child, so that it can be cut where the authors cut."""
    stages: dict[str, nn.Module] = {}
    for child in range(11):
        weight = golden.get(f"init__feature__{child}__weight")
        if weight is None:
            layer: nn.Module = nn.MaxPool2d(2) if child in (6, 10) else nn.ReLU()
        elif weight.ndim == 4:
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        else:
            layer = nn.BatchNorm2d(len(weight))
        stages[f"child{child}"] = layer
    norm = nn.BatchNorm1d(len(golden["init__bn__weight"]))
    norm.bias.requires_grad_(False)
    head = nn.Linear(*reversed(golden["init__fc_layer__weight"].shape))
    classifier = Classifier(stages, nn.Sequential(nn.Flatten(), norm), head)
    classifier.load_state_dict({**classifier.state_dict(), **recorded_state(golden, "init")})
    return classifier


def recorded_state(golden: dict[str, torch.Tensor], moment: str) -> dict[str, torch.Tensor]:
    """Return the state recorded at `moment` under our names."""
    ours = {"feature": "stages.child", "bn": "neck.1.", "fc_layer": "head."}
    state = {}
    for key, value in golden.items():
        when, *parts = key.split("__")
        if when != moment:
            continue
        place = ours[parts[0]] + (f"{parts[1]}." if parts[0] == "feature" else "")
        state[place + parts[-1]] = value
    return state


@pytest.mark.parametrize("batchnorm", ["train", "eval"])
def test_authors_frozen_training_step_by_step(batchnorm):
    with np.load(GOLDEN / f"11_tldmi_{batchnorm}_stats_a.npz") as arrays:
        golden = {
            name: torch.from_numpy(np.asarray(arrays[name]))
            for name in arrays.files
            if name != "frozen_param_names"
        }
        frozen_names = set(arrays["frozen_param_names"].tolist())
    classifier = recorded_network(golden)
    point = f"child{int(golden['freeze_layers'])}"  # the authors' index is that of the last frozen child
    frozen = freeze(classifier, point, batchnorm)
    held = {name for name, weight in classifier.named_parameters() if not weight.requires_grad}
    assert len(held) == len(frozen_names)
    recipe = Target(
        architecture="recorded",
        learning_rate=golden["lr"].item(),
        momentum=golden["momentum"].item(),
        weight_decay=golden["weight_decay"].item(),
    )
    training = Training(
        classifier=classifier,
        optimizer=make_optimizer(classifier, recipe),
        frozen=frozen,
        epochs=1,
        images=images(),
        seed=0,
    )
    rule = NoDefense().begin(training)
    for step, (x, y) in enumerate(zip(golden["x"], golden["y"], strict=True)):
        training_mode(classifier, list(classifier.stages)[:frozen], batchnorm)
        with torch.no_grad():
            inputs = classifier.run(x, 0, frozen)
        loss, _ = rule.step(Batch(index=torch.arange(len(y)), images=x, labels=y, inputs=inputs), 1)
        assert loss.item() == pytest.approx(golden["losses"][step].item(), abs=1e-4)
        if step in (0, 4):
            state = classifier.state_dict()
            for name, expected in recorded_state(golden, f"after{step + 1}").items():
                assert torch.allclose(state[name], expected, rtol=1e-4, atol=1e-4), name


@pytest.mark.parametrize("augmentation", ["none", "flip"])
def test_kept_prefix_trains_like_a_recomputed_one(augmentation, monkeypatch):
    recipe = dataclasses.replace(RECIPE, freeze_point="conv3", augmentation=augmentation)
    kept, one = fit(recipe)
    monkeypatch.setattr(trainables.training.frozen_prefix, "KEPT_BYTES", {})
    recomputed, two = fit(recipe)
    for a, b in zip(one.history, two.history, strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    for key, value in kept.state_dict().items():
        assert torch.allclose(value, recomputed.state_dict()[key], rtol=1e-3, atol=1e-4), key


def test_prefix_does_not_see_private_images_under_eval_and_does_under_train():
    for batchnorm in ("eval", "train"):
        recipe = dataclasses.replace(RECIPE, freeze_point="conv3", frozen_batchnorm=batchnorm)
        before = build_classifier("small_cnn", 4, 32, "half", seed=1).stages["conv2"][1].running_mean
        after = fit(recipe)[0].stages["conv2"][1].running_mean
        assert torch.equal(before, after) == (batchnorm == "eval")


@pytest.mark.parametrize("batchnorm", ["eval", "train"])
def test_only_the_named_stages_are_trained_whatever_lies_around_them(batchnorm):
    recipe = dataclasses.replace(RECIPE, trained=("conv2", "conv4"), frozen_batchnorm=batchnorm)
    before = build_classifier("small_cnn", 4, 32, "half", seed=1).state_dict()
    classifier, _ = fit(recipe)
    moved = {name for name, value in classifier.state_dict().items() if not torch.equal(value, before[name])}
    of_stages = {name.split(".")[1] for name in moved if name.startswith("stages.") and "num_" not in name}
    weights = {name.split(".")[1] for name in moved if name.startswith("stages.") and "weight" in name}
    assert weights == {"conv2", "conv4"} and "head.weight" in moved
    assert of_stages == (weights if batchnorm == "eval" else set(classifier.stages))


def test_naming_the_last_stages_trains_as_the_freeze_point_before_them_does():
    one, _ = fit(dataclasses.replace(RECIPE, trained=("conv4", "conv5", "conv6")))
    two, _ = fit(dataclasses.replace(RECIPE, freeze_point="conv3"))
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def test_frozen_stages_after_a_trained_one_cost_no_gradients_of_weights_and_those_before_it_no_graph():
    seen = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Watching(NoDefense):
        def begin(self, training):
            rule = super().begin(training)
            for name, stage in training.classifier.stages.items():
                stage.register_forward_hook(
                    lambda _, __, output, name=name: seen.append((name, output.requires_grad))
                )
            return rule

    recipe = dataclasses.replace(RECIPE, trained=("conv3",))
    classifier, _ = fit(recipe, Watching())
    in_training = [(name, graph) for name, graph in seen if graph]
    assert {name for name, _ in in_training} == {"conv3", "conv4", "conv5", "conv6"}
    steps = len(in_training) // 4
    assert sum(name == "conv1" for name, _ in seen) < steps  # kept: computed when training begins alone
    with_gradient = {
        name
        for name, stage in classifier.stages.items()
        if any(weight.grad is not None for weight in stage.parameters())
    }
    assert with_gradient == {"conv3"}


def test_a_trained_set_excludes_a_freeze_point_and_unfrozen_drops_both():
    with pytest.raises(ValueError, match=r"freeze_point must be 'none' beside trained.*got 'conv1' and \['c"):
        Target(architecture="small_cnn", freeze_point="conv1", trained=("conv2",))
    part = Target(architecture="small_cnn", trained=("conv2",), epochs=7)
    assert part.frozen == "all but conv2"
    assert part.unfrozen() == Target(architecture="small_cnn", epochs=7)
    assert Target(architecture="small_cnn", freeze_point="conv2").unfrozen().frozen == "none"


@pytest.mark.parametrize("defense", [NoDefense(), BiDO(lambda_x=0.01, lambda_y=0.05), MID(bottleneck=16)])
def test_same_seed_same_weights_other_seed_others(defense):
    recipe = dataclasses.replace(RECIPE, epochs=1, augmentation="crop_flip")
    first, again, other = (fit(recipe, defense, seed=seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stages.conv1.0.weight"], other["stages.conv1.0.weight"])


def test_best_epoch_is_kept_and_reported():
    calls = []
    recipe = dataclasses.replace(RECIPE, epochs=6)
    report = lambda *args, **metrics: calls.append((*args, metrics))  # noqa: E731
    classifier, trained = fit(recipe, train=images(per_identity=40), report=report)
    reached = [row["validation_accuracy"] for row in trained.history]
    assert trained.best_epoch == 1 + reached.index(max(reached))
    assert trained.validation_accuracy == max(reached) > 0.9
    assert accuracy(classifier, images(seed=9), device="cpu") == max(reached)
    assert not classifier.training
    assert [call[:3] for call in calls] == [("target", epoch, 6) for epoch in range(1, 7)]
    assert set(calls[0][3]) == {"loss", "train_accuracy", "validation_accuracy"}


def test_a_long_epoch_is_told_of_while_it_lasts(monkeypatch):
    calls, clock = [], itertools.count(step=3.0)  # every second look is more than five seconds later
    recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=8)
    quiet, _ = fit(recipe)
    monkeypatch.setattr("trainables.training.classifier.monotonic", lambda: next(clock))
    told, _ = fit(recipe, report=lambda *args, **metrics: calls.append((*args, bool(metrics))))
    assert all(torch.equal(told.state_dict()[name], value) for name, value in quiet.state_dict().items())
    shares = [done / total for _, done, total, _ in calls]
    assert shares == sorted(set(shares)) and shares[-1] == 1
    assert [share for share, call in zip(shares, calls, strict=True) if call[3]] == [0.5, 1.0]
    assert any(share < 0.5 for share in shares) and any(0.5 < share < 1 for share in shares)


def test_accuracy_of_a_noisy_head_is_the_same_for_every_call_and_batch_size():
    classifier, _ = fit(defense=MID(bottleneck=16))
    values = {accuracy(classifier, images(), device="cpu", batch_size=size) for size in (3, 5, 256, 256)}
    assert len(values) == 1


@pytest.mark.parametrize("defense", [NoDefense(), BiDO(lambda_x=0, lambda_y=0)])
@pytest.mark.parametrize(("per_identity", "expected"), [(8, 1.0), (10, 32 / 40)])
def test_the_share_of_images_that_an_epoch_shows_is_recorded(defense, per_identity, expected):
    """Batches of 16 of 4 people: all of 32 images, 32 of 40."""
    recipe = dataclasses.replace(RECIPE, epochs=2)
    _, trained = fit(recipe, defense, train=images(per_identity=per_identity))
    assert trained.images_seen == pytest.approx(expected, abs=0.05)
    assert trained.images_seen <= expected


@pytest.mark.parametrize("each", [1, 2, 4])
def test_an_epoch_has_as_many_steps_whatever_the_sampler(each, monkeypatch):
    sizes = torch.tensor([90, 20, 5, 3])
    data = images(per_identity=90)
    unbalanced = data.select(torch.cat([90 * i + torch.arange(int(n)) for i, n in enumerate(sizes)]))
    steps = []
    begin = NoDefense.begin

    def counted(self, training):
        rule = begin(self, training)
        step = rule.step
        rule.step = lambda batch, epoch: steps.append(len(batch.labels)) or step(batch, epoch)
        return rule

    monkeypatch.setattr(NoDefense, "begin", counted)
    recipe = dataclasses.replace(RECIPE, epochs=1)
    fit(recipe, train=unbalanced)
    monkeypatch.setattr(NoDefense, "images_per_identity", each)
    plain = list(steps)
    fit(recipe, train=unbalanced)
    assert steps[len(plain) :] == plain == [16] * 7


def test_accuracy_per_identity_counts_every_person_once():
    labels = torch.tensor([0] * 8 + [1] * 2 + [3])
    right = torch.tensor([True] * 8 + [True, False] + [False])
    assert accuracy_per_identity(right, labels) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert right.double().mean().item() == pytest.approx(9 / 11)


def test_hits_are_those_that_accuracy_counts():
    classifier, _ = fit()
    data = images(seed=3)
    with torch.no_grad():
        expected = classifier(data.pixels.float() / 255).argmax(1) == data.labels
    right = hits(classifier, data, device="cpu", batch_size=5)
    assert torch.equal(right, expected)
    assert accuracy(classifier, data, device="cpu") == expected.double().mean().item()


def test_infinite_loss_is_a_failed_trial():
    with pytest.raises(TrialError, match="not finite in epoch 1 of 3"):
        fit(dataclasses.replace(RECIPE, learning_rate=1e30))


def test_nothing_to_validate_on():
    data = images()
    with pytest.raises(ConfigError, match="validation"):
        train_classifier(
            build_classifier("small_cnn", 4, 32, "none", 0),
            RECIPE,
            NoDefense(),
            data,
            data.select(torch.arange(0)),
            run=Run(seed=0),
        )


def test_optimiser_holds_trained_weights_alone():
    classifier = build_classifier("small_cnn", 4, 32, "none", 0)
    freeze(classifier, "conv5")
    for kind in ("sgd", "adam"):
        held = make_optimizer(classifier, dataclasses.replace(RECIPE, optimizer=kind)).param_groups[0][
            "params"
        ]
        assert {id(p) for p in held} == {id(p) for p in classifier.parameters() if p.requires_grad}


@pytest.mark.parametrize("nesterov", [False, True])
def test_two_steps_of_momentum(nesterov):
    """The gradient of w**2 / 2 is w; Nesterov steps along gradient + momentum * velocity."""
    network = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(network.weight, 1.0)
    recipe = Target(architecture="x", learning_rate=0.1, momentum=0.9, weight_decay=0.0, nesterov=nesterov)
    optimizer = make_optimizer(network, recipe)
    weight, velocity = 1.0, 0.0
    for _ in range(2):
        optimizer.zero_grad()
        (network.weight**2 / 2).sum().backward()
        optimizer.step()
        gradient = weight
        velocity = 0.9 * velocity + gradient
        weight -= 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
    assert network.weight.item() == pytest.approx(weight, rel=1e-12)


def test_normalization_is_part_of_the_network():
    plain, half, imagenet = (
        build_classifier("small_cnn", 4, 32, name, 0) for name in ("none", "half", "imagenet")
    )
    x = torch.rand(2, 3, 32, 32)
    moved = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    assert torch.allclose(half.eval()(x), plain.eval()(2 * x - 1), atol=1e-5)
    assert torch.allclose(imagenet.eval()(x), plain(moved), atol=1e-5)


def test_unknown_architecture_names_the_valid_ones():
    with pytest.raises(ConfigError, match=r"small_cnn.*got 'vgg17'"):
        build_classifier("vgg17", 4, 32, "none", 0)


@pytest.mark.parametrize(
    "knobs",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"learning_rate": 0},
        {"momentum": -1},
        {"kept_epoch": 0},
        {"kept_epoch": 4, "epochs": 3},
    ],
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Target(architecture="small_cnn", **knobs)


def test_a_kept_epoch_ends_there_whatever_the_validation_says():
    recipe = dataclasses.replace(RECIPE, epochs=4, learning_rate=0.05, schedule="cosine")
    reports = []
    train = images(seed=3)
    shuffled = dataclasses.replace(train, labels=train.labels[torch.randperm(len(train))])  # nothing to learn

    def kept(epoch):
        classifier = build_classifier("small_cnn", 4, 32, recipe.normalization, seed=1)
        trained = train_classifier(
            classifier,
            recipe,
            NoDefense(),
            shuffled,
            images(seed=9),
            run=Run(seed=0, report=lambda *report, **_: reports.append(report)),
            kept_epoch=epoch,
        )
        return classifier.state_dict(), trained

    chosen, best = kept(None)
    again, stopped = kept(best.best_epoch)
    assert all(
        torch.equal(chosen[name], again[name]) for name in chosen
    )  # the beginning of the same training
    assert stopped.history == best.history[: best.best_epoch]
    _, last = kept(4)
    assert last.best_epoch == 4 and last.validation_accuracy == last.history[-1]["validation_accuracy"]
    assert last.history == best.history
    states = [kept(epoch)[0]["head.weight"] for epoch in (1, 2, 3, 4)]
    assert len({tuple(state.flatten().tolist()) for state in states}) == 4
    reports.clear()
    kept(2)
    assert [report[1:] for report in reports] == [(1, 2), (2, 2)]
    named = dataclasses.replace(recipe, kept_epoch=2)  # the recipe's own, unless the caller names another
    for asked, history in ((None, 2), (3, 3)):
        classifier = build_classifier("small_cnn", 4, 32, recipe.normalization, seed=1)
        options = {"run": Run(seed=0), "kept_epoch": asked}
        own = train_classifier(classifier, named, NoDefense(), shuffled, images(seed=9), **options)
        assert own.best_epoch == len(own.history) == history
        assert torch.equal(classifier.state_dict()["head.weight"], states[history - 1])


def test_divergence_says_what_to_do():
    with pytest.raises(
        TrialError, match=r"not finite in epoch 1 of 3 .*take a lower learning rate, or lower"
    ):
        fit(dataclasses.replace(RECIPE, learning_rate=1e30))


def test_adamw_decays_weights_beside_the_gradients():
    recipe = dataclasses.replace(RECIPE, optimizer="adamw", weight_decay=0.3, learning_rate=0.01)
    weight = nn.Linear(2, 1, bias=False)
    before = weight.weight.detach().clone()
    optimizer = make_optimizer(weight, recipe)
    weight.weight.grad = torch.tensor([[1.0, -2.0]])
    optimizer.step()
    expected = before * (1 - 0.01 * 0.3) - 0.01 * torch.tensor([[1.0, -1.0]])  # a first step is the sign
    torch.testing.assert_close(weight.weight.detach(), expected)


def test_dropout_is_drawn_from_the_seed_of_the_run_alone():
    def trained(elsewhere: int, seed: int) -> torch.Tensor:
        classifier = build_classifier("small_cnn", 4, 32, "half", seed=1)
        classifier.neck.append(nn.Dropout(0.5))
        torch.manual_seed(elsewhere)  # what other work drew before
        train_classifier(classifier, RECIPE, NoDefense(), images(), images(seed=1), run=Run(seed=seed))
        return classifier.head.weight

    assert torch.equal(trained(1, 0), trained(2, 0))
    assert not torch.equal(trained(1, 0), trained(1, 3))


def test_a_size_that_the_architecture_does_not_take_is_an_error_before_it_is_built():
    with pytest.raises(ConfigError, match=r"inception_v3 expects images of at least 75 pixels; got 32"):
        build_classifier("inception_v3", 2, 32, "none", 0)
