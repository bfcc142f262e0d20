"""Priors: generators trained on public images. Add one: a file here, a line below."""

from trainables.priors.base import Prior
from trainables.priors.dcgan import DCGANPrior
from trainables.priors.eigenfaces import EigenfacesPrior
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior

PRIORS: dict[str, type[Prior]] = {
    "gmi": GMIPrior,
    "kedmi": KEDMIPrior,
    "plg": PLGPrior,
    "lokt": LOKTPrior,
    "stylegan2": StyleGAN2Prior,
    "eigenfaces": EigenfacesPrior,
    "dcgan": DCGANPrior,
}
