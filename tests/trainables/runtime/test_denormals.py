import pytest
import torch

from trainables.runtime.denormals import denormals_are_zero, denormals_as_zero


@pytest.mark.parametrize("before", [False, True])
def test_the_thread_is_afterwards_as_it_was(before):
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot take denormal numbers for zero")
    try:
        torch.set_flush_denormal(before)
        with pytest.raises(KeyError), denormals_as_zero():
            assert denormals_are_zero() and (torch.tensor(1e-40) * 1.0).item() == 0.0
            torch.set_flush_denormal(not before)
            raise KeyError
        assert denormals_are_zero() == before
    finally:
        torch.set_flush_denormal(False)
