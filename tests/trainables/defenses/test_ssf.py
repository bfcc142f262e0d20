"""SSF against what was recorded with the authors' code, and its factor against the formula."""

import dataclasses

import numpy as np
import pytest
import recorded_stages
import torch

from trainables.defenses.rolss import RoLSS
from trainables.defenses.ssf import SSF
from trainables.training.classifier import build_classifier


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_published_factor_gives_the_authors_outputs(mode):
    """All but one: their third group has lost its second skip too, as in every model of theirs."""
    golden = recorded_stages.read()
    assert tuple(golden["k_vector"]) == (1, 1, 1, 0.6)
    outputs = [golden["x"], *(golden[f"{mode}_out_stage{number}"] for number in range(1, 5))]
    classifier = SSF().prepare(recorded_stages.classifier()).train(mode == "train")
    for number in (1, 2, 4):
        found = classifier.run(torch.from_numpy(outputs[number - 1]), number, number + 1)
        assert np.allclose(found.detach(), outputs[number], rtol=0, atol=2e-5), number
    third = classifier.run(torch.from_numpy(outputs[2]), 3, 4).detach()
    assert not np.allclose(third, outputs[3], rtol=0, atol=1e-2)


def test_the_last_block_computes_what_is_published():
    classifier = SSF(factor=0.3).prepare(build_classifier("small_resnet", 3, 32, "none", 0)).eval()
    images = torch.rand(2, 3, 32, 32)
    x = classifier.run(images, 0, 4)
    last = classifier.stages["block4"]
    conv, norm = last.shortcut[0], last.shortcut[1]
    expected = torch.relu(last.path(x) + 0.3 * norm(conv(x)))
    assert torch.allclose(classifier.run(images), expected, atol=1e-6)


def test_its_ends_are_rolss_and_no_defense_and_skips_stand_above_it():
    def bits(defense) -> torch.Tensor:
        network = recorded_stages.classifier()
        x = torch.from_numpy(recorded_stages.read()["x"])
        return (network if defense is None else defense.prepare(network)).run(x, 1)

    assert torch.equal(bits(SSF(factor=0)), bits(RoLSS()))
    assert torch.equal(bits(SSF(factor=1)), bits(None))
    assert torch.equal(bits(SSF(factor=0.3, skips=(1, 1, 1, 1))), bits(None))
    assert not torch.equal(bits(RoLSS()), bits(None))


@pytest.mark.parametrize("factor", [-0.1, 1.1, float("nan")])
def test_impossible_factors(factor):
    with pytest.raises(ValueError, match=f"factor must lie between 0 and 1; got {factor}"):
        dataclasses.replace(SSF(), factor=factor)
