"""Every attack, prior and training on a card: the CPU's results, no waiting in loops, memory given back."""

import pytest
from device_checks import ASKS_PER_STEP, CASES, EXACT, ROUNDED, compare, memory_left, waits_per_step
from devices import NO_CARD, every_device


@every_device
@pytest.mark.parametrize("name", CASES)
def test_gives_what_the_cpu_gives(name, device):
    case, other = CASES[name]
    share = EXACT if device == "card" else ROUNDED
    gap, most = compare(case, device, others=other("cpu", 1), share=share)
    assert gap <= most and most > 0


@every_device
@pytest.mark.parametrize("name", CASES)
def test_no_step_waits_for_the_device(name, device):
    if name.removeprefix("attack ") in ASKS_PER_STEP:
        return
    assert waits_per_step(CASES[name][0], device) == {}


@pytest.mark.gpu
@NO_CARD
@pytest.mark.parametrize("name", CASES)
def test_leaves_no_memory_behind(name):
    assert memory_left(CASES[name][0], "cuda") <= 0
