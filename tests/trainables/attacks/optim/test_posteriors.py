"""Divergences of the families against closed forms, and where each of them starts."""

import pytest
import torch

from trainables.attacks.optim.posteriors import Flow, Gaussian, Mixture


def test_gaussian_divergence_on_a_hand_computed_case():
    parameters = {
        "m": torch.tensor([[[0.5, -1.0]]]).double(),
        "L": torch.tensor([[[[1.0, 0.0], [1.0, 2.0]]]]).double(),
    }
    closed = Gaussian().divergence(parameters, {"kl": torch.empty(1, 1, 0, 2).double()})
    assert closed.item() == pytest.approx(2.93185282, abs=1e-8)  # the divergence plus Z / 2
    z = torch.randn(1, 1, 200_000, 2, generator=torch.Generator().manual_seed(0)).double()
    drawn = Gaussian().divergence(parameters, {"kl": z})
    assert drawn.item() == pytest.approx(2.93185282, abs=0.05)


def test_mixture_of_equal_components_is_one_gaussian():
    factor, m = torch.tensor([[1.0, 0.0], [0.5, 0.7]]).double(), torch.tensor([0.3, -0.2]).double()
    parameters = {
        "m": m.repeat(1, 1, 3, 1),
        "L": factor.repeat(1, 1, 3, 1, 1),
        "logits": torch.randn(1, 1, 3).double(),
    }
    z = torch.randn(1, 1, 500, 2, generator=torch.Generator().manual_seed(0)).double()
    got = Mixture(3).divergence(parameters, {"kl": z, "kl_gumbel": torch.randn(1, 1, 500, 3).double()})
    s = m + z[0, 0] @ factor.T
    q = torch.distributions.MultivariateNormal(m, scale_tril=factor)
    p = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    expected = (q.log_prob(s) - p.log_prob(s)).mean() - torch.tensor(3.0).double().log()
    assert got.item() == pytest.approx(expected.item(), abs=1e-9)


def test_flow_knows_its_change_of_volume():
    family = Flow(3, 5, 0)
    parameters = family.initial([torch.Generator().manual_seed(0)], 2, 5)
    generator = torch.Generator().manual_seed(1)
    parameters = {
        name: (value + 0.3 * torch.randn(value.shape, generator=generator)).double()
        for name, value in parameters.items()
    }
    z = torch.randn(1, 2, 4, 5, generator=generator).double()
    log_slopes = []
    for layer in range(2):
        for point in z[0, layer]:

            def at(x, layer=layer):
                everywhere = x.reshape(1, 1, 1, 5).expand(1, 2, 1, 5)
                return family._through(parameters, everywhere)[0][0, layer, 0]

            jacobian = torch.autograd.functional.jacobian(at, point)
            log_slopes.append(torch.linalg.slogdet(jacobian).logabsdet)
    s, _ = family._through(parameters, z)
    log_q = -0.5 * z.square().sum(3).flatten() - torch.stack(log_slopes)  # both without the same constant
    expected = (log_q + 0.5 * s.square().sum(3).flatten()).mean()
    assert family.divergence(parameters, {"kl": z}).item() == pytest.approx(expected.item(), abs=1e-9)


def test_gaussian_and_flow_start_as_the_prior():
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    z = torch.randn(2, 3, 50, 7)
    flow = Flow(4, 6, 0)
    assert flow.divergence(flow.initial(generators, 3, 7), {"kl": z}).abs().max() < 1e-5
    gaussian = Gaussian().initial(generators, 3, 7)
    closed = Gaussian().divergence(gaussian, {"kl": z[:, :, :0]})
    torch.testing.assert_close(closed, torch.full((2,), 3 * 7 / 2))
    draws = torch.randn(2, 5, 7)
    samples = Gaussian().sample(gaussian, {"z": draws})
    torch.testing.assert_close(samples, draws[:, :, None].expand(2, 5, 3, 7))
