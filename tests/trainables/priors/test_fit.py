"""What a prior makes of images that it has not seen: by projection, or by a descent."""

import pytest
import torch
from torch import Tensor, nn

from trainables.datasets.base import Images
from trainables.priors.base import PriorNetworks
from trainables.priors.eigenfaces import EigenfacesPrior
from trainables.priors.fit import held_out, reconstruction_error
from trainables.runtime.run import Run


def pictures(pixels: Tensor) -> Images:
    count = len(pixels)
    labels = torch.zeros(count, dtype=torch.int64)
    return Images(pixels=pixels, labels=labels, names=("all",), files=tuple(map(str, range(count))))


def noise(count: int) -> Images:
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(0))
    return pictures(pixels)


@pytest.mark.parametrize(("count", "expected"), [(7, 0), (8, 1), (40, 5), (128, 16), (5000, 16)])
def test_an_eighth_is_held_out_and_sixteen_at_most(count, expected):
    chosen = held_out(count, Run(seed=0))
    assert len(chosen) == len(set(chosen.tolist())) == expected
    assert all(0 <= number < count for number in chosen.tolist())


def test_who_is_held_out_goes_by_the_seed():
    first, again, other = (held_out(500, Run(seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_error_of_a_projection_is_what_lies_off_the_axes():
    public, run = noise(80), Run(seed=1)
    networks = EigenfacesPrior(components=20).train(public, run=run)
    figures = reconstruction_error(networks, public, run=run)
    chosen = held_out(80, run)
    rows = public.pixels.flatten(1).double() / 255
    fitted = torch.stack([row for number, row in enumerate(rows) if number not in chosen.tolist()])
    mean = fitted.mean(0)
    axes = torch.linalg.svd(fitted - mean, full_matrices=False).Vh[:20]
    shown = (mean + (rows[chosen] - mean) @ axes.T @ axes).clamp(0, 1)
    assert figures["images"] == 10
    assert figures["error"] == pytest.approx((shown - rows[chosen]).square().mean().sqrt().item(), rel=0.02)
    of_mean = (rows.mean(0) - rows[chosen]).square().mean().sqrt().item()
    assert figures["mean_image_error"] == pytest.approx(of_mean, rel=1e-4)


def test_a_generator_without_a_closed_form_is_inverted_by_descent():
    """Grey pictures, of which the latent says how bright they are: the descent finds each."""
    shades = torch.linspace(70, 180, 64).to(torch.uint8)
    public = pictures(shades.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous())
    grey = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid(), nn.Linear(1, 192), nn.Unflatten(1, (3, 8, 8)))
    with torch.no_grad():
        for layer, weight in ((grey[0], 1.0), (grey[2], 1.0)):
            layer.weight.fill_(weight)
            layer.bias.zero_()
    networks = PriorNetworks(grey.requires_grad_(False), nn.Identity(), 1)
    figures = reconstruction_error(networks, public, run=Run(seed=0))
    assert figures["error"] < 0.02 < 0.1 < figures["mean_image_error"]


def test_a_generator_without_a_slope_at_zero_is_inverted_all_the_same():
    """As those of many layers are: grey pictures as bright as the positive part of the latent less one."""
    shades = torch.linspace(70, 180, 64).to(torch.uint8)
    public = pictures(shades.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).contiguous())
    grey = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 192), nn.Unflatten(1, (3, 8, 8)))
    with torch.no_grad():
        for layer, bias in ((grey[0], -1.0), (grey[2], 0.0)):
            layer.weight.fill_(1.0)
            layer.bias.fill_(bias)
    networks = PriorNetworks(grey.requires_grad_(False), nn.Identity(), 1)
    assert reconstruction_error(networks, public, run=Run(seed=0))["error"] < 0.02


def test_too_few_images_have_no_figure():
    networks = EigenfacesPrior(components=2).train(noise(7), run=Run(seed=0))
    assert reconstruction_error(networks, noise(7), run=Run(seed=0)) is None
