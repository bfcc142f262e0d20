"""The base of priors: a generator, and perhaps a discriminator, trained on public images only."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from trainables.datasets.base import Images
from trainables.method import Method
from trainables.nn.inference import inference_copy
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.runtime.short_run import ShortRun, of_epochs

TargetView = Literal["nothing", "labels", "scores", "white-box"]
VIEWS: tuple[TargetView, ...] = (
    "nothing",
    "labels",
    "scores",
    "white-box",
)  # each shows what those before do


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


@dataclass(frozen=True, kw_only=True)
class Prior(Method):
    """The base of all priors: knobs, `build` and `train`. Register a subclass in ``priors.PRIORS``.

    needs_target: whether it is trained with the help of one target, and so once for each.
    threat_model: what it sees of that target while it is trained. An attack that sees less may not take it.
    measures_fit: whether its stage says how well it shows public images that it was not fitted to.
    """

    threat_model: ClassVar[TargetView]
    needs_target: ClassVar[bool] = False
    measures_fit: ClassVar[bool] = False

    @property
    def epochs(self) -> int:
        """Return the passes over the public images; as a knob, it is what a miniature run shortens to 1."""
        return 1

    @property
    def batch_size(self) -> int:
        """Return how many images a step takes."""
        return 64

    @property
    def drops_last_batch(self) -> bool:
        """Return whether a pass over the public images leaves out those that fill no whole batch."""
        return True

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return what to run, on `few` of the `public` images, to price it; classes: of the target."""
        return of_epochs(self, few, public)

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if a network that `build` leaves out without `classes` takes no such images."""

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; raise `ConfigError` if `image_size` does not fit.

        classes: of the target, for a prior that needs one; None builds it for two, to see whether it fits.
        """
        raise NotImplementedError

    def untrained(self, image_size: int, classes: int | None = None, *, run: Run) -> PriorNetworks:
        """Return networks of `build` to train: weights by the seed of `run`, on its device, in train mode."""
        torch.manual_seed(derive(run.seed, "prior", "weights"))
        networks = self.build(image_size, classes)
        networks.generator.to(run.device).train()
        networks.discriminator.to(run.device).train()
        return networks

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return networks trained on `public`. Deterministic for one seed, device and thread count.

        target: the `Classifier` under attack, on `device`, if `needs_target`; it is left as it is.
        """
        raise NotImplementedError

    def queries(self, networks: PriorNetworks, public: int) -> int | None:
        """Return how many images its target was asked about to train `networks` on so many `public` images.

        None where no target helps, or where its gradients do: who has those need not ask.
        """
        return None


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


def inference_prior(prior: PriorNetworks, device: str, *, channels_last: bool = False) -> PriorNetworks:
    """Return `prior` with lean copies of its networks, see `inference_copy`.

    channels_last: of the discriminator; measured, the instance norms of most lose more by it than their
    convolutions gain.
    """
    return replace(
        prior,
        generator=inference_copy(prior.generator, device),
        discriminator=inference_copy(prior.discriminator, device, channels_last),
    )
