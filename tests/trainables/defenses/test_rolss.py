"""RoLSS on the recorded residual stages, against their blocks written out layer by layer."""

import pytest
import recorded_stages
import torch

from trainables.defenses.rolss import RoLSS


@pytest.mark.parametrize(
    ("skips", "factors"),
    [((), (1, 1, 1, 0)), ((0, 1, 0.5, 1), (0, 1, 0.5, 1)), ((0.25, 0, 1, 0.75), (0.25, 0, 1, 0.75))],
)
def test_every_block_of_a_group_loses_its_skip_the_projection_too(skips, factors):
    """Outputs of all stages, and the gradient that an attack gets of them, which is what the skips carry."""
    plain, defended = recorded_stages.classifier(), RoLSS(skips=skips).prepare(recorded_stages.classifier())
    ours = torch.from_numpy(recorded_stages.read()["x"]).requires_grad_()
    y, truth = ours, (theirs := ours.detach().clone().requires_grad_())
    for number, factor in enumerate(factors, 1):
        y = defended.run(y, number, number + 1)
        truth = recorded_stages.scaled_by_hand(plain.stages[f"layer{number}"], truth, factor)
        assert torch.allclose(y, truth, atol=1e-6)
    y.sum().backward()
    truth.sum().backward()
    assert theirs.grad.abs().max() > 1e-3
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
