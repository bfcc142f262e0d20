"""Train a classifier: a target under a defense, and just as well a backbone or an evaluation classifier."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Literal

import torch
from torch import Tensor, nn

from trainables.architectures import ARCHITECTURES, get_architecture
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.datasets.base import Images
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, Rule, Training
from trainables.errors import ConfigError, TrialError
from trainables.method import later_knob, named_knob
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive, stream
from trainables.runtime.upload import upload
from trainables.training.batches import by_identity, draw_augmentation, no_augmentation, poisson, shuffled
from trainables.training.checkpoint import Checkpoint
from trainables.training.computation import autocast, computation
from trainables.training.freeze import FrozenBatchnorm, freeze, frozen_stages, training_mode
from trainables.training.frozen_name import frozen_name
from trainables.training.frozen_prefix import Prefix, cacheable_variants
from trainables.training.recipe import Recipe
from trainables.training.schedule import make_schedule

_TELL_SECONDS = 5.0  # between two reports within an epoch

Normalization = Literal["none", "imagenet", "half"]

MEAN_AND_STD: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True, kw_only=True)
class Target(Recipe):
    """A recipe and what it is for: the network, and what of it is frozen.

    The defaults are the undefended recipe of the KED-MI code: SGD 0.01, 50 epochs, batch 64, mirroring.

    freeze_point: name of the last frozen stage, or "none".
    trained: names of the only stages that are trained, all others being frozen, before and after them; None
        goes by `freeze_point`, which must be "none" beside it. Neck and head are always trained.
    frozen_batchnorm: "eval" keeps frozen batch norm as pre-training left it; "train" lets its running
        statistics follow the private images, as TL-DMI's code does.
    normalization: pixel mean and deviation, inside the network: "none", "imagenet", or "half" for [-1, 1].
    kept_epoch: stop after this epoch of `epochs` and keep its weights, whatever the validation says: a
        checkpoint of the training that goes on to its end otherwise. None keeps the best epoch.
    """

    architecture: str = named_knob(ARCHITECTURES)
    freeze_point: str = "none"
    frozen_batchnorm: FrozenBatchnorm = "eval"
    normalization: Normalization = "none"
    kept_epoch: int | None = later_knob(None)
    trained: tuple[str, ...] | None = later_knob(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "kept_epoch")
        if self.kept_epoch is not None and self.kept_epoch > self.epochs:
            raise ValueError(
                f"kept_epoch must be at most {self.epochs}, the epochs of the training (epochs); got "
                f"{self.kept_epoch}"
            )
        if self.trained is not None and self.freeze_point != "none":
            raise ValueError(
                f"freeze_point must be 'none' beside trained, which names what is trained; got "
                f"'{self.freeze_point}' and {list(self.trained)} (target.freeze_point, target.trained); set "
                "one of them"
            )

    @property
    def frozen(self) -> str:
        """Return what is frozen in words, "none" if nothing is: see `frozen_name`."""
        return frozen_name({"freeze_point": self.freeze_point, "trained": self.trained})

    def shortened(self, epochs: int) -> "Target":
        """Return the recipe with so many epochs; see `Recipe.shortened`."""
        return Recipe.shortened(replace(self, kept_epoch=None), epochs)

    def unfrozen(self) -> "Target":
        """Return the same recipe with every stage trained."""
        return replace(self, freeze_point="none", trained=None)


@dataclass(frozen=True)
class Trained:
    """Record of a training.

    history: per epoch a dict of epoch (from 1), loss, train_accuracy and validation_accuracy.
    best_epoch: the epoch whose weights were kept, the earliest of the best validation accuracy.
    images_seen: share of the training images that an epoch shows at least once, in (0, 1], the mean over
        epochs; what is left out differs from epoch to epoch.
    kept: what the rule of the defense had beside those weights.
    """

    history: list[dict[str, float]]
    best_epoch: int
    validation_accuracy: float
    images_seen: float
    kept: dict[str, Tensor] = field(default_factory=dict)


def build_classifier(
    architecture: str, classes: int, image_size: int, normalization: Normalization, seed: int
) -> Classifier:
    """Return the classifier with random weights from `seed`, on the CPU.

    torch's global generator stays seeded, so new layers that a defense adds next are reproducible too.
    Raises `ConfigError` for an unknown architecture, and for images of a size that it does not take.
    """
    entry = get_architecture(architecture)
    entry.check_size(image_size)
    torch.manual_seed(derive(seed, "weights"))
    classifier = entry.build(classes, image_size)
    mean, std = MEAN_AND_STD[normalization]
    classifier.mean.copy_(torch.tensor(mean).view(1, 3, 1, 1))
    classifier.std.copy_(torch.tensor(std).view(1, 3, 1, 1))
    return classifier


def train_classifier(
    classifier: Classifier,
    recipe: Target,
    defense: Defense,
    train: Images,
    validation: Images,
    *,
    run: Run,
    stage: str = "target",
    kept_epoch: int | None = None,
) -> Trained:
    """Train `classifier` in place and leave it in eval mode with the weights of its best epoch.

    The best epoch is the earliest with the highest accuracy on `validation`. kept_epoch: train up to this
    epoch instead, and keep its weights whatever `validation` says; None takes the recipe's own. `defense`
    has prepared the classifier before. Stages that are frozen before the first trained one run outside
    autograd, and once only where their output cannot vary (see `Prefix`). Deterministic for one seed, device
    and thread count, also where it was killed between and goes on after the last whole epoch that
    `run.resume` holds, which is written where that is due. Raises `TrialError` if an epoch's loss is not
    finite, `ConfigError` if there is nothing to validate on.
    """
    if len(train) < 2 or len(validation) == 0:
        raise ConfigError(
            f"training expects at least 2 training images and 1 validation image, got {len(train)} and "
            f"{len(validation)} (stage '{stage}'); use more images per identity"
        )
    with computation(classifier.to(run.device), recipe):
        return _train(
            classifier,
            recipe,
            defense,
            train,
            validation,
            run=run,
            stage=stage,
            kept_epoch=recipe.kept_epoch if kept_epoch is None else kept_epoch,
        )


def _train(
    classifier: Classifier,
    recipe: Target,
    defense: Defense,
    train: Images,
    validation: Images,
    *,
    run: Run,
    stage: str,
    kept_epoch: int | None,
) -> Trained:
    frozen = freeze(classifier, recipe.freeze_point, recipe.frozen_batchnorm, recipe.trained)
    still = frozen_stages(classifier, recipe.freeze_point, recipe.trained)
    optimizer = make_optimizer(classifier, recipe)
    schedule = make_schedule(optimizer, recipe)
    rule = defense.begin(
        Training(
            classifier=classifier,
            optimizer=optimizer,
            frozen=frozen,
            epochs=recipe.epochs,
            images=train,
            batch_size=recipe.batch_size,
            seed=derive(run.seed, stage, "rule"),
        )
    )
    epochs = kept_epoch or recipe.epochs + defense.extra_epochs

    def within(epoch: int, images: int) -> None:
        count = len(train)
        run.report(stage, (epoch - 1) * count + min(images, count - 1), epochs * count)

    batchnorm, keep = recipe.frozen_batchnorm, cacheable_variants(recipe.augmentation)
    order, views, noise = (run.stream(stage, name) for name in ("order", "views", "noise"))
    one_pass = _Pass(
        classifier=classifier,
        recipe=recipe,
        rule=rule,
        train=train,
        labels=train.labels.to(run.device),
        prefix=Prefix(
            classifier,
            0 if rule.makes_inputs else frozen,
            train.pixels,
            keep=keep,
            batchnorm=batchnorm,
        ),
        views=views,
        noise=noise,
        device=run.device,
        tell=within,
    )
    unseen = Prefix(classifier, frozen, validation.pixels, keep=1, batchnorm=batchnorm)
    checkpoint = Checkpoint(
        resume=run.resume,
        name=stage,
        classifier=classifier,
        optimizer=optimizer,
        schedule=schedule,
        rule=rule,
        generators=(order, views, noise),
    )
    loop = _Loop(**(checkpoint.restore() or {}))
    for epoch in range(len(loop.history) + 1, epochs + 1):
        training_mode(classifier, still, recipe.frozen_batchnorm)
        torch.manual_seed(derive(run.seed, stage, "layers", epoch))  # dropout, where a network has it
        batches = batches_of(train.labels, recipe, defense, order)
        mean_loss, train_accuracy, distinct = one_pass(epoch, batches)
        loop.distinct += distinct
        if epoch < recipe.epochs:
            schedule.step()
        if not math.isfinite(mean_loss):
            raise TrialError(
                f"the training loss of '{stage}' is not finite in epoch {epoch} of {epochs} "
                f"(defense '{defense.kind}', learning_rate {recipe.learning_rate}); take a lower learning "
                "rate, or lower weights of the defense"
            )
        reached = _hits(classifier, unseen, validation.labels, batch_size=256).double().mean().item()
        row = {"loss": mean_loss, "train_accuracy": train_accuracy, "validation_accuracy": reached}
        loop.history.append({"epoch": float(epoch), **row})
        better = reached > loop.best_accuracy and rule.may_be_chosen(epoch)
        if better if kept_epoch is None else epoch == kept_epoch:
            loop.keep(epoch, reached, classifier, rule)
        run.report(stage, epoch, epochs, **row)
        if run.resume.due():
            checkpoint.save(vars(loop))
    return loop.end(classifier, rule, epochs * len(train))


@dataclass
class _Loop:
    """What a training has come to so far, all of which its checkpoint holds; fields as in `Trained`."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_accuracy: float = -1.0
    distinct: int = 0

    def keep(self, epoch: int, reached: float, classifier: Classifier, rule: Rule) -> None:
        """Keep the weights as they are after `epoch`, which `reached` this validation accuracy."""
        self.best_epoch, self.best_accuracy = epoch, reached
        self.best = _copies(classifier.state_dict())
        self.kept = _copies(rule.kept())

    def end(self, classifier: Classifier, rule: Rule, images: int) -> Trained:
        """Leave `classifier` with the weights that were kept; images: shown in all epochs, each once."""
        kept = self.kept | rule.spent()
        classifier.load_state_dict(self.best)
        classifier.eval()
        return Trained(
            history=self.history,
            best_epoch=self.best_epoch,
            validation_accuracy=self.best_accuracy,
            images_seen=self.distinct / images,
            kept=kept,
        )


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """One pass over the training images; labels: theirs, on `device`; tell: how many images an epoch saw."""

    classifier: Classifier
    recipe: Target
    rule: Rule
    train: Images
    labels: Tensor
    prefix: Prefix
    views: torch.Generator
    noise: torch.Generator
    device: str
    tell: Callable[[int, int], None]

    def __call__(self, epoch: int, batches: Iterator[Tensor]) -> tuple[float, float, int]:
        """Train on `batches`; return the mean loss, the train accuracy and how many images were shown."""
        device = self.device
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        shown = torch.zeros(len(self.train), dtype=torch.int64)
        steps, told = 0, monotonic()
        for index in batches:
            seen = draw_augmentation(
                len(index), self.train.pixels.shape[-1], self.recipe.augmentation, self.views
            )
            images, inputs = self.prefix(index, seen, look=self.rule.reads_images)
            batch = Batch(
                index=index, images=images, labels=self.labels[upload(index, device)], inputs=inputs
            )
            with head_noise(self.classifier, self.noise), autocast(self.recipe, device):
                loss, logits = self.rule.step(batch, epoch)
            loss_sum += loss
            correct += (logits.argmax(1) == batch.labels).sum()
            shown += index.bincount(minlength=len(self.train))
            steps += 1
            if monotonic() - told > _TELL_SECONDS:
                told = monotonic()
                self.tell(epoch, int(shown.sum()))
        train_accuracy = correct.item() / max(1, int(shown.sum()))
        return loss_sum.item() / steps, train_accuracy, int((shown > 0).sum())


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def make_optimizer(classifier: nn.Module, recipe: Target) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over the trained weights alone."""
    weights = [p for p in classifier.parameters() if p.requires_grad]
    if recipe.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        return kind(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        weights,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def accuracy(classifier: Classifier, images: Images, *, device: str, batch_size: int = 256) -> float:
    """Return the top-1 accuracy on `images`, in [0, 1]; leaves the classifier on `device` in eval mode.

    A head that draws noise gets the same noise in every call, whatever the batch size.
    """
    return hits(classifier, images, device=device, batch_size=batch_size).double().mean().item()


def hits(classifier: Classifier, images: Images, *, device: str, batch_size: int = 256) -> Tensor:
    """Return which of `images` the classifier names rightly, bool (N,) on the CPU; else as `accuracy`."""
    classifier.to(device)
    everything = Prefix(classifier, 0, images.pixels, keep=0, batchnorm="eval")
    return _hits(classifier, everything, images.labels, batch_size)


def accuracy_per_identity(right: Tensor, labels: Tensor) -> float:
    """Return the mean over identities of the share of an identity's images that are `right`, bool (N,).

    labels: int64 (N,). An identity without images does not count. Where one person has a third of the
    images, as in Labeled Faces in the Wild, the accuracy over images is mostly that person's.
    """
    images = labels.bincount().double()
    per_identity = labels.bincount(weights=right.double()) / images
    return per_identity[images > 0].mean().item()


def batches_of(labels: Tensor, recipe: Target, defense: Defense, order: torch.Generator) -> Iterator[Tensor]:
    """Yield the batches of an epoch of a training, as indices into its images, whose labels are (N,)."""
    if defense.poisson_batches:
        return poisson(len(labels), recipe.batch_size, order)
    if defense.images_per_identity is None:
        return shuffled(len(labels), recipe.batch_size, order)
    return by_identity(labels, recipe.batch_size, defense.images_per_identity, order)


@torch.no_grad()
def _hits(classifier: Classifier, prefix: Prefix, labels: Tensor, batch_size: int) -> Tensor:
    classifier.eval()
    noise = torch.randn(len(labels), classifier.noise_size, generator=stream(0, "accuracy"))
    predictions = []
    for index in torch.split(torch.arange(len(labels)), batch_size):
        _, inputs = prefix(index, no_augmentation(len(index)), look=False)
        with head_noise(classifier, noise[index]):
            predictions.append(classifier(inputs, prefix.frozen).argmax(1))
    return torch.cat(predictions).cpu() == labels
