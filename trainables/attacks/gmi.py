"""GMI: descend in the latent space of a GAN towards images that the target gives to an identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import noise_size
from trainables.attacks.base import Reconstructions, ThreatModel, check_fit
from trainables.attacks.optim.descent import guided, inference_prior
from trainables.attacks.optim.latent import LatentSearch
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class GMI(LatentSearch):
    """GMI: Zhang et al. 2020, "The Secret Revealer", with the settings of the later 64-pixel face protocol.

    Minimises -D(G(z)) + identity_weight * cross-entropy(T(G(z)), identity) over z; the knobs are those of
    `LatentSearch`.
    """

    kind: ClassVar[str] = "gmi"
    summary: ClassVar[str] = "gradient descent on GAN latents, cross-entropy and critic score"
    source: ClassVar[str] = "Zhang et al., CVPR 2020 (GMI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {"iterations": 300, "restarts": 1},
    }

    def invert(
        self,
        target: Classifier,
        prior: PriorNetworks,
        identities: Tensor,
        *,
        run: Run,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; see `Attack.invert`."""
        target, prior = inference_copy(target, run.device), inference_prior(prior, run.device)
        check_fit(target, prior, identities, run.device)
        return self.search(
            guided(target, cross_entropy), prior, identities, noise_size=noise_size(target), run=run
        )
