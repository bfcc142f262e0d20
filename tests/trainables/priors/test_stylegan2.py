"""The StyleGAN2 prior: its training steps by hand, its style space, checkpoints, and GMI on it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.gmi import GMI
from trainables.attacks.optim.styles import StyleGenerator
from trainables.datasets.base import Images
from trainables.errors import ConfigError, TrialError
from trainables.nn.crops import centre
from trainables.nn.dcgan import update_ema
from trainables.nn.stylegan2.checkpoint import Shapes, StyleGAN2Checkpoint
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape, deviation
from trainables.nn.stylegan2.generator import Generator, GeneratorShape
from trainables.priors.stylegan2 import (
    Pictures,
    Realism,
    StyleGAN2Prior,
    adversarial_steps,
    mean_style,
    path_lengths,
    usual_deviation,
)
from trainables.runtime.run import Run

SMALL = StyleGAN2Prior(width=2, widest=4, latent_size=5, epochs=2, batch_size=4)


def faces(count: int = 9, size: int = 32) -> Images:
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.manual_seed(0))
    return Images(
        pixels=pixels,
        labels=torch.zeros(count, dtype=torch.int64),
        names=("all",),
        files=tuple(map(str, range(count))),
    )


def pair(noise: bool = False) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    shape = GeneratorShape(latent_size=5, style_size=5, channels=(3, 2), mapping_layers=1, noise=noise)
    return Generator(shape).double(), Discriminator(DiscriminatorShape(channels=(3, 2), group=2)).double()


def test_first_steps_are_adam_on_the_published_losses():
    generator, discriminator = pair()
    real = torch.rand(2, 4, 3, 8, 8).double() * 2 - 1
    z = torch.randn(2, 4, 5).double()
    again, critic = pair()
    draws = iter(z)
    steps = adversarial_steps(
        generator,
        discriminator,
        iter(real.clone()),
        lambda count: next(draws),
        learning_rate=0.01,
        penalty=0.3,
        penalty_every=2,
    )
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.0, 0.99)) for net in (critic, again)]
    for number, (critic_loss, generator_loss) in enumerate(steps):
        x = real[number].clone().requires_grad_(True)
        fake = again(z[number])
        scores = critic(x)
        loss = (functional.softplus(critic(fake.detach())) + functional.softplus(-scores)).mean()
        total = loss
        if number == 0:  # of every two steps the first
            (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
            total = loss + 0.3 / 2 * 2 * slope.flatten(1).norm(dim=1).square().mean()
        optimizers[0].zero_grad()
        total.backward()
        optimizers[0].step()
        other = functional.softplus(-critic(again(z[number]))).mean()
        optimizers[1].zero_grad()
        other.backward()
        optimizers[1].step()
        torch.testing.assert_close(critic_loss, loss.detach())
        torch.testing.assert_close(generator_loss, other.detach())
    for ours, theirs in ((generator, again), (discriminator, critic)):
        for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, two)


def test_path_lengths_of_a_linear_generator():
    """Of images J w, the length is |J^T y| for the random direction y."""
    torch.manual_seed(0)
    jacobian = torch.randn(3 * 4 * 4, 5).double()
    styles = torch.randn(2, 1, 5).double().requires_grad_(True)
    images = (styles[:, 0] @ jacobian.T).reshape(2, 3, 4, 4)
    torch.manual_seed(1)
    found = path_lengths(images, styles)
    torch.manual_seed(1)
    direction = torch.randn(2, 3, 4, 4, dtype=torch.float64).flatten(1) / 4
    torch.testing.assert_close(found, (direction @ jacobian).norm(dim=1))


def test_path_length_is_a_term_of_the_generators_loss_alone():
    trained = []
    for weight in (0.0, 2.0):
        generator, discriminator = pair()
        torch.manual_seed(3)
        steps = adversarial_steps(
            generator,
            discriminator,
            iter(torch.rand(1, 4, 3, 8, 8).double()),
            lambda count: torch.ones(count, 5).double(),
            learning_rate=0.01,
            penalty=0.0,
            penalty_every=2,
            path_length=weight,
        )
        next(steps)
        trained.append((generator, discriminator))
    (plain, critic), (penalized, same_critic) = trained
    assert all(torch.equal(*pair) for pair in zip(critic.parameters(), same_critic.parameters(), strict=True))
    assert not torch.equal(plain.synthesis.b8.conv1.weight, penalized.synthesis.b8.conv1.weight)


def test_images_are_styles_drawn_in_two_steps():
    networks = SMALL.train(faces(), run=Run(seed=0))
    generator = networks.generator
    assert isinstance(generator, StyleGenerator)
    z = torch.randn(3, 5)
    with torch.no_grad():
        whole = generator.synthesis(generator.truncate(generator.style(z)))
        assert torch.equal(generator(z), generator.view(whole).clamp(0, 1))
        assert whole.shape == (3, 3, 32, 32) and generator.style(z).shape == (3, 5)
        raw = generator.network(z)
        torch.testing.assert_close(whole, raw / 2 + 0.5)


def test_the_mean_style_is_measured_after_training():
    networks = SMALL.train(faces(), run=Run(seed=0))
    network = networks.generator.network
    with torch.no_grad():
        styles = network.mapping(torch.randn(20_000, 5))
    error = 5 * styles.std(0) * (1 / 4096 + 1 / 20_000) ** 0.5
    assert ((network.mapping.w_avg - styles.mean(0)).abs() < error).all()
    assert torch.equal(mean_style(network, torch.zeros(1, 5)), network.mapping(torch.zeros(1, 5))[0])


def test_psi_is_the_truncation_of_latents():
    full = SMALL.train(faces(), run=Run(seed=0))
    half = replace(SMALL, psi=0.5).train(faces(), run=Run(seed=0))
    z = torch.randn(2, 5)
    with torch.no_grad():
        generator = full.generator
        drawn = generator.synthesis(generator.truncate(generator.style(z), 0.5)).clamp(0, 1)
    torch.testing.assert_close(half.generator(z), drawn)


def test_the_usual_statistic_is_that_of_public_images():
    networks = SMALL.train(faces(), run=Run(seed=0))
    discriminator = networks.discriminator.network
    images = faces().pixels[:8].float() / 127.5 - 1
    with torch.no_grad():
        groups = [deviation(discriminator.features(part), 4)[0] for part in (images[:4], images[4:])]
    torch.testing.assert_close(discriminator.b4.usual, (groups[0] + groups[1]) / 2)
    torch.testing.assert_close(usual_deviation(discriminator, images), (groups[0] + groups[1]) / 2)


def test_the_average_follows_the_weights_and_training_does_not_see_it():
    average, moving = pair()[0], Generator(pair()[0].shape).double()
    wanted = [0.9 * a + 0.1 * b for a, b in zip(average.parameters(), moving.parameters(), strict=True)]
    update_ema(average, moving, 0.9)
    for found, expected in zip(average.parameters(), wanted, strict=True):
        torch.testing.assert_close(found, expected)
    slow, fast = (
        replace(SMALL, epochs=6, averaging=images).train(faces(), run=Run(seed=0)) for images in (3000, 1)
    )
    for ours, theirs in zip(slow.discriminator.parameters(), fast.discriminator.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(*(next(net.generator.parameters()) for net in (slow, fast)))


@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_sizes(image_size):
    networks = StyleGAN2Prior(width=2, widest=4).build(image_size)
    images = networks.generator(torch.randn(2, 64))
    assert images.shape == (2, 3, image_size, image_size)
    assert networks.discriminator.eval()(images).shape == (2,)
    channels = StyleGAN2Prior(width=3, widest=10).build(32).generator.network.shape.channels
    assert channels == (10, 10, 6, 3)


@pytest.mark.parametrize("image_size", [16, 48, 100])
def test_sizes_that_do_not_fit(image_size):
    with pytest.raises(ConfigError, match=f"power of two from 32; got {image_size}"):
        SMALL.build(image_size)


@pytest.mark.parametrize(("count", "batch_size", "steps"), [(9, 4, 4), (3, 4, 2), (6, 64, 2), (9, 3, 6)])
def test_any_number_of_images_and_progress_to_the_total(count, batch_size, steps):
    reports = []
    prior = replace(SMALL, batch_size=batch_size)
    prior.train(faces(count), run=Run(seed=0, report=lambda *a, **m: reports.append((*a, set(m)))))
    assert reports[-1] == ("prior", steps, steps, {"critic_loss", "generator_loss"})


def test_losses_that_are_not_finite_fail_the_trial():
    with pytest.raises(TrialError, match="losses are not finite at step"):
        replace(SMALL, learning_rate=1e30).train(faces(), run=Run(seed=0))


def test_gmi_descends_on_it():
    networks = SMALL.train(faces(), run=Run(seed=0))
    torch.manual_seed(0)
    target = Classifier({"shrink": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, 4)).eval()
    attack = GMI(iterations=15, restarts=1, group=1)
    found = attack.invert(target, networks, torch.arange(4), run=Run(seed=0))
    assert found.images.shape == (1, 4, 3, 32, 32)
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]


def checkpoint(label_size: int = 0) -> StyleGAN2Checkpoint:
    torch.manual_seed(0)
    sizes = {"label_size": label_size, "mapping_layers": 2, "clamp": 256.0}
    shapes = Shapes(
        GeneratorShape(latent_size=5, style_size=4, channels=(3, 3, 2, 2, 2), **sizes),
        DiscriminatorShape(channels=(3, 3, 2, 2, 2), **sizes),
    )
    states = [net.state_dict() for net in (Generator(shapes.generator), Discriminator(shapes.discriminator))]
    states[1].pop("b4.usual")
    states[0]["mapping.w_avg"] += 0.5
    return StyleGAN2Checkpoint(shapes, *states)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A function that puts a checkpoint into a file."""
    from trainables.nn.stylegan2 import checkpoint as stylegan2_checkpoint

    def write(found: StyleGAN2Checkpoint) -> str:
        path = tmp_path / "source.pkl"
        path.touch()
        with monkeypatch.context() as patched:
            patched.setattr(stylegan2_checkpoint, "_published", lambda _: found)
            stylegan2_checkpoint.convert(path, tmp_path / "net.safetensors")
        return str(tmp_path / "net.safetensors")

    return write


