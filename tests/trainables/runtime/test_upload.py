"""Numbers on their way to a device: the same ones, and nobody waits who need not."""

import pytest
import torch
from pretend_card import DEVICE, pretend_card

from trainables.runtime.upload import upload


class Asked:
    """Stands in for a tensor on `device`; keeps what is asked of it."""

    def __init__(self, device: str) -> None:
        self.device, self.requests = torch.device(device), []

    def pin_memory(self):
        self.requests.append("pin")
        return self

    def to(self, device, non_blocking=False):
        self.requests.append((str(device), "goes on" if non_blocking else "waits"))
        return self


def test_an_upload_is_the_same_numbers_and_on_the_cpu_the_same_tensor():
    values = torch.randn(3, 4)
    assert upload(values, "cpu") is values
    with pretend_card():
        assert torch.equal(upload(values.T, DEVICE).numbers, values.T)


@pytest.mark.parametrize("named", [str, torch.device])
@pytest.mark.parametrize(
    ("origin", "device", "requests"),
    [
        ("cpu", "cuda:1", ["pin", ("cuda:1", "goes on")]),
        ("cpu", "mps", [("mps", "goes on")]),
        ("cuda:0", "cpu", [("cpu", "waits")]),
        ("cuda:0", "cuda:1", [("cuda:1", "waits")]),
    ],
)
def test_only_what_leaves_the_cpu_goes_on_its_way_while_others_work(origin, device, requests, named):
    """Pinned memory is CUDA's. What comes back to the CPU is read at once, so it must have come."""
    values = Asked(origin)
    assert upload(values, named(device)) is values
    assert values.requests == requests


def test_each_step_of_a_loop_is_given_its_own_numbers_and_none_waits():
    with pretend_card() as card:
        sums = torch.zeros(2, device=DEVICE)
        for step in range(4):
            values = torch.tensor([step, 10.0 * step])
            sums = sums + upload(values, DEVICE)
            values.fill_(float("nan"))  # its memory may be used again
        assert not card.waits
    assert sums.numbers.tolist() == [6, 60]
