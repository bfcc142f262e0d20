import hashlib

import torch

from trainables.runtime.seeds import derive, stream


def test_derive_is_the_head_of_a_digest() -> None:
    digest = hashlib.sha256(b"3/prior/2").digest()
    assert derive(3, "prior", 2) == int.from_bytes(digest[:8], "big") // 2


def test_streams_are_reproducible_and_apart() -> None:
    first = torch.randn(5, generator=stream(0, "a"))
    assert torch.equal(first, torch.randn(5, generator=stream(0, "a")))
    assert not torch.equal(first, torch.randn(5, generator=stream(0, "b")))
    assert not torch.equal(first, torch.randn(5, generator=stream(1, "a")))


def test_streams_leave_the_global_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    torch.rand(10, generator=stream(0, "x"))
    assert torch.equal(torch.rand(1), expected)
