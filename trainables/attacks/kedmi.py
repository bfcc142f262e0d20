"""KEDMI: learn, for each identity, a Gaussian of latents whose images the target gives to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import noise_size
from trainables.attacks.base import Reconstructions, ThreatModel, check_fit
from trainables.attacks.optim.descent import guided, inference_prior
from trainables.attacks.optim.gaussian import GaussianSearch
from trainables.nn.identity_losses import cross_entropy
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class KEDMI(GaussianSearch):
    """KEDMI: Chen et al. 2021, "Knowledge-Enriched Distributional Model Inversion Attacks".

    Minimises softplus(-D(G(z))) + identity_weight * cross-entropy(T(G(z)), identity) over the Gaussian that z
    is drawn from; the knobs are those of `GaussianSearch`. Published with the prior `kedmi`, whose
    discriminator compares the identities of a `group`.

    Preset "tl_dmi": as in that paper's code, 3000 steps from log-variance 0.
    """

    kind: ClassVar[str] = "kedmi"
    summary: ClassVar[str] = "a Gaussian of GAN latents per identity, cross-entropy and realism"
    source: ClassVar[str] = "Chen et al., ICCV 2021 (KEDMI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"prior": {"kind": "kedmi"}},
        "tl_dmi": {"iterations": 3000, "log_variance": 0.0, "prior": {"kind": "kedmi"}},
        "cpu": {
            "iterations": 300,
            "prior": {
                "kind": "kedmi",
                "width": 16,
                "epochs": 12,
                "batch_size": 32,
                "learning_rate": 5e-4,
                "critic_steps": 2,
            },
        },
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