def test_a_checkpoint_is_cropped_and_resized_to_what_targets_see(file):
    found = checkpoint()
    prior = StyleGAN2Prior(path=file(found), crop=40)
    networks = prior.train(faces(size=48), run=Run(seed=0))
    assert networks.latent_size == 5
    generator, original = networks.generator, found.networks()[0]
    z = torch.randn(2, 5)
    with torch.no_grad():
        whole = original(z) / 2 + 0.5
        torch.testing.assert_close(generator.synthesis(generator.truncate(generator.style(z))), whole)
        middle = functional.interpolate(whole[..., 12:52, 12:52], (48, 48), mode="bilinear", antialias=True)
        torch.testing.assert_close(generator(z), middle.clamp(0, 1))
        assert torch.equal(centre(whole, 40), whole[..., 12:52, 12:52])
        assert networks.discriminator(generator(z)).shape == (2,)
        assert networks.discriminator.network.b4.usual > 0
    assert not any(weight.requires_grad for weight in generator.parameters())


def test_a_checkpoint_is_the_same_from_any_seed_and_fits_without_its_weights(file):
    prior = StyleGAN2Prior(path=file(checkpoint()))
    one, two = (prior.train(faces(), run=Run(seed=0)) for _ in range(2))
    for first, second in zip(one.generator.parameters(), two.generator.parameters(), strict=True):
        assert torch.equal(first, second)
    with torch.device("meta"):
        built = prior.build(50)  # any size: images are resized
    assert built.generator.network.shape == checkpoint().shapes.generator


