"""GANs of GMI and KEDMI: their knobs, and the running average of their generators."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from trainables.nn.dcgan import update_ema
from trainables.priors.base import Prior, PriorNetworks
from trainables.priors.training_loop import Checkpoint, train_loop
from trainables.runtime.checks import above, at_least, fraction
from trainables.runtime.run import Run


@dataclass(frozen=True, kw_only=True)
class AveragedGAN(Prior):
    """Knobs that both share.

    width: channels before the last layer; 64 is the published net at 64 pixels.
    epochs: passes over the public images, one step of the discriminator per batch.
    critic_steps: steps of the discriminator per step of the generator.
    averaging: decay, per generator step, of the running average of the generator's weights that is kept;
        0 keeps the last weights. It starts over from the weights after a tenth of the steps. A departure, off
        by default: a short training gives clearer images from the average of its late generators.
    """

    latent_size: int = 100
    width: int = 64
    epochs: int = 120
    batch_size: int = 64
    learning_rate: float = 2e-4
    critic_steps: int = 5
    averaging: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, 1, "latent_size", "width", "epochs", "critic_steps")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate")
        if self.averaging:
            fraction(self, "averaging")

    def steps(self, images: int) -> int:
        """Return how many steps of the discriminator a training on `images` public images has."""
        return self.epochs * max(1, images // self.batch_size)

    def fit(
        self,
        networks: PriorNetworks,
        steps: Iterable[tuple[Tensor, Tensor | None]],
        images: int,
        *,
        run: Run,
        checkpoint: Checkpoint | None = None,
    ) -> PriorNetworks:
        """Return `networks` after `steps` on `images` public images, with the average if it is wanted.

        steps: yield the discriminator's loss and, when it stepped, the generator's.
        checkpoint: as in `train_loop`.
        """
        total, checkpoint = self.steps(images), checkpoint or Checkpoint()
        average = networks.generator
        if self.averaging:
            average = copy.deepcopy(networks.generator)
            checkpoint.hold(average=average)

        def averaged() -> Iterator[Mapping[str, Tensor]]:
            for done, (critic_loss, generator_loss) in enumerate(steps, start=checkpoint.done + 1):
                if generator_loss is not None and self.averaging:
                    update_ema(average, networks.generator, self.averaging if done > total // 10 else 0.0)
                yield {"critic_loss": critic_loss}

        train_loop(averaged(), total, run=run, checkpoint=checkpoint)
        return replace(networks, generator=average)
