"""AlignMI: an averaged gradient is the mean over the copies', pulled back through the generator once."""

import pytest
import torch
from small_attacks import IDENTITIES, victim
from torch import Tensor

from trainables.attacks.gmi import GMI
from trainables.attacks.lomma import LommaGMI
from trainables.attacks.optim.alignment import aligned, numbers, pixel_noise
from trainables.nn.augmentation import AFFINE_DRAWS, random_affine
from trainables.runtime.run import Run

KNOBS = {"copies": 4, "noise": 0.2, "area": 0.7, "degrees": 15.0}


def curved(images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
    """A loss whose gradient depends on the image, the label and the noise."""
    weights = torch.linspace(0.5, 1.5, images[0].numel()).reshape(images[0].shape)
    size = (weights * images.pow(3)).flatten(1).sum(1)
    return size * (1 + labels) * (1 + noise.sum(1))


def scene() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 8, 8, generator=generator)
    return images, torch.tensor([0, 2, 1]), torch.randn(3, 64, generator=generator)


def test_none_is_the_guide_itself():
    assert aligned(curved, "none", **KNOBS) == (curved, 0)


def test_taa_is_the_gradient_of_the_mean_over_moved_copies():
    images, labels, draws = scene()
    guide, size = aligned(curved, "taa", **KNOBS)
    assert size == 4 * AFFINE_DRAWS
    leaf = images.clone().requires_grad_(True)
    copies = [random_affine(leaf, part, 0.7, 15.0) for part in draws[:, :size].split(AFFINE_DRAWS, 1)]
    expected = torch.stack([curved(copy, labels, draws[:, size:]) for copy in copies]).mean(0)
    (slope,) = torch.autograd.grad(expected.sum(), leaf)
    ours = images.clone().requires_grad_(True)
    loss = guide(ours, labels, draws)
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), ours)[0], slope, atol=1e-4, rtol=1e-4)


def test_paa_is_the_gradient_of_the_mean_over_noisy_copies():
    """For x³ the mean of 3 (x + s e)² over many copies is 3 (x² + s²), s a share of the image's range."""
    images, labels, draws = scene()
    images = images * torch.tensor([1.0, 0.5, 0.1]).view(-1, 1, 1, 1)
    guide, size = aligned(curved, "paa", **{**KNOBS, "copies": 4000})
    assert size == 1
    ours = images.clone().requires_grad_(True)
    none = draws[:, :1]
    (slope,) = torch.autograd.grad(guide(ours, labels, none).sum(), ours)
    flat = images.flatten(1)
    deviation = 0.2 * (flat.amax(1) - flat.amin(1)).view(-1, 1, 1, 1)
    weights = torch.linspace(0.5, 1.5, 192).reshape(3, 8, 8)
    expected = 3 * weights * (images.square() + deviation.square()) * (1 + labels).view(-1, 1, 1, 1)
    scale = expected.flatten(1).amax(1).view(-1, 1, 1, 1)
    assert ((slope - expected) / scale).abs().max() < 0.05
    assert (
        (slope - expected + 3 * weights * deviation.square() * (1 + labels).view(-1, 1, 1, 1)) / scale
    ).abs().max() > 0.05


def test_noise_of_an_image_is_its_own():
    images, _, draws = scene()
    seeds = numbers(draws[:, 0])
    assert len(set(seeds)) == 3
    together, alone = pixel_noise(images, seeds, 1), pixel_noise(images[1:2], seeds[1:2], 1)
    assert torch.equal(together[1:2], alone)
    assert not torch.equal(pixel_noise(images, seeds, 2), together)
    assert together.mean().abs() < 0.15 and (together.std() - 1).abs() < 0.15


def test_the_gradient_is_pulled_back_through_the_generator():
    images, labels, draws = scene()
    guide, _ = aligned(curved, "taa", **KNOBS)
    latents = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    mix = torch.randn(5, 192, generator=torch.Generator().manual_seed(2)) / 50
    made = images + (latents @ mix).reshape(images.shape)
    leaf = made.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(guide(leaf, labels, draws).sum(), leaf)
    (gradient,) = torch.autograd.grad(guide(made, labels, draws).sum(), latents)
    torch.testing.assert_close(gradient, slope.flatten(1) @ mix.T, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("align", ["paa", "taa"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_identity_depends_on_nobody_beside_it(align, batch_size):
    attack = GMI(iterations=4, restarts=2, align=align, align_copies=3, align_noise=0.1)
    parts, everyone = (
        attack.invert(*victim("gmi"), IDENTITIES, run=Run(seed=0, batch_size=size)).latents
        for size in (batch_size, None)
    )
    torch.testing.assert_close(parts, everyone, atol=1e-4, rtol=1e-4)


def test_no_noise_and_no_move_change_nothing():
    plain = {"align_area": 1.0, "align_degrees": 0.0}
    usual = GMI(iterations=4, restarts=1)
    noisy = GMI(iterations=4, restarts=1, align="paa", align_copies=2, align_noise=1e-9, **plain)
    first, second = (
        attack.invert(*victim("gmi"), IDENTITIES, run=Run(seed=0)).latents for attack in (usual, noisy)
    )
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_a_step_costs_as_many_passes_as_there_are_copies():
    for make in (GMI, LommaGMI):
        usual, averaged = make().passes(), make(align="taa", align_copies=7).passes()
        assert averaged.target_backward == 7 * usual.target_backward
        assert averaged.generator_backward == usual.generator_backward


@pytest.mark.parametrize(
    ("knobs", "text"), [({"align_copies": 0}, "align_copies"), ({"align_area": 1.1}, "align_area")]
)
def test_knobs_out_of_range(knobs, text):
    with pytest.raises(ValueError, match=text):
        GMI(**knobs)
