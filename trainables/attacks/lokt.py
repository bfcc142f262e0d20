"""LOKT: a label-only search by the gradients of surrogates, which learnt the target's labels before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from trainables.attacks.base import Learnt, Passes, Reconstructions, ThreatModel
from trainables.attacks.optim.conditional import VIEWS, ConditionalSearch
from trainables.attacks.optim.descent import Guide
from trainables.errors import ConfigError
from trainables.nn.conditional_gan import ClassifyingDiscriminator
from trainables.nn.identity_losses import max_margin
from trainables.oracle import LabelOracle
from trainables.priors.base import PriorNetworks, inference_prior
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class LOKT(ConditionalSearch):
    """LOKT: Nguyen et al. 2023, "Label-Only Model Inversion Attacks via Knowledge Transfer".

    Follows the released code: PLG-MI's search, with the mean of the max-margin losses of the surrogates that
    the prior 'lokt' holds in place of the target's, each on two random views of its own; with no surrogates,
    the head of its discriminator. The target is asked nothing here: the queries reported are those that the
    prior was trained with, and are the same for any number of identities.
    """

    kind: ClassVar[str] = "lokt"
    summary: ClassVar[str] = "label-only: gradients of surrogates that learnt the target's labels"
    source: ClassVar[str] = "Nguyen et al., NeurIPS 2023 (LOKT)"
    threat_model: ClassVar[ThreatModel] = "labels"
    reports_prior_queries: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {"prior": {"kind": "lokt"}},
        "cpu": {
            "iterations": 100,
            "restarts": 1,
            "prior": {
                "kind": "lokt",
                "width": 16,
                "iterations": 2000,
                "warmup": 200,
                "critic_steps": 2,
                "batch_size": 32,
                "surrogates": ["small_cnn"],
                "images_per_class": 100,
                "surrogate_epochs": 5,
                "epoch_images": 5000,
                "surrogate_rate": 0.02,
            },
        },
    }

    def passes(self) -> Passes:
        """Return what one identity costs; the target has no part in it."""
        passes = Passes.descents(self.restarts, self.iterations, views=VIEWS * self.copies_seen)
        return replace(
            passes,
            target_forward=0,
            target_backward=0,
            surrogate_forward=passes.target_forward,
            surrogate_backward=passes.target_backward,
        )

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior makes images of an identity and learnt the target's labels."""
        super().check_prior(prior)
        if not isinstance(prior.discriminator, ClassifyingDiscriminator):
            raise ConfigError(
                f"attack 'lokt' expects a prior that learnt the target's labels; got one with a "
                f"{type(prior.discriminator).__name__} (prior); choose the prior 'lokt'"
            )

    def prepare_prior(self, prior: PriorNetworks, device: str) -> PriorNetworks:
        """Return copies as `Attack.prepare_prior` does; the discriminator holds the surrogates."""
        return inference_prior(prior, device, channels_last=True)

    def reconstruct(
        self, target: LabelOracle, prior: PriorNetworks, identities: Tensor, run: Run, auxiliary: Learnt
    ) -> Reconstructions:
        """Return (restarts, N) reconstructions; history: its ``prior_loss`` is 0."""
        critic = prior.discriminator
        assert isinstance(critic, ClassifyingDiscriminator)
        guides = [self._guide(network) for network in critic.surrogates] or [self._guide(critic.classify)]
        result = self.search(guides, [0] * len(guides), prior, identities, run=run)
        queries = int(critic.queries)
        return replace(result, queries=queries, shared_queries=queries)

    @staticmethod
    def _guide(logits: Callable[[Tensor], Tensor]) -> Guide:
        return lambda images, labels, noise: max_margin(logits(images), labels)
