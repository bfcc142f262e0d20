"""PLG-MI: descend in the latent space of a GAN that was taught the target's classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Learnt, Passes, Reconstructions, ThreatModel
from trainables.attacks.optim.conditional import VIEWS, ConditionalSearch
from trainables.attacks.optim.descent import guided
from trainables.nn.identity_losses import max_margin
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class PLG(ConditionalSearch):
    """PLG-MI: Yuan et al. 2023, "Pseudo Label-Guided Model Inversion Attack"; follows the released code.

    Minimises the sum over two random views of max-margin(T(view(G(z, identity))), identity) over z, with Adam
    and no prior loss, from `restarts` starts. It wants the prior 'plg', or another that makes images of an
    identity. See `random_augmentation` for where views depart from the released ones.
    """

    kind: ClassVar[str] = "plg"
    summary: ClassVar[str] = "gradient descent on latents of a GAN conditioned on the identity, max-margin"
    source: ClassVar[str] = "Yuan et al., AAAI 2023 (PLG-MI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"prior": {"kind": "plg"}},
        "cpu": {
            "iterations": 100,
            "restarts": 1,
            "prior": {"kind": "plg", "width": 16, "iterations": 2000, "critic_steps": 2, "batch_size": 32},
        },
    }

    def passes(self) -> Passes:
        """Return what one identity costs."""
        return Passes.descents(self.restarts, self.iterations, views=VIEWS * self.copies_seen)

    def reconstruct(
        self, target: Classifier, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; history: its ``prior_loss`` is 0."""
        return self.search([guided(target, max_margin)], [target.noise_size], prior, identities, run=run)
