"""Searches that an identity loss and a prior's realism guide: those of GMI, KEDMI and LOMMA. No attack."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Learnt, Reconstructions
from trainables.attacks.optim.alignment import AlignedAttack
from trainables.attacks.optim.descent import Guide, guided
from trainables.errors import ConfigError
from trainables.method import length_knob
from trainables.nn.critic import NoDiscriminator
from trainables.nn.identity_losses import cross_entropy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class GuidedSearch(AlignedAttack):
    """Knobs that the searches share, and how they come to the identity loss that guides them."""

    is_prefix_of_longer: ClassVar[bool] = True

    iterations: int = length_knob(2400)
    restarts: int = 5
    learning_rate: float = 0.02
    identity_weight: float = 100.0
    group: int = 60

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "restarts", "group")
        above(self, 0, "learning_rate")
        at_least(self, 0, "identity_weight")
        self.check_alignment()

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a discriminator, which the search asks, and no labels."""
        super().check_prior(prior)
        if isinstance(prior.discriminator, NoDiscriminator):
            raise ConfigError(
                f"attack '{self.kind}' expects a prior with a discriminator, which says how real images are; "
                "got a generator alone (prior); give the discriminator's file, or choose an attack without "
                "that term, such as 'map'"
            )

    def guide(self, target: Classifier, auxiliary: Learnt, device: str) -> Guide:
        """Return the identity loss of images: the cross-entropy, unless a subclass has another."""
        return guided(target, cross_entropy)

    def search(
        self, guide: Guide, prior: PriorNetworks, identities: Tensor, *, run: Run, noise_size: int
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions of `identities`, (N,); `guide` wants (n, noise_size) noise."""
        raise NotImplementedError

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; see `Attack.reconstruct`."""
        guide, noise = self.guide(target, auxiliary, run.device), self.align_draws + target.noise_size
        return self.search(self.aligned(guide), prior, identities, run=run, noise_size=noise)
