"""The prior of LOKT: a conditional GAN and surrogates, taught by a target that shows only labels."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError
from trainables.method import named_knob
from trainables.nn.conditional_gan import (
    ClassifyingDiscriminator,
    ConditionalGenerator,
    check_size,
    with_labels,
)
from trainables.oracle import LabelOracle
from trainables.priors.base import PriorNetworks, TargetView, eval_mode
from trainables.priors.conditional import ConditionalGAN
from trainables.priors.surrogates import DENSENETS, build, check_names, teach
from trainables.priors.training_loop import Checkpoint, Order, Questions
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.runtime.short_run import ShortRun
from trainables.runtime.upload import upload


@dataclass(frozen=True, kw_only=True)
class LOKTPrior(ConditionalGAN):
    """LOKT's T-ACGAN and surrogates: Nguyen et al. 2023, "Label-Only Model Inversion Attacks via Knowledge
    Transfer". Follows the released code, as far as it was to be had.

    A residual GAN conditioned on the identity, whose discriminator has a second head that learns the label
    which the target gives to what is generated; the generator is pulled towards images that this head gives
    to their identity. Then surrogates learn the target's labels on generated images. The target is asked for
    labels alone. Latents end with the label, see `conditional_gan.ConditionalGenerator`.

    warmup: the first of the iterations, in which there are no labels. Published are 19,000 iterations and a
        warm-up of 1,000 to 6,000 by data set. The other knobs are those of `ConditionalGAN`.
    class_weight: of the heads' cross-entropies.
    surrogates: architectures, published three DenseNets; with none the discriminator's head does their work,
        which the paper calls C∘D.
    images_per_class: generated images whose labels are asked for, for the surrogates.
    surrogate_epochs, epoch_images, surrogate_batch, surrogate_rate: of `surrogates.teach`.

    Departures: surrogates start at random, where the released ones may start from ImageNet weights; the
    discriminator is PLG-MI's with two heads under spectral norm, as the released one was not to be had.
    """

    kind: ClassVar[str] = "lokt"
    summary: ClassVar[str] = "conditional GAN and surrogates that learn a target's labels (T-ACGAN)"
    source: ClassVar[str] = "Nguyen et al., NeurIPS 2023 (LOKT)"
    threat_model: ClassVar[TargetView] = "labels"
    needs_target: ClassVar[bool] = True

    iterations: int = 20_000
    batch_size: int = 128
    warmup: int = 1000
    class_weight: float = 1.5
    surrogates: tuple[str, ...] = named_knob(ARCHITECTURES, DENSENETS)
    images_per_class: int = 500
    surrogate_epochs: int = 200
    epoch_images: int = 30_000
    surrogate_batch: int = 256
    surrogate_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "images_per_class", "surrogate_epochs", "epoch_images")
        at_least(self, 2, "surrogate_batch")  # batch norm needs two
        at_least(self, 0, "warmup", "class_weight")
        above(self, 0, "surrogate_rate")
        check_names(self.surrogates, "surrogates")

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return runs of two and four iterations, each with its share of the surrogates' steps."""
        steps = self.surrogate_epochs * self._steps
        images = max(1, round(2 * steps / self.iterations)) * self.surrogate_batch
        enough = min(self.images_per_class, -(-self.surrogate_batch // classes))  # for a whole batch
        first = replace(
            self, iterations=2, warmup=0, images_per_class=enough, surrogate_epochs=1, epoch_images=images
        )
        return ShortRun(
            first=first,
            more=replace(first, iterations=4, epoch_images=2 * images),
            times=max(0.0, self.iterations / 2 - 1),
            asked=(self.images_per_class - enough) * classes if self.surrogates else 0,
        )

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if a surrogate does not take images of `image_size` pixels."""
        for name in self.surrogates:
            if name not in DENSENETS:  # which take all
                ARCHITECTURES[name].check_size(image_size, "image_size, seen by prior.surrogates")

    def build(self, image_size: int, classes: int | None = None) -> PriorNetworks:
        """Return the untrained networks; `image_size` must be a power of two, at least 32.

        Without `classes`, to see whether it fits, the surrogates are left out: DenseNets take seconds.
        """
        check_size(self.kind, image_size)
        count = 2 if classes is None else classes
        surrogates = [] if classes is None else [build(name, count, image_size) for name in self.surrogates]
        return PriorNetworks(
            ConditionalGenerator(self.latent_size, self.width, image_size, count),
            ClassifyingDiscriminator(self.width, image_size, count, surrogates),
            self.latent_size + 1,
        )

    @property
    def _steps(self) -> int:
        """Return the batches of a surrogate's epoch."""
        return max(1, self.epoch_images // self.surrogate_batch)

    def train(self, public: Images, *, run: Run, target: Any = None) -> PriorNetworks:
        """Return the networks; `target` is a `LabelOracle`, or a `Classifier` asked for labels alone."""
        if isinstance(target, Classifier):
            target = LabelOracle(target, run.device, run.seed)
        if not isinstance(target, LabelOracle):
            raise ConfigError(
                f"prior 'lokt' expects a target that answers with labels; got {type(target).__name__} (prior)"
            )
        questions = Questions(target)
        networks = self.untrained(public.pixels.shape[-1], target.classes, run=run)
        asked = -(-target.classes * self.images_per_class // self.surrogate_batch) if self.surrogates else 0
        total = (
            self.iterations + asked + len(self.surrogates) * self.surrogate_epochs * self._steps
        )  # batches
        self._adversarial(networks, target, questions, public, total, run=run)
        networks.generator.eval().requires_grad_(False)
        self._surrogates(networks, target, questions, total, run=run)
        networks.discriminator.queries.fill_(questions.asked)  # type: ignore[operator]
        return eval_mode(networks)

    def queries(self, networks: PriorNetworks, public: int) -> int:
        """Return the labels asked for: of batches of generated images, and of those for the surrogates."""
        critic = networks.discriminator
        assert isinstance(critic, ClassifyingDiscriminator)
        return int(critic.queries)

    def _adversarial(
        self,
        networks: PriorNetworks,
        target: LabelOracle,
        questions: Questions,
        public: Images,
        total: int,
        *,
        run: Run,
    ) -> None:
        generator, critic = networks.generator, networks.discriminator
        assert isinstance(critic, ClassifyingDiscriminator)
        heads = [*critic.trunk.parameters(), *critic.score.parameters(), *critic.labels.parameters()]
        noise = run.stream("prior", "noise")
        order = Order(len(public), self.batch_size, run.stream("prior", "order"), goes_on=True)
        checkpoint = Checkpoint(  # without the surrogates: large, and not trained yet
            run,
            generator=generator,
            trunk=critic.trunk,
            score=critic.score,
            labels=critic.labels,
            noise=noise,
            order=order,
            questions=questions,
        )

        def generator_loss(latents: Tensor, labels: Tensor, iteration: int) -> Tensor:
            score, logits = critic.both(generator(latents))
            loss = functional.softplus(-score).mean()  # -ln sigmoid: binary cross-entropy with "real"
            if iteration > self.warmup:
                loss = loss + self.class_weight * functional.cross_entropy(logits, labels)
            return loss

        def critic_loss(fake: Tensor, _: Tensor, iteration: int) -> Tensor:
            real = as_float(upload(public.pixels[next(order)], run.device))
            score, logits = critic.both(fake)
            loss = functional.softplus(score).mean() + functional.softplus(-critic(real)).mean()
            if iteration > self.warmup:
                loss = loss + self.class_weight * functional.cross_entropy(logits, target(fake))
            return loss

        self.take_turns(
            networks,
            target.classes,
            generator_loss,
            critic_loss,
            noise,
            run=run,
            checkpoint=checkpoint,
            critic_weights=heads,
            units=total,
        )

    def _surrogates(
        self, networks: PriorNetworks, target: LabelOracle, questions: Questions, total: int, *, run: Run
    ) -> None:
        critic = networks.discriminator
        assert isinstance(critic, ClassifyingDiscriminator)
        if not len(critic.surrogates):
            return
        identities = torch.arange(target.classes).repeat_interleave(self.images_per_class)
        noise = run.stream("prior", "surrogate images")
        latents = with_labels(torch.randn(len(identities), self.latent_size, generator=noise), identities)

        @torch.no_grad()
        def images(index: Tensor) -> Tensor:
            made: Tensor = networks.generator(upload(latents[index], run.device))
            return made

        order = torch.arange(len(identities))
        labels = torch.empty(len(identities), dtype=torch.int64, device=run.device)
        answers = Checkpoint(run, "answers", labels=labels, questions=questions)
        parts = torch.split(order, self.surrogate_batch)
        before = self.iterations
        if not answers.done:
            for number, part in enumerate(parts, 1):
                labels[upload(part, run.device)] = target(images(part))
                run.report("prior", before + number, total)
            answers.save(1)
        before += len(parts)
        for number, network in enumerate(critic.surrogates):
            torch.manual_seed(derive(run.seed, "prior", "surrogate", number))  # for dropout
            teach(
                network,
                images,
                labels,
                epochs=self.surrogate_epochs,
                steps=self._steps,
                batch_size=self.surrogate_batch,
                learning_rate=self.surrogate_rate,
                generator=run.stream("prior", "surrogate", number),
                run=run,
                before=before,
                units=total,
                checkpoint=Checkpoint(run, f"surrogate-{number}-by-batches", network=network),
            )
            before += self.surrogate_epochs * self._steps
