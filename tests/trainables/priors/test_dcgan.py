"""DCGANs from files: PyTorch's tutorial network itself, sizes off the weights, resizing, bad files."""

import os
from pathlib import Path

import pytest
import torch
from dcgan_files import save, tutorial_discriminator, tutorial_generator
from safetensors.torch import save_file
from torch.nn import functional

from trainables.attacks.gmi import GMI
from trainables.attacks.map import MAP
from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.priors.dcgan import DCGANPrior
from trainables.runtime.run import Run

PACK = Path(os.environ.get("SWEEPER_FACES", Path(__file__).parents[4] / "shared" / "data"))
PUBLISHED = PACK / "weights" / "dcgan_digiface_64.safetensors"


def public(size: int, count: int = 8) -> Images:
    pixels = torch.zeros(count, 3, size, size, dtype=torch.uint8)
    labels = torch.zeros(count, dtype=torch.int64)
    return Images(pixels=pixels, labels=labels, names=("all",), files=tuple(map(str, range(count))))


@pytest.mark.parametrize("prefix", ["main.", "module.main.", "", "netG.main."])
@pytest.mark.parametrize(("latent", "width", "size"), [(5, 2, 32), (7, 3, 64), (4, 2, 16)])
def test_images_are_those_of_the_tutorials_network(prefix, latent, width, size, tmp_path):
    theirs = tutorial_generator(latent, width, size)
    prior = DCGANPrior(path=save(theirs, tmp_path / "g.pt", prefix))
    networks = prior.train(public(size), run=Run(seed=0))
    z = torch.randn(3, latent)
    with torch.no_grad():
        expected = (theirs.eval()(z[:, :, None, None]) + 1) / 2
    assert networks.latent_size == latent
    torch.testing.assert_close(networks.generator(z), expected, atol=1e-6, rtol=1e-5)


def test_scores_are_the_tutorials_logits(tmp_path):
    theirs = tutorial_discriminator(2, 32)
    prior = DCGANPrior(
        path=save(tutorial_generator(5, 2, 32), tmp_path / "g.pt"),
        discriminator=save(theirs, tmp_path / "d.pt", "module.main."),
    )
    networks = prior.train(public(32), run=Run(seed=0))
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        expected = theirs.eval()(images * 2 - 1).flatten()
    torch.testing.assert_close(networks.discriminator(images).sigmoid(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [32, 48, 128])
def test_images_of_another_size_are_resized(size, tmp_path):
    theirs = tutorial_generator(5, 2, 64)
    networks = DCGANPrior(path=save(theirs, tmp_path / "g.pt")).train(public(size), run=Run(seed=0))
    z = torch.randn(2, 5)
    with torch.no_grad():
        own = (theirs.eval()(z[:, :, None, None]) + 1) / 2
    images = networks.generator(z)
    assert images.shape == (2, 3, size, size)
    near = functional.adaptive_avg_pool2d(images, 16) - functional.adaptive_avg_pool2d(own, 16)
    assert near.abs().mean() < 0.03


def test_a_safetensors_file_is_read(tmp_path):
    theirs = tutorial_generator(5, 2)
    save(theirs, tmp_path / "g.pt")
    save_file(
        {f"main.{name}": value for name, value in theirs.state_dict().items()}, tmp_path / "g.safetensors"
    )
    first, second = (
        DCGANPrior(path=str(tmp_path / name)).train(public(32), run=Run(seed=0)).generator
        for name in ("g.pt", "g.safetensors")
    )
    z = torch.randn(2, 5)
    assert torch.equal(first(z), second(z))


def test_without_a_discriminator_an_attack_that_asks_one_says_so(tmp_path):
    networks = DCGANPrior(path=save(tutorial_generator(5, 2), tmp_path / "g.pt")).build(32)
    with pytest.raises(ConfigError, match=r"'gmi' expects a prior with a discriminator.*'map'"):
        GMI().check_prior(networks)
    MAP().check_prior(networks)


def broken(what: str, folder: Path) -> str:
    state = {f"main.{name}": value for name, value in tutorial_generator(5, 2).state_dict().items()}
    if what == "another layout":
        state = {name.replace("main.0", "fc"): value for name, value in state.items()}
    elif what == "a layer missing":
        state = {name: value for name, value in state.items() if not name.startswith("main.4")}
    elif what == "a bias":
        state["main.0.bias"] = torch.zeros(8)
    elif what == "grey":
        state["main.9.weight"] = state["main.9.weight"][:, :1].clone()
    elif what == "widths that do not meet":
        state["main.3.weight"] = torch.zeros(6, 4, 4, 4)
    elif what == "no numbers":
        state["main.0.weight"] = torch.full_like(state["main.0.weight"], torch.nan)
    torch.save(state, folder / "g.pt")
    return str(folder / "g.pt")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("another layout", r"no convolution at 0\.weight"),
        ("a layer missing", r"4\.weight missing"),
        ("a bias", r"0\.bias .* instead of nothing"),
        ("grey", r"1,\) channels"),
        ("widths that do not meet", "8 channels that 6 follow"),
        ("no numbers", "finite"),
    ],
)
def test_a_file_of_another_network_is_named_with_what_does_not_fit(what, text, tmp_path):
    path = broken(what, tmp_path)
    with pytest.raises(ConfigError, match=text) as caught:
        DCGANPrior(path=path).build(32)
    assert path in str(caught.value) and "prior.path" in str(caught.value)


def test_a_generator_is_no_discriminator(tmp_path):
    path = save(tutorial_generator(5, 2), tmp_path / "g.pt")
    with pytest.raises(ConfigError, match=r"prior\.discriminator"):
        DCGANPrior(path=path, discriminator=path).build(32)


def test_no_file():
    with pytest.raises(ConfigError, match=r"no file \(prior\.path\)"):
        DCGANPrior(path="nowhere.pt").build(32)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"no {PUBLISHED}")
def test_the_published_generator_draws_faces():
    networks = DCGANPrior(path=str(PUBLISHED)).train(public(64), run=Run(seed=0))
    assert networks.latent_size == 100
    images = networks.generator(torch.randn(64, 100, generator=torch.manual_seed(0)))
    assert images.shape == (64, 3, 64, 64)
    middle = images[:, :, 24:48, 16:48]
    assert middle.mean((0, 2, 3))[0] > middle.mean((0, 2, 3))[2]  # skin is more red than blue
    across = (images - images.flip(3)).square().mean()
    assert across < (images - images.roll(1, 0)).square().mean()  # a face is near to its mirror image
