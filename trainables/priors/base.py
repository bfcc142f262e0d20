"""What every prior is: a generator, and perhaps a discriminator, trained on public images only."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from trainables.datasets.base import Images
from trainables.runtime.progress import Report


@dataclass(frozen=True)
class PriorNetworks:
    """A trained prior in eval mode, gradients of its weights off.

    generator: latents (N, latent_size) -> images (N, 3, S, S) in [0, 1].
    discriminator: images -> realism scores (N,), unbounded, higher is more real; ``nn.Identity()`` where the
    attacks on this prior ask for none.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent_size: int


class Prior(Protocol):
    """A frozen dataclass of knobs. Register it in ``priors.PRIORS``.

    needs_target: whether it is trained with the help of one target, and so once for each.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    needs_target: ClassVar[bool]

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; raise `ConfigError` if `image_size` does not fit.

        classes: of the target, for a prior that needs one; None builds it for two, to see whether it fits.
        """
        ...

    def train(
        self, public: Images, *, seed: int, device: str, report: Report, target: Any = None
    ) -> PriorNetworks:
        """Return networks trained on `public`. Deterministic for one seed, device and thread count.

        target: the `Classifier` under attack, on `device`, if `needs_target`; it is left as it is.
        """
        ...


def state(networks: PriorNetworks) -> dict[str, Any]:
    """Return the weights of both networks, on the CPU, for ``torch.save``."""
    return {
        name: {k: v.detach().cpu() for k, v in getattr(networks, name).state_dict().items()}
        for name in ("generator", "discriminator")
    }


def restore(networks: PriorNetworks, saved: dict[str, dict[str, Tensor]]) -> PriorNetworks:
    """Load what `state` returned and return the networks ready for an attack (eval, no weight gradients)."""
    for name in ("generator", "discriminator"):
        getattr(networks, name).load_state_dict(saved[name])
    return eval_mode(networks)


def eval_mode(networks: PriorNetworks) -> PriorNetworks:
    """Put both networks into eval mode and switch the gradients of their weights off."""
    networks.generator.eval().requires_grad_(False)
    networks.discriminator.eval().requires_grad_(False)
    return networks
