"""GMI: descend in the latent space of a GAN towards images that the target gives to an identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from trainables.attacks.adversarial_tuning import AdversarialTuning
from trainables.attacks.base import ThreatModel
from trainables.attacks.optim.latent import LatentSearch
from trainables.method import length_knob


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


@dataclass(frozen=True, kw_only=True)
class PPDGGMI(AdversarialTuning, LatentSearch):
    """PPDG-MI on GMI: Peng et al. 2024, "Pseudo-Private Data Guided Model Inversion Attacks".

    The knobs are those of `LatentSearch` and `AdversarialTuning`; the defaults are those of the released
    script for 64 pixels, whose 1,000 candidates are restarts here.
    """

    kind: ClassVar[str] = "ppdg_gmi"
    summary: ClassVar[str] = "GMI twice: its best images tune the GAN in between, for each identity"
    source: ClassVar[str] = "Peng et al., NeurIPS 2024 (PPDG-MI)"
    threat_model: ClassVar[ThreatModel] = "white-box"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {},
        "cpu": {
            "iterations": 100,
            "restarts": 8,
            "points": 4,
            "rating_views": 16,
            "public_images": 500,
            "epochs": 2,
            "batch_size": 32,
            "critic_steps": 2,
        },
    }

    iterations: int = length_knob(1200)
    restarts: int = 1000
