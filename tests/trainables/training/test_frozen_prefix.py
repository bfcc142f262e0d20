"""The frozen stages' outputs: kept where they cannot vary, computed where they can, never in the graph."""

import pytest
import torch

import trainables.training.frozen_prefix
from trainables.architectures.small_cnn import build
from trainables.datasets.base import as_float
from trainables.training.batches import BatchAugmentation, no_augmentation
from trainables.training.freeze import freeze
from trainables.training.frozen_prefix import Prefix, resident

PIXELS = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MIRRORED = BatchAugmentation(torch.tensor([True, False, True]), torch.zeros(3, 2, dtype=torch.int64))
INDEX = torch.tensor([7, 2, 0])


def prefix(frozen: int, keep: int, batchnorm: str = "eval") -> Prefix:
    classifier = build(4, 32)
    freeze(classifier, classifier.freeze_points[frozen], batchnorm)
    return Prefix(classifier, frozen, PIXELS, keep=keep, batchnorm=batchnorm)


def expected_images() -> torch.Tensor:
    images = as_float(PIXELS[INDEX])
    return torch.where(MIRRORED.flips.view(-1, 1, 1, 1), images.flip(-1), images)


@pytest.mark.parametrize("keep", [0, 2])
@pytest.mark.parametrize("frozen", [0, 1, 3, 6])
def test_gives_images_and_stage_inputs(frozen, keep):
    made = prefix(frozen, keep)
    images, inputs = made(INDEX, MIRRORED)
    assert torch.equal(images, expected_images())
    with torch.no_grad():
        expected = made.classifier.run(images, 0, frozen) if frozen else images
    assert torch.allclose(inputs, expected, atol=1e-5)
    assert not inputs.requires_grad
    assert (made.stored is not None) == bool(frozen and keep)


def test_kept_outputs_cost_no_forward():
    made = prefix(3, 1)
    made.classifier.stages["conv1"].register_forward_hook(lambda *_: pytest.fail("the prefix ran again"))
    made(INDEX, no_augmentation(3))


def test_statistics_that_move_are_never_kept():
    made = prefix(3, 1, "train")
    assert made.stored is None
    before = made.classifier.stages["conv1"][1].running_mean.clone()
    made(INDEX, no_augmentation(3))
    assert not torch.equal(before, made.classifier.stages["conv1"][1].running_mean)


def test_memory_is_bounded(monkeypatch):
    one = 64 * 8 * 8 * 4  # bytes of one output of conv3 at 32 pixels
    monkeypatch.setattr(trainables.training.frozen_prefix, "KEPT_BYTES", {"cpu": one * len(PIXELS)})
    assert prefix(3, 1).stored is not None
    assert prefix(3, 2).stored is None


@pytest.mark.parametrize(("frozen", "keep", "seen"), [(3, 2, 0), (3, 0, 3), (0, 2, 3)])
def test_images_that_nobody_looks_at_are_not_made_where_the_input_is_stored(frozen, keep, seen):
    made = prefix(frozen, keep)
    images, inputs = made(INDEX, MIRRORED, look=False)
    assert images.shape == (seen, 3, 32, 32)
    assert torch.equal(inputs, made(INDEX, MIRRORED)[1])


def test_a_set_that_is_too_large_for_the_device_stays_where_it_is(monkeypatch):
    device = torch.device("meta")
    assert resident(PIXELS, device).device == device
    monkeypatch.setattr(trainables.training.frozen_prefix, "RESIDENT_BYTES", PIXELS.nbytes - 1)
    assert resident(PIXELS, device) is PIXELS