def test_a_conditional_checkpoint_draws_one_class(file):
    found = checkpoint(label_size=3)
    path = file(found)
    networks = StyleGAN2Prior(path=path, label=2).train(faces(), run=Run(seed=0))
    z = torch.randn(2, 5)
    labels = torch.tensor([[0.0, 0, 1], [0, 0, 1]])
    with torch.no_grad():
        torch.testing.assert_close(networks.generator.style(z), found.networks()[0].mapping(z, labels))
    with pytest.raises(ConfigError, match="label from 0 to 2, the checkpoint's classes; got 3"):
        StyleGAN2Prior(path=path, label=3).build(32)


def test_knobs_that_do_not_fit_the_checkpoint(file):
    with pytest.raises(ConfigError, match=r"crop of at most 64.*got 65"):
        StyleGAN2Prior(path=file(checkpoint()), crop=65).build(32)
    with pytest.raises(ConfigError, match="found no file"):
        StyleGAN2Prior(path="nowhere.pkl").build(32)


def test_realism_takes_images_of_any_size_in_0_1():
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorShape(channels=(3, 2, 2), group=4)).eval()
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(Realism(network)(images), network(images * 2 - 1))
        assert Realism(network)(torch.rand(2, 3, 24, 24)).shape == (2,)


def test_pictures_clip_only_what_they_return():
    class Bright(nn.Module):
        def forward(self, styles: Tensor) -> Tensor:
            return torch.full((len(styles), 3, 32, 32), 3.0)

    network = Generator(GeneratorShape(latent_size=4, style_size=4, channels=(2, 2, 2, 2), mapping_layers=1))
    network.synthesis = Bright()
    network.synthesis.layers = 8
    pictures = Pictures(network, 32)
    assert pictures.synthesis(torch.zeros(1, 4)).max() == 2.0
    assert pictures(torch.zeros(1, 4)).max() == 1.0
