"""The devices that a test runs on: the pretended card always, a real one where there is one."""

import pytest
import torch
from pretend_card import DEVICE as PRETEND

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is here")

every_device = pytest.mark.parametrize(
    "device", [pytest.param(PRETEND), pytest.param("cuda", marks=[pytest.mark.gpu, NO_CARD])]
)
