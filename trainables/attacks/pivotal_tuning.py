"""PPDG-MI's tuning of a StyleGAN2: usual styles are made to give the reconstructions. No attack."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from trainables.attacks.base import Learnt, Passes
from trainables.attacks.optim.descent import ramp
from trainables.attacks.optim.styles import StyleGenerator, style_generator
from trainables.attacks.perceptual import FeatureName, Perceptual
from trainables.attacks.pseudo_private import PseudoPrivate, copied
from trainables.errors import TrialError
from trainables.nn.critic import NoDiscriminator
from trainables.nn.optimizers import gradient_step
from trainables.priors.base import PriorNetworks, eval_mode
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.upload import upload

# Of StyleGAN2's projector, as the released code has them.
SAMPLES = 600  # random styles, of which the mean is the start
JITTER = 0.05  # deviation of the noise on a style, in deviations of all styles
CALM = 0.75  # share of the steps after which there is none
REALISM = 0.1  # weight of softplus(-D)


@dataclass(frozen=True, kw_only=True)
class PivotalTuning(PseudoPrivate):
    """Tunes the generator point by point, as released for high resolutions ("PPDG-PW").

    A descent from the mean style finds, for each reconstruction, a usual style whose picture is near it, the
    pivot. Then the weights of the generator move until the pivots give the reconstructions.

    inversion_steps, inversion_rate: of the search for pivots, by Adam with MIRROR's ramp. The released code
        states .005 and in fact uses .01.
    tuning_steps, tuning_rate: of the weights, by Adam.
    features: of the distance of pictures, see `perceptual.Perceptual`; those of VGG16 are downloaded on first
        use.

    Departures: the reconstructions have 8 bits and the part of the picture that targets see; the distance
    has no learnt weights; MMD and conditional transport, the paper's two other distances, are not here.
    """

    points: int = 5
    inversion_steps: int = 300
    inversion_rate: float = 0.005
    tuning_steps: int = 150
    tuning_rate: float = 3e-4
    features: FeatureName = "vgg16"

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "inversion_steps", "tuning_steps")
        above(self, 0, "inversion_rate", "tuning_rate")

    def check_prior(self, prior: PriorNetworks) -> None:
        """Raise `ConfigError` unless the prior has a style space."""
        super().check_prior(prior)
        style_generator(prior, self.kind)

    def tuning_passes(self) -> Passes:
        """Return what tuning the prior once costs, without the features."""
        images = self.points * (self.inversion_steps + self.tuning_steps)
        return Passes(generator_forward=images, generator_backward=images, target_forward=0)

    def tune(
        self, prior: PriorNetworks, pictures: Tensor, use: Sequence[object], run: Run, auxiliary: Learnt
    ) -> PriorNetworks:
        """Return the prior with a tuned generator; see `PseudoPrivate.tune`."""
        distance = Perceptual(self.features).to(run.device)
        images = upload(pictures, run.device).float() / 255
        pivots = self.pivots(prior, images, distance, use, run)
        tuned = copied(prior)
        generator = style_generator(tuned, self.kind)
        weights = list(tuned.generator.requires_grad_(True).parameters())
        optimizer = torch.optim.Adam(weights, lr=self.tuning_rate)
        for number in range(self.tuning_steps):
            loss = distance(picture(generator, pivots), images).mean()
            gradient_step(optimizer, loss)
            run.report("attack", self.inversion_steps + number, self.inversion_steps + self.tuning_steps)
        if not torch.isfinite(loss):
            raise TrialError(
                f"the distance from the reconstructions is not finite after {self.tuning_steps} steps of "
                f"tuning the prior (tuning_rate {self.tuning_rate})"
            )
        return eval_mode(tuned)

    def pivots(
        self, prior: PriorNetworks, images: Tensor, distance: Perceptual, use: Sequence[object], run: Run
    ) -> Tensor:
        """Return usual styles (P, W) whose pictures are near `images` (P, 3, S, S), both on the device."""
        generator = style_generator(prior, self.kind)
        stream = run.stream(self.kind, "pivots", *use)
        with torch.no_grad():
            drawn = torch.randn(SAMPLES, prior.latent_size, generator=stream)
            styles = generator.style(upload(drawn, run.device))
            mean = styles.mean(0)
            deviation = (styles - mean).square().sum(1).mean().sqrt()
        pivots = mean.repeat(len(images), 1).requires_grad_(True)
        optimizer = torch.optim.Adam([pivots], lr=self.inversion_rate)
        for number in range(self.inversion_steps):
            done = number / self.inversion_steps
            optimizer.param_groups[0]["lr"] = ramp(self.inversion_rate, number, self.inversion_steps)
            noise = upload(torch.randn(pivots.shape, generator=stream), run.device)
            moved = pivots + noise * deviation * JITTER * max(0.0, 1 - done / CALM) ** 2
            whole = generator.synthesis(moved)
            loss = distance(generator.view(whole), images).sum()
            if not isinstance(prior.discriminator, NoDiscriminator):
                loss = loss + REALISM * functional.softplus(-prior.discriminator(whole)).sum()
            gradient_step(optimizer, loss)
            run.report("attack", number, self.inversion_steps + self.tuning_steps)
        return pivots.detach()


def picture(generator: StyleGenerator, styles: Tensor) -> Tensor:
    """Return what targets see of styles (n, W), (n, 3, S, S), not clipped."""
    return generator.view(generator.synthesis(styles))
