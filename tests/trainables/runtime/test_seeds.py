import hashlib

import pytest
import torch

from trainables.runtime.seeds import derive, row_noise, stream


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


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_a_rows_noise_is_its_own_stream_in_any_company():
    together, alone = row_noise(seeded(5, 6, 7), 4, "cpu"), row_noise(seeded(6), 4, "cpu")
    steps = [(next(together), next(alone)) for _ in range(40)]
    assert all(many.shape == (3, 4) and torch.equal(many[1], one[0]) for many, one in steps)
    drawn = torch.cat([many for many, _ in steps])
    assert len(drawn.unique()) == drawn.numel()  # no step and no row repeats another


def test_noise_is_standard_normal():
    noise = row_noise(seeded(0), 1000, "cpu")
    drawn = torch.cat([next(noise) for _ in range(20)])
    assert abs(drawn.mean().item()) < 5 / 20000**0.5
    assert drawn.std().item() == pytest.approx(1, abs=0.03)
