"""AlignMI: an averaged gradient is the mean over the copies', pulled back through the generator once."""

import dataclasses

import pytest
import torch
from small_attacks import IDENTITIES, public, small, victim
from torch import Tensor, nn

from trainables.architectures.base import Classifier, Head
from trainables.attacks import ATTACKS
from trainables.attacks.base import Reconstructions
from trainables.attacks.gmi import GMI
from trainables.attacks.optim import alignment
from trainables.attacks.optim.alignment import AlignedAttack, aligned, numbers, pixel_noise
from trainables.attacks.pseudo_private import PseudoPrivate
from trainables.nn.augmentation import AFFINE_DRAWS, random_affine
from trainables.oracle import observe
from trainables.priors.base import PriorNetworks
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


DESCENDING = [name for name, attack in ATTACKS.items() if issubclass(attack, AlignedAttack)]
every_descent = pytest.mark.parametrize("name", DESCENDING)


def attacked(name: str, *, size: int | None = None, change=lambda *_: None, **knobs) -> Reconstructions:
    """Return what a small attack with `knobs` gives on networks that `change` has changed in place."""
    target, prior = victim(name)
    change(target, prior)
    attack = dataclasses.replace(small(name), **knobs)
    seen = observe(target, attack.threat_model, "cpu")
    recipe = attack.auxiliary
    learnt = None if recipe is None else recipe.make(seen, public(), run=Run(seed=0))
    return attack.invert(seen, prior, IDENTITIES, run=Run(seed=0, batch_size=size), auxiliary=learnt)


class Deaf(Head):
    """A head that takes the numbers of one copy, and does not use them: VMI draws all in one stream."""

    noise_size = AFFINE_DRAWS

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, feature: Tensor) -> Tensor:
        return self.layer(feature)


def override(network: nn.Module, name: str, make) -> None:
    """Give this one network the method that `make` makes of its own."""
    kind = type(network)
    network.__class__ = type(kind.__name__, (kind,), {name: make(getattr(kind, name))})


def unmoved(images: Tensor) -> Tensor:
    return ((images - 0.3) / 0.6).flip(3)


def moving_images(target: Classifier, prior: PriorNetworks) -> None:
    """Let the target see moved images where gradients are taken, and the discriminator those below."""

    def moves(whole):
        def entry(self, given: Tensor, *more) -> Tensor:
            made = whole(self, given, *more)
            if not (torch.is_grad_enabled() and given.requires_grad):
                return made
            made = 0.6 * made.flip(3) + 0.3
            made.moved = True
            return made

        return entry

    def looks(whole):
        return lambda self, images, *more: whole(
            self, unmoved(images) if hasattr(images, "moved") else images, *more
        )

    override(prior.generator, "view" if hasattr(prior.generator, "view") else "forward", moves)
    override(prior.discriminator, "forward", looks)


def test_all_who_take_gradients_can_align():
    gradients = {name for name, attack in ATTACKS.items() if attack.threat_model == "white-box"}
    assert set(DESCENDING) == gradients | {"lokt"}  # which takes those of surrogates


@every_descent
def test_an_attack_on_one_copy_is_the_attack_on_images_that_move_so(name, monkeypatch):
    """A move that is the same for all, instead of AlignMI's: descents then are those of another generator.

    Only where gradients are taken: what selects, and what is returned, sees no copies.
    """
    drawn = []

    def move(images: Tensor, draws: Tensor, *_) -> Tensor:
        drawn.append(draws.clone())
        return 0.6 * images.flip(3) + 0.3

    def deaf(target: Classifier, _: PriorNetworks) -> None:
        if name == "vmi":
            target.head = Deaf(target.head)

    def moving(target: Classifier, prior: PriorNetworks) -> None:
        deaf(target, prior)
        moving_images(target, prior)

    if issubclass(ATTACKS[name], PseudoPrivate):  # tuning moves nothing here
        monkeypatch.setattr(ATTACKS[name], "tune", lambda _, prior, *__: prior)
    monkeypatch.setattr(alignment, "random_affine", move)
    ours = attacked(name, align="taa", align_copies=1)
    rounds = 2 if issubclass(ATTACKS[name], PseudoPrivate) else 1  # which use the same streams
    assert drawn and all(draws.shape[1:] == (AFFINE_DRAWS,) for draws in drawn)
    numbers = torch.cat(drawn).flatten()
    assert len(set(numbers.tolist())) == len(numbers) / rounds  # every image of every step has its own
    plain, truth = attacked(name, change=deaf), attacked(name, change=moving)
    torch.testing.assert_close(ours.latents, truth.latents, atol=2e-3, rtol=1e-3)
    assert (plain.latents - truth.latents).abs().max() > 0.01


@every_descent
@pytest.mark.parametrize("align", ["paa", "taa"])
def test_an_identity_depends_on_nobody_beside_it(name, align):
    knobs = {"align": align, "align_copies": 3, "align_noise": 5.0, "align_area": 0.7, "align_degrees": 20.0}
    few, everyone = (attacked(name, size=size, **knobs).latents for size in (4, None))
    torch.testing.assert_close(few, everyone, atol=2e-3, rtol=1e-3)
    assert (everyone - attacked(name).latents).abs().max() > 0.005


def test_no_noise_and_no_move_change_nothing():
    plain = {"align_area": 1.0, "align_degrees": 0.0}
    usual = GMI(iterations=4, restarts=1)
    noisy = GMI(iterations=4, restarts=1, align="paa", align_copies=2, align_noise=1e-9, **plain)
    first, second = (
        attack.invert(*victim("gmi"), IDENTITIES, run=Run(seed=0)).latents for attack in (usual, noisy)
    )
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


@every_descent
def test_a_step_costs_as_many_passes_as_there_are_copies(name):
    usual, averaged = (
        small(name).passes(),
        dataclasses.replace(small(name), align="taa", align_copies=7).passes(),
    )
    more = averaged.target_backward - usual.target_backward
    assert more + averaged.surrogate_backward - usual.surrogate_backward == 6 * (
        usual.target_backward + usual.surrogate_backward
    )
    assert averaged.generator_backward == usual.generator_backward
    assert averaged.target_forward - usual.target_forward >= more


@pytest.mark.parametrize(
    ("knobs", "text"), [({"align_copies": 0}, "align_copies"), ({"align_area": 1.1}, "align_area")]
)
@every_descent
def test_knobs_out_of_range(knobs, text, name):
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(small(name), **knobs)
