"""A card in the course of work: kills, parts, a full memory, a whole trial; the pretended card itself."""

import pytest
import torch
from device_checks import in_two_shards, resumed, short_of_memory, whole_trial
from devices import NO_CARD, every_device
from pretend_card import DEVICE, pretend_card

from trainables.runtime.upload import upload


@every_device
def test_a_killed_attack_goes_on(device, tmp_path):
    gap, most = resumed(device, tmp_path)
    assert gap <= most and most > 0


@every_device
def test_two_parts_give_what_one_gives(device, tmp_path):
    gap, most = in_two_shards(device, tmp_path)
    assert gap <= most and most > 0


@every_device
@pytest.mark.parametrize("images", [1, 2, 3])
def test_a_full_memory_halves_the_images_at_once(device, images):
    gap, most, largest = short_of_memory(device, images)
    assert gap <= most and most > 0 and largest <= images


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CARD])])
def test_a_whole_trial(device, tmp_path):
    result = whole_trial(device, tmp_path)
    assert 0 <= result["values"]["attack_accuracy"] <= 1


def test_the_pretended_card_counts_what_waits_and_refuses_what_does_not_meet():
    values = torch.arange(6.0)
    with pretend_card() as card:
        there = upload(values, DEVICE)
        assert there.device.type == DEVICE and not card.waits
        doubled = there * 2 + torch.ones(6, device=DEVICE)
        assert not card.waits
        for wait in (
            lambda: doubled.sum().item(),
            lambda: bool((doubled > 3).all()),
            lambda: doubled[doubled > 3],
            lambda: doubled.nonzero(),
            lambda: doubled.cpu(),
            lambda: doubled.tolist(),
            lambda: values.to(DEVICE),
            lambda: doubled[torch.tensor([0, 1])],
            lambda: doubled.copy_(values),
        ):
            before = sum(card.waits.values())
            wait()
            assert sum(card.waits.values()) > before
        with pytest.raises(RuntimeError, match="on the CPU lie"):
            there + values
    assert torch.equal(doubled.numbers, values)
