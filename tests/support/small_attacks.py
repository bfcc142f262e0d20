"""Small attacks, targets, priors and images: what the contract tests and the checks of a device work on."""

import torch
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack
from trainables.attacks.brep import BREP
from trainables.attacks.gmi import GMI, PPDGGMI
from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lokt import LOKT
from trainables.attacks.lomma import LommaGMI, LommaKEDMI
from trainables.attacks.map import MAP
from trainables.attacks.mirror import Mirror
from trainables.attacks.mirror_blackbox import MirrorBlackbox
from trainables.attacks.plg import PLG
from trainables.attacks.ppa import PPA, PPDGPPA
from trainables.attacks.rlb import RLB
from trainables.attacks.smile import SMILE
from trainables.attacks.vmi import VMI
from trainables.datasets.base import Images
from trainables.method import LENGTH, knobs_marked
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.priors.lokt import LOKTPrior
from trainables.priors.plg import PLGPrior
from trainables.priors.stylegan2 import StyleGAN2Prior

SMALL: dict[str, Attack] = {
    "gmi": GMI(iterations=6, restarts=2),
    "map": MAP(pool=20, starts=2, iterations=5, views=2, rounds=3, penalty=0.01),
    "vmi": VMI(steps=5, batch=3, samples=2, kl_samples=4, learning_rate=0.1),
    "rlb": RLB(episodes=8, hidden=5, replay=3, learning_rate=0.05),
    "plg": PLG(iterations=5, restarts=2),
    "lokt": LOKT(iterations=5, restarts=2),
    "ppa": PPA(candidates=20, starts=3, iterations=5, rounds=2, kept=2),
    "ppdg_gmi": PPDGGMI(
        iterations=4,
        restarts=3,
        points=2,
        rating_views=3,
        public_images=3,
        epochs=2,
        batch_size=2,
        critic_steps=2,
    ),
    "ppdg_ppa": PPDGPPA(
        candidates=20,
        starts=3,
        iterations=5,
        rounds=2,
        kept=2,
        points=2,
        inversion_steps=4,
        tuning_steps=3,
        features="pixels",
    ),
    "if_gmi": IFGMI(
        candidates=20,
        starts=3,
        iterations=4,
        blocks=2,
        block_iterations=3,
        rounds=2,
        kept=2,
        radii=(9, 0.5, 9),
    ),
    "mirror": Mirror(pool=20, starts=2, iterations=5),
    "mirror_blackbox": MirrorBlackbox(pool=20, population=6, generations=4),
    "smile": SMILE(pool=20, surrogate="small_cnn", experts=2, epochs=2, batch_size=8, iterations=5, budget=6),
    "brep": BREP(points=8, radius=0.5, iterations=6, calls=8, start_batch=32, start_queries=512),
    "kedmi": KEDMI(iterations=6, restarts=2, group=1),  # a larger group couples the identities in it
    "lomma_gmi": LommaGMI(iterations=6, restarts=2, students=("small_cnn",), student_epochs=1),
    "lomma_kedmi": LommaKEDMI(iterations=6, restarts=2, group=1, students=("small_cnn",), student_epochs=1),
}
# attacks whose latents are styles: how a generator draws those
DRAWN = {
    "ppa": lambda generator, styles: generator.synthesis(styles),
    "mirror": lambda generator, styles: generator.synthesis(generator.truncate(styles, 0.7, 8)),
    "mirror_blackbox": lambda generator, styles: generator.synthesis(generator.truncate(styles, 0.7, 8)),
    "smile": lambda generator, styles: generator.synthesis(generator.truncate(styles, 0.7, 8)),
}
# attacks whose images take more than their latents: their own tests look at that
BEYOND_LATENTS = ("if_gmi", "ppdg_gmi", "ppdg_ppa")
IDENTITIES = torch.tensor([3, 0, 2])
CLASSES = 5


def taught(target: Classifier) -> PriorNetworks:
    """A prior of LOKT whose one surrogate is the target itself: the best that one can learn."""
    prior = LOKTPrior(width=2, latent_size=5, surrogates=()).build(32, CLASSES)
    prior.discriminator.surrogates.append(target)
    return prior


def styled(_: Classifier) -> PriorNetworks:
    return StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)


# attacks that want a prior of their own kind: how to make one for a target; its latents are 6 numbers
PRIORS_OF = {
    **dict.fromkeys((*DRAWN, "if_gmi", "ppdg_ppa"), styled),
    "kedmi": lambda _: KEDMIPrior(width=2, latent_size=6).build(32, CLASSES),
    "plg": lambda _: PLGPrior(width=2, latent_size=5).build(32, CLASSES),
    "lokt": taught,
}


def small(name: str) -> Attack:
    """Return the attack with knobs for a test: those above, or its defaults with few steps."""
    if name in SMALL:
        return SMALL[name]
    return ATTACKS[name](**dict.fromkeys(knobs_marked(ATTACKS[name], LENGTH), 6))


def victim(name: str) -> tuple[Classifier, PriorNetworks]:
    """A small target with what real ones have (convolution, batch norm, dropout), and a small prior."""
    torch.manual_seed(0)
    stage = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout()
    )
    target = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(4 * 64, CLASSES))
    target(torch.rand(8, 3, 32, 32))  # gives the batch norm statistics
    prior = PRIORS_OF.get(name, lambda _: GMIPrior(width=4, latent_size=6).build(32))(target)
    with torch.no_grad():  # every label is that of some of the prior's images: attackers who ask need it
        logits = target.eval()(prior.generator.eval()(torch.randn(200, 6)))
        target.head.weight.div_(logits.std(0)[:, None])
        target.head.bias.sub_(logits.mean(0)).div_(logits.std(0))
    return target, prior


def public() -> Images:
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.manual_seed(0))
    labels = torch.zeros(4, dtype=torch.int64)
    return Images(pixels=pixels, labels=labels, names=("all",), files=("a", "b", "c", "d"))
