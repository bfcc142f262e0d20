"""GMI: descend in the latent space of a GAN towards images that the target gives to an identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trainables.attacks.base import ThreatModel
from trainables.attacks.optim.latent import LatentSearch


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
