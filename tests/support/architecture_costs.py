"""Which architectures every run of the tests trains, and which only ``-m slow`` does."""

import importlib.util

import pytest

from trainables.architectures import ARCHITECTURES, get_architecture

# Deeper networks of a file whose other networks are trained.
SIBLINGS = {"resnet34", "resnet50", "resnet101", "resnet152", "ir152", "facenet112"}
# Networks of a file of their own that take long: trained once, with frozen stages.
HEAVY = {"vmi_resnet34", "facenet64", "densenet121", "inception_v3", "maxvit_t", "vit_b_16", "resnest101"}
LIBRARY = ("torchvision:shufflenet_v2_x0_5", "timm:resnet10t")

NAMES = (*sorted(ARCHITECTURES), *LIBRARY)


def needs_timm(name: str) -> pytest.MarkDecorator:
    """Return the mark that skips a test of a timm network where timm is not installed."""
    absent = importlib.util.find_spec("timm") is None and (name.startswith("timm:") or name == "resnest101")
    return pytest.mark.skipif(absent, reason="timm, the extra timm, is not installed")


def each(*left_to_slow: set[str]) -> list:
    """Return every architecture as a parameter, those of `left_to_slow` marked slow."""
    slow = set().union(*left_to_slow)
    return [
        pytest.param(name, marks=[needs_timm(name), *([pytest.mark.slow] if name in slow else [])])
        for name in NAMES
    ]


def smallest_size(name: str) -> int:
    """Return the smallest image size, from 32, that the architecture takes."""
    return next(size for size in (32, 64, 75, 112) if fits(name, size))


def fits(name: str, size: int) -> bool:
    """Return whether the architecture takes images of `size` pixels."""
    try:
        get_architecture(name).check_size(size)
    except ValueError:
        return False
    return True
