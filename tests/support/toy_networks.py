"""Small networks and images on which a method takes milliseconds, the same on every machine."""

import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior

CLASSES, SIZE, LATENT = 5, 32, 6


def colours(per_identity: int = 6, identities: int = CLASSES, seed: int = 0, size: int = SIZE) -> Images:
    """Return images of identities that are colours under noise."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.arange(identities).repeat_interleave(per_identity)
    shades = torch.linspace(20, 180, identities)[labels].view(-1, 1, 1, 1)
    tint = torch.tensor([1.0, 0.5, 0.8]).view(1, 3, 1, 1)
    pixels = shades * tint + 70 * torch.rand(len(labels), 3, size, size, generator=g)
    return Images(
        pixels=pixels.to(torch.uint8),
        labels=labels,
        names=tuple(f"colour {number}" for number in range(identities)),
        files=tuple(f"picture {number}" for number in range(len(labels))),
    )


def parts() -> Split:
    """Return three parts of such images."""
    train, validation, test = (colours(n, seed=seed) for seed, n in enumerate((6, 2, 3)))
    return Split(train=train, validation=validation, test=test)


def target(prior: PriorNetworks | None = None) -> Classifier:
    """Return a classifier in eval mode, whose logits of the prior's images have deviation 1."""
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    classifier = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(4 * 64, CLASSES), hooks={"conv": "conv"})
    with torch.no_grad():
        classifier(torch.rand(8, 3, SIZE, SIZE))
        classifier.eval()
        if prior is not None:
            logits = classifier(prior.generator.eval()(torch.randn(200, prior.latent_size)))
            classifier.head.weight.div_(logits.std(0)[:, None])
            classifier.head.bias.sub_(logits.mean(0)).div_(logits.std(0))
    return classifier


def prior(kind: str) -> PriorNetworks:
    """Return untrained networks of a prior, loud enough that pixels leave [0, 1] where nothing clips them."""
    torch.manual_seed(0)
    if kind == "stylegan2":
        networks = StyleGAN2Prior(width=2, widest=4, latent_size=LATENT).build(SIZE)
        with torch.no_grad():
            for name, weight in networks.generator.named_parameters():
                if "torgb" in name and name.endswith("weight"):
                    weight.mul_(4)
            networks.generator.network.mapping.w_avg.normal_(std=0.3)
            networks.discriminator.network.b4.usual.fill_(0.3)
        return eval_mode(networks)
    built = {
        "gmi": GMIPrior(width=4, latent_size=LATENT),
        "kedmi": KEDMIPrior(width=2, latent_size=LATENT),
        "plg": PLGPrior(width=2, latent_size=LATENT),
        "lokt": LOKTPrior(width=2, latent_size=LATENT, surrogates=("small_cnn",)),
    }[kind].build(SIZE, CLASSES)
    return eval_mode(built)
