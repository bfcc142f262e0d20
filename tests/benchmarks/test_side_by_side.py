"""Checks of the benchmarks fail where they should: on other results, and where they could see nothing."""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch


def script(name: str) -> ModuleType:
    """Return a benchmark as a module, without its folder on the path: other scripts have common names."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verify = script("side_by_side").verify
attack_throughput, ppa_throughput = script("attack_throughput"), script("ppa_throughput")

OPTIONS = argparse.Namespace(
    device="cpu",
    architecture="small_cnn",
    image_size=32,
    width=4,
    widest=8,
    identities=4,
    students=["small_cnn"],
    restarts=2,
    starts=2,
    iterations=3,
    repeats=1,
    batch_size=None,
)


@pytest.mark.parametrize("name", attack_throughput.LOOPS)
def test_both_loops_of_an_attack_agree_on_a_target_that_they_hear(name):
    assert "without the target" in attack_throughput.check(name, OPTIONS)


def test_both_loops_of_ppa_agree_on_a_target_that_they_hear():
    assert "without the target" in ppa_throughput.check(OPTIONS)


@pytest.mark.parametrize("name", attack_throughput.LOOPS)
def test_leaving_the_target_out_fails_the_check(name, monkeypatch):
    loops_of = attack_throughput.loops_of

    def deaf(*arguments):
        loops, images = loops_of(*arguments)
        return loops | {"ours": loops["deaf"]}, images

    monkeypatch.setattr(attack_throughput, "loops_of", deaf)
    with pytest.raises(SystemExit, match="the results differ"):
        attack_throughput.check(name, OPTIONS)


@pytest.mark.parametrize("name", attack_throughput.LOOPS)
def test_a_target_that_says_nothing_fails_the_check(name, monkeypatch):
    """As random batch norm statistics do: the benchmark once compared attacks on constant logits."""

    def mute(classifier, images):
        torch.nn.init.zeros_(classifier.head.weight)
        return classifier.eval()

    monkeypatch.setattr(attack_throughput, "hearing", mute)
    with pytest.raises(SystemExit, match="left the target out"):
        attack_throughput.check(name, OPTIONS)


def test_latents_that_stand_still_fail_the_check():
    same = torch.ones(3)
    results = {"published": same, "ours": same, "start": same + 1e-7, "deaf": same + 1}
    with pytest.raises(SystemExit, match="stood still"):
        verify(results, 1e-8)
    assert "1.0e+00 off" in verify(results | {"start": same + 1}, 1e-8)


def test_what_is_no_number_fails_the_check():
    same = torch.ones(3)
    results = {"published": same * float("nan"), "ours": same, "start": same + 1, "deaf": same + 1}
    with pytest.raises(SystemExit, match="differ"):
        verify(results, 1e-8)
