"""KEDMI: learn, for each identity, a Gaussian of latents whose images the target gives to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trainables.attacks.base import ThreatModel
from trainables.attacks.optim.gaussian import CPU_PRIOR, GaussianSearch


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
        "cpu": {"iterations": 300, "prior": CPU_PRIOR},
    }
