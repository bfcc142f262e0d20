"""Whether a defense has an effect, against trainings with two settings of it."""

import dataclasses

import pytest
import torch

from trainables.architectures import ARCHITECTURES
from trainables.datasets.base import Images
from trainables.defenses import DEFENSES
from trainables.defenses.bido import BiDO
from trainables.runtime.run import Run
from trainables.training.classifier import Target, build_classifier, train_classifier
from trainables.training.effect import is_active


def trained(architecture, freeze_point, defense, stages=None):
    generator = torch.Generator().manual_seed(0)
    images = Images(
        pixels=torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8, generator=generator),
        labels=torch.arange(4).repeat_interleave(4),
        names=("a", "b", "c", "d"),
        files=tuple(map(str, range(16))),
    )
    recipe = Target(
        architecture=architecture, freeze_point=freeze_point, trained=stages, epochs=1, batch_size=8
    )
    classifier = defense.prepare(build_classifier(architecture, 4, 32, "none", 0))
    train_classifier(classifier, recipe, defense, images, images, run=Run(seed=0))
    return classifier.state_dict()


@pytest.mark.parametrize("architecture", ["small_cnn", "small_resnet", "vgg16_bn"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_bido_is_active_where_its_weights_change_the_target(architecture, place):
    with torch.device("meta"):
        stages = list(ARCHITECTURES[architecture].build(4, 32).stages)
    point = stages[0] if place == "first" else stages[-1]
    weak, strong = (
        trained(architecture, point, BiDO(lambda_x=x, lambda_y=x, images_per_identity=2)) for x in (0.1, 0.4)
    )
    changed = any(not torch.equal(weak[name], strong[name]) for name in weak)
    assert is_active(architecture, 32, point, "bido") == changed


def test_bido_is_inactive_at_the_last_point_of_a_network_whose_neck_has_no_weights():
    with torch.device("meta"):
        last = list(ARCHITECTURES["small_cnn"].build(4, 32).stages)[-1]
    assert not is_active("small_cnn", 32, last, "bido")
    assert is_active("small_cnn", 32, "none", "bido")


def test_bido_is_active_where_any_stage_is_trained_before_a_hook():
    with torch.device("meta"):
        network = ARCHITECTURES["small_cnn"].build(4, 32)
    assert "neck" in network.hooks  # so that every stage lies before a hook
    assert all(is_active("small_cnn", 32, "none", "bido", (name,)) for name in network.stages)
    assert not is_active("small_cnn", 32, "none", "bido", ())


@pytest.mark.parametrize("kind", sorted(set(DEFENSES) - {"bido"}))
def test_other_defenses_are_active_everywhere(kind):
    with torch.device("meta"):
        points = ["none", *ARCHITECTURES["small_resnet"].build(4, 32).stages]
    assert all(is_active("small_resnet", 32, point, kind) for point in points)


@pytest.mark.parametrize("kind", ["rolss", "ssf", "tts"])
def test_a_defense_of_skips_is_inactive_where_there_are_none(kind):
    assert not is_active("small_cnn", 32, "none", kind)


def test_asking_leaves_random_numbers_as_they_are():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    is_active.cache_clear()
    is_active("small_cnn", 32, "none", "bido")
    assert torch.equal(torch.rand(3), expected)


def test_the_term_of_a_hook_without_trained_weights_is_left_out_of_the_loss():
    seen = []

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Watching(BiDO):
        def loss(self, logits, labels, images, trace):
            seen.append(sorted(trace))
            return super().loss(logits, labels, images, trace)

    with torch.device("meta"):
        network = ARCHITECTURES["small_cnn"].build(4, 32)
    last = list(network.stages)[-1]
    trained("small_cnn", last, Watching(images_per_identity=2))
    assert seen and all(names == [] for names in seen)
    seen.clear()
    trained("small_cnn", "none", Watching(images_per_identity=2))
    assert seen[0] == sorted(network.hooks)
    seen.clear()
    middle = list(network.stages)[2]
    trained("small_cnn", "none", Watching(images_per_identity=2), (middle,))
    later = list(network.stages)[2:]
    assert seen[0] == sorted(hook for hook in network.hooks if hook in (*later, "neck"))
    assert 0 < len(seen[0]) < len(network.hooks)
