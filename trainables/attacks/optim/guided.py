"""Searches that an identity loss and a prior's realism guide: those of GMI, KEDMI and LOMMA. No attack."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import noise_size
from trainables.attacks.base import Attack, Learnt, Reconstructions
from trainables.attacks.optim.alignment import aligned
from trainables.attacks.optim.descent import Guide, guided
from trainables.errors import ConfigError
from trainables.method import later_knob, length_knob
from trainables.nn.critic import NoDiscriminator
from trainables.nn.identity_losses import cross_entropy
from trainables.priors.base import PriorNetworks
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class GuidedSearch(Attack):
    """Knobs that the searches share, and how they come to the identity loss that guides them.

    align: AlignMI's averaged gradient, "paa" over noisy copies of each image or "taa" over moved ones, see
        `alignment.aligned`.  align_copies: published 50 (paa) and 30 (taa).  align_noise: of paa; published
        0.003 at 64 pixels.  align_area, align_degrees: of taa, the least crop and the greatest turn;
        published 0.9 and 3 with GMI, 0.8 and 5 with KEDMI.
    """

    is_prefix_of_longer: ClassVar[bool] = True

    iterations: int = length_knob(2400)
    restarts: int = 5
    learning_rate: float = 0.02
    identity_weight: float = 100.0
    group: int = 60
    align: Literal["none", "paa", "taa"] = later_knob("none")
    align_copies: int = later_knob(30)
    align_noise: float = later_knob(0.003)
    align_area: float = later_knob(0.9)
    align_degrees: float = later_knob(3.0)

    def __post_init__(self) -> None:
        at_least(self, 1, "iterations", "restarts", "group")
        above(self, 0, "learning_rate")
        at_least(self, 0, "identity_weight", "align_degrees")
        at_least(self, 1, "align_copies")
        above(self, 0, "align_noise", "align_area")
        if self.align_area > 1:
            raise ValueError(f"align_area must be at most 1, the whole picture; got {self.align_area}")

    @property
    def views(self) -> int:
        """Return how many copies of an image the target sees in a step."""
        return 1 if self.align == "none" else self.align_copies

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a discriminator, which the search asks."""
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
        guide = self.guide(target, auxiliary, run.device)
        guide, beside = aligned(
            guide,
            self.align,
            copies=self.align_copies,
            noise=self.align_noise,
            area=self.align_area,
            degrees=self.align_degrees,
        )
        return self.search(guide, prior, identities, run=run, noise_size=beside + noise_size(target))
