"""Small priors, and what they are trained on: for the contract tests and the checks of a device."""

import tempfile
from pathlib import Path

import dcgan_files
import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.priors.base import Prior
from trainables.priors.dcgan import DCGANPrior
from trainables.priors.eigenfaces import EigenfacesPrior
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior

FILES = tempfile.TemporaryDirectory()
TINY = {"width": 2, "latent_size": 6, "batch_size": 4, "critic_steps": 2}
SMALL: dict[str, Prior] = {
    "gmi": GMIPrior(epochs=2, **TINY),
    "kedmi": KEDMIPrior(epochs=2, **TINY),
    "stylegan2": StyleGAN2Prior(width=2, widest=4, latent_size=6, epochs=2, batch_size=4),
    "plg": PLGPrior(iterations=2, top=3, **TINY),
    "lokt": LOKTPrior(
        iterations=2,
        warmup=1,
        surrogates=("small_cnn",),
        images_per_class=2,
        surrogate_epochs=1,
        epoch_images=4,
        surrogate_batch=4,
        **TINY,
    ),
    "eigenfaces": EigenfacesPrior(components=6),
    "dcgan": DCGANPrior(
        path=dcgan_files.save(dcgan_files.tutorial_generator(6, 2), Path(FILES.name) / "generator.pt"),
        discriminator=dcgan_files.save(dcgan_files.tutorial_discriminator(2), Path(FILES.name) / "critic.pt"),
    ),
}
READ = ("dcgan",)  # priors that come from a file, the same for any seed
SIZE, CLASSES = 32, 3


def public() -> Images:
    pixels = torch.randint(0, 256, (9, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.manual_seed(0))
    files = tuple(f"{number}.png" for number in range(9))
    return Images(pixels=pixels, labels=torch.zeros(9, dtype=torch.int64), names=("all",), files=files)


def victim() -> Classifier:
    """A target for the priors that are made for one."""
    torch.manual_seed(0)
    target = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, CLASSES))
    return target.eval()
