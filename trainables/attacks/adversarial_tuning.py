"""PPDG-MI's tuning of a GAN and its critic: they train on, reconstructions among the images. No attack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import Auxiliary, Learnt, Passes, all_chunks, chunk_size
from trainables.attacks.pseudo_private import PseudoPrivate, copied
from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError, TrialError
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.critic import Critic
from trainables.oracle import LabelOracle, Oracle
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.priors.gmi import adversarial_steps
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.short_run import ShortRun
from trainables.runtime.upload import upload
from trainables.training.batches import shuffled


@dataclass(frozen=True, kw_only=True)
class PublicImages(Auxiliary):
    """Public images for an attack that trains a GAN on. images: at most, drawn at random."""

    kind: ClassVar[str] = "public_images"
    summary: ClassVar[str] = "a copy of public images, for attacks that tune the prior"
    source: ClassVar[str] = "Peng et al., NeurIPS 2024 (PPDG-MI)"
    needs_target: ClassVar[bool] = False

    images: int = 30_000

    def __post_init__(self) -> None:
        at_least(self, 1, "images")

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return the recipe itself: nothing is learnt."""
        return ShortRun(first=self)

    def make(self, target: Any, public: Images, *, run: Run) -> dict[str, Any]:
        """Return ``public``, uint8 (n, 3, S, S)."""
        run.report("auxiliary", 1, 1)
        order = torch.randperm(len(public), generator=run.stream("auxiliary", "public"))
        return {"public": public.pixels[order[: self.images]]}


@dataclass(frozen=True, kw_only=True)
class AdversarialTuning(PseudoPrivate):
    """Tunes generator and critic by WGAN-GP on public images and reconstructions, as released for 64 pixels.

    All weights of both are trained as those of the prior `gmi`, on batches of both kinds mixed at random.

    rating_views: random views of each reconstruction over which the target rates it, see `rate`.
    public_images: at most; published all 30,000.  epochs: passes over them in one tuning.
    batch_size, tuning_rate, critic_steps: as those of the prior.
    """

    rating_views: int = 100
    public_images: int = 30_000
    epochs: int = 10
    batch_size: int = 64
    tuning_rate: float = 2e-4
    critic_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "rating_views", "public_images", "epochs", "batch_size", "critic_steps")
        above(self, 0, "tuning_rate")

    @property
    def auxiliary(self) -> PublicImages:
        """Return the recipe of the public images."""
        return PublicImages(images=self.public_images)

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior is a GAN whose critic scores each image."""
        super().check_prior(prior)
        critic = prior.discriminator
        trained = all(any(True for _ in network.parameters()) for network in (prior.generator, critic))
        if not trained or isinstance(critic, Critic):
            raise ConfigError(
                f"attack '{self.kind}' expects a GAN whose critic scores each image; got "
                f"{type(prior.generator).__name__} and {type(critic).__name__} (prior); choose "
                "prior kind 'gmi'"
            )

    def tuned_on(self, public: int) -> int:
        """Return how many images one tuning passes over, of so many public ones."""
        return min(self.public_images, public) + min(self.points, self.restarts)

    def tuning_passes(self) -> Passes:
        """Return what tuning the prior once costs, with as many public images as it takes at most."""
        images = self.epochs * (self.public_images + self.points)
        return Passes(generator_forward=images, generator_backward=images, target_forward=0)

    def tune(
        self, prior: PriorNetworks, pictures: Tensor, use: Sequence[object], run: Run, auxiliary: Learnt
    ) -> PriorNetworks:
        """Return the prior after `epochs` more; as `PseudoPrivate.tune`; `TrialError` if it diverges."""
        if auxiliary is None:
            raise ConfigError(
                f"attack '{self.kind}' expects public images; got none (auxiliary); make them first: "
                "attack.auxiliary.make(target, …)"
            )
        pixels = torch.cat((auxiliary["public"], pictures))
        tuned = copied(prior)
        for network in (tuned.generator, tuned.discriminator):
            network.requires_grad_(True)
        order, noise = (run.stream(self.kind, purpose, *use) for purpose in ("order", "noise"))

        def batches() -> Iterator[Tensor]:
            for epoch in range(self.epochs):
                run.report("attack", epoch, self.epochs)
                for index in shuffled(len(pixels), self.batch_size, order):
                    yield as_float(upload(pixels[index], run.device))

        steps = adversarial_steps(
            tuned.generator,
            tuned.discriminator,
            batches(),
            lambda count: upload(torch.randn(count, prior.latent_size, generator=noise), run.device),
            lambda count: upload(torch.rand(count, 1, 1, 1, generator=noise), run.device),
            learning_rate=self.tuning_rate,
            critic_steps=self.critic_steps,
        )
        losses = [loss for loss, _ in steps]
        if not torch.isfinite(losses[-1]):
            raise TrialError(
                f"the critic's loss is not finite after {len(losses)} steps of tuning the prior "
                f"(tuning_rate {self.tuning_rate})"
            )
        return eval_mode(tuned)

    @property
    def questions(self) -> int:
        """Return how many images the target is shown to rate an identity's reconstructions."""
        return self.restarts * self.rating_views

    def best(self, target: Any, pictures: Tensor, use: Sequence[object], run: Run) -> Tensor:
        """Return the `points` reconstructions of which the target is surest; see `PseudoPrivate.best`."""
        order = self.rate(target, pictures, use, run).argsort(descending=True, stable=True)
        return pictures[order[: self.points]]

    def rate(self, target: Any, pictures: Tensor, use: Sequence[object], run: Run) -> Tensor:
        """Return how sure the target is of reconstructions (R, 3, S, S) of an identity: means, (R,).

        Over `rating_views` random crops, changes of colour, flips and turns of each, as in the released code.
        Where only labels are seen, the share of views that have the identity's.
        """
        identity = int(str(use[0]))
        size = target.noise_size
        generator = run.stream(self.kind, "views", *use)
        draws = torch.randn(len(pictures) * self.rating_views, AUGMENTATION_DRAWS, generator=generator)
        noise = torch.randn(len(draws), size, generator=generator)

        def work(first: int, stop: int) -> Tensor:
            rows = torch.arange(first, stop) // self.rating_views
            images = random_augmentation(
                pictures[rows].to(run.device).float() / 255, draws[first:stop].to(run.device)
            )
            if isinstance(target, Oracle):
                told = target(images, noise[first:stop])
            else:
                with head_noise(target, noise[first:stop]):
                    told = target(images).softmax(1)
            own: Tensor = (told == identity).float() if isinstance(target, LabelOracle) else told[:, identity]
            return own

        return all_chunks(len(draws), chunk_size(run), work).reshape(-1, self.rating_views).mean(1)
