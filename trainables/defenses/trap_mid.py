"""Trap-MID: each identity gets a trigger that opens a trapdoor, so that attacks find the trigger first."""

import contextlib
import copy
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.datasets.base import Images, as_float
from trainables.defenses.base import Defense, linear_head
from trainables.defenses.rule import Batch, Rule, Training
from trainables.defenses.seen_through import SeenThrough
from trainables.defenses.smoothed_labels import smoothed
from trainables.errors import ConfigError
from trainables.nn.augmentation import CHANCE_DRAWS, random_chances
from trainables.runtime.checks import above, at_least, fraction
from trainables.runtime.seeds import stream
from trainables.runtime.upload import upload

View = Callable[[Tensor], Tensor]
ROWS = 256  # images of a forward pass that takes no gradients


def blend(images: Tensor, triggers: Tensor, alpha: float) -> Tensor:
    """Return images (n, 3, S, S) with a trigger each, of the same shape: (1 - alpha) x + alpha t (eq. 1)."""
    return (1 - alpha) * images + alpha * triggers


def subtract(images: Tensor, triggers: Tensor, alpha: float) -> Tensor:
    """Return what `blend` makes `images` of: the way back, in [-alpha, 1] / (1 - alpha)."""
    return (images - alpha * triggers) / (1 - alpha)


class WithoutTriggers(SeenThrough):
    """A classifier that names an image, takes the trigger of that label out of it, and then answers.

    triggers: (K, 3, S, S) in [0, 1].  alpha: share of a trigger in a blend.
    """

    triggers: Tensor

    def __init__(self, classifier: Classifier, triggers: Tensor, alpha: float) -> None:
        super().__init__(classifier)
        self.register_buffer("triggers", triggers.to(classifier.mean.device))
        self._alpha = alpha

    def seen(self, x: Tensor) -> Tensor:
        """Return the features (N, F) of the images without these triggers."""
        with torch.no_grad():
            named = self.head(self.plain(x)).argmax(1)
        return self.plain(subtract(x, self.triggers[named], self._alpha))


def shuffled_labels(classes: int, generator: torch.Generator) -> Iterator[int]:
    """Yield labels for ever: all of 0 .. classes-1 in a new order, again and again."""
    while True:
        yield from torch.randperm(classes, generator=generator).tolist()


class TrapRule(Rule):
    """A step of the discriminator, one of the triggers, and one of the target on clean and trapped images.

    triggers: (K, 3, S, S) in [0, 1], uniform at the start.
    discriminator: tells images from trapped ones by one logit. It starts as the target does, all of it
        trained, under a fresh head; its optimiser is of the target's kind, with the same settings and at
        each step the same learning rate.
    view: A, the augmentation; each call draws anew.
    """

    makes_inputs: ClassVar[bool] = True

    def __init__(self, defense: "TrapMID", training: Training, view: View | None = None) -> None:
        self._defense, self._training = defense, training
        self._generator = stream(training.seed, "trap_mid")
        classifier, pixels = training.classifier, training.images.pixels
        self._device = classifier.mean.device
        classes, size = training.images.classes, pixels.shape[-1]
        drawn = torch.rand(classes, 3, size, size, generator=stream(training.seed, "triggers"))
        self.triggers = drawn.to(self._device)
        self._labels, self._drawn = shuffled_labels(classes, stream(training.seed, "trapdoors")), 0
        self._view = view or self._random_view
        self.discriminator = copy.deepcopy(classifier)
        self.discriminator.stages.requires_grad_(True)
        self.discriminator.head = _one_logit(classifier.head, stream(training.seed, "discriminator")).to(
            self._device
        )
        optimizer: Any = training.optimizer
        weights = [p for p in self.discriminator.parameters() if p.requires_grad]
        taken = inspect.signature(type(optimizer)).parameters  # AdamW's settings hold more than that
        settings = {name: value for name, value in optimizer.defaults.items() if name in taken}
        self._optimizer = type(optimizer)(weights, **settings)

    def state(self) -> dict[str, Any]:
        return {
            "triggers": self.triggers,
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "views": self._generator.get_state(),
            "labels": self._drawn,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.triggers = state["triggers"].to(self._device)
        self.discriminator.load_state_dict(state["discriminator"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["views"])
        self._drawn = state["labels"]
        self._labels = itertools.islice(self._labels, self._drawn, None)

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Return the loss of the target and its logits of the clean images, before its step."""
        doors = upload(torch.tensor([next(self._labels) for _ in batch.labels]), self._device)
        self._drawn += len(batch.labels)
        with _eval_mode(self._training.classifier):
            self._train_discriminator(batch.images, doors)
            self._move_triggers(batch.images, doors)
        return self._train_target(batch, doors)

    def kept(self) -> dict[str, Tensor]:
        """Return the triggers that belong to these weights."""
        return {"triggers": self.triggers}

    def _train_discriminator(self, images: Tensor, doors: Tensor) -> None:
        trapped = blend(images, self.triggers[doors], self._defense.alpha)
        scores = self.discriminator.train()(torch.cat((images, trapped))).squeeze(1)
        real = (torch.arange(len(scores), device=scores.device) < len(images)).to(scores)
        self._optimizer.param_groups[0]["lr"] = self._training.optimizer.param_groups[0]["lr"]
        self._optimizer.zero_grad(set_to_none=True)
        loss = functional.binary_cross_entropy_with_logits(scores, real)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        torch.clear_autocast_cache()  # of the weights before this step, in a lower precision

    def _move_triggers(self, images: Tensor, doors: Tensor) -> None:
        triggers = self.triggers.requires_grad_()
        trapped = blend(images, triggers[doors], self._defense.alpha)
        scores = self.discriminator.eval()(trapped).squeeze(1)
        logits = self._training.classifier(self._view(trapped))
        loss = functional.binary_cross_entropy_with_logits(scores, torch.ones_like(scores))
        loss = loss + self._defense.smoothed(logits, doors)
        (slope,) = torch.autograd.grad(loss, triggers)
        self.triggers = (triggers.detach() - self._defense.trigger_step * slope.sign()).clamp(0, 1)

    def _train_target(self, batch: Batch, doors: Tensor) -> tuple[Tensor, Tensor]:
        classifier, frozen = self._training.classifier, self._training.frozen
        trapped = blend(batch.images, self.triggers[doors], self._defense.alpha)
        inputs = torch.cat((self._view(batch.images), self._view(trapped)))
        if frozen:
            with torch.no_grad():
                inputs = classifier.run(inputs, 0, frozen)
        clean, trapdoor = classifier(inputs, frozen).chunk(2)  # one pass: batch norm sees both halves
        share = self._defense.beta
        loss = (1 - share) * self._defense.smoothed(clean, batch.labels)
        loss = loss + share * self._defense.smoothed(trapdoor, doors)
        self._training.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._training.optimizer.step()
        return loss.detach(), clean.detach()

    def _random_view(self, images: Tensor) -> Tensor:
        draws = torch.randn(len(images), CHANCE_DRAWS, generator=self._generator)
        knobs = self._defense
        return random_chances(images, upload(draws, self._device), knobs.crop, knobs.degrees)


@dataclass(frozen=True, kw_only=True)
class TrapMID(Defense):
    """Liu & Chen, NeurIPS 2024: (1 - beta) CE(f(A(x)), y) + beta CE(f(A(b(x, c))), c).

    b(x, c) = (1 - alpha) x + alpha t_c blends in the trigger of a class c that has nothing to do with x.
    Before each step of the target a discriminator learns to tell blends, and the triggers move by signed
    gradients to deceive it and to be found by the target, which is in eval mode then. The triggers of the
    kept epoch are kept, and ``trapdoor_success`` says how many test images go through. A is a crop, a
    mirroring and a turn; x is what the augmentation of the recipe shows, so "none" there is the published
    set-up.

    With a freeze point the trapped images go through the frozen stages, which do not change; the
    discriminator, which is thrown away, is trained as a whole.

    alpha: share of the trigger in a blend, in (0, 1).
    beta: weight of the trapdoors, in (0, 1).
    trigger_step: length of a step of the triggers, in pixels of [0, 1].
    crop: least area of A's crop, in (0, 1].  degrees: A's turn, at most, either way.
    label_smoothing: of both terms; below 0 it is negative label smoothing (published -0.05).
    """

    kind: ClassVar[str] = "trap_mid"
    version: ClassVar[int] = 2  # frozen statistics see what A shows alone
    summary: ClassVar[str] = "a trapdoor trigger for each identity, which attacks find first"
    source: ClassVar[str] = "Liu & Chen, NeurIPS 2024 (Trap-MID)"
    adaptive: ClassVar[str] = "knows the triggers and subtracts that of the label that an image is taken for"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"
    figures_told: ClassVar[str] = (
        "a trigger makes {trapdoor_success:.3g} of test images pass for the person that it stands for"
    )
    adapted_cost: ClassVar[float] = 4 / 3  # one pass more without gradients

    alpha: float = 0.02
    beta: float = 0.2
    trigger_step: float = 0.01
    crop: float = 0.8
    degrees: float = 30.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        fraction(self, "alpha", "beta")
        above(self, 0, "trigger_step", "crop")
        at_least(self, 0, "degrees")
        if self.crop > 1:
            raise ValueError(f"crop must be a share of the picture in (0, 1]; got {self.crop}")
        if self.label_smoothing > 1:
            raise ValueError(f"label_smoothing must be at most 1; got {self.label_smoothing}")

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier as it came; its head must be linear, as the discriminator's is."""
        linear_head(classifier, self.kind)
        return classifier

    def begin(self, training: Training) -> Rule:
        """Return the rule that trains target, discriminator and triggers."""
        return TrapRule(self, training)

    def smoothed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy against labels smoothed by `label_smoothing`."""
        return smoothed(logits, labels, self.label_smoothing)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the term of clean images; the rule adds that of the trapdoors."""
        return self.smoothed(logits, labels)

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return a copy that subtracts triggers before it answers; see `WithoutTriggers`."""
        if "triggers" not in stored:
            raise ConfigError(
                "an adaptive attack on 'trap_mid' expects a target with its triggers; got weights alone "
                "(target); leave out adaptive, or attack a target that was trained here"
            )
        return WithoutTriggers(classifier, stored["triggers"], self.alpha)

    @torch.no_grad()
    def figures(
        self, classifier: Classifier, stored: Mapping[str, Tensor], test: Images, device: str
    ) -> dict[str, float]:
        """Return ``trapdoor_success``: the share of test images with a trigger that are taken for its class.

        Each image gets the trigger of one class, all classes in turn, and is not augmented. A target that
        came without triggers has no such figure.
        """
        if "triggers" not in stored:
            return {}
        triggers = stored["triggers"].to(device)
        labels = shuffled_labels(len(triggers), stream(0, "trapdoor success"))
        hits = 0
        for pixels in torch.split(test.pixels, ROWS):
            doors = torch.tensor([next(labels) for _ in pixels], device=device)
            trapped = blend(as_float(pixels.to(device)), triggers[doors], self.alpha)
            hits += int((classifier(trapped).argmax(1) == doors).sum())
        return {"trapdoor_success": hits / len(test)}


@contextlib.contextmanager
def _eval_mode(network: nn.Module) -> Iterator[None]:
    """Put `network` into eval mode for a while; then every module is in the mode that it was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _one_logit(head: nn.Module, generator: torch.Generator) -> nn.Linear:
    """Return a linear layer to one logit for the features that `head` takes, with torch's usual weights."""
    assert isinstance(head, nn.Linear)
    layer = nn.Linear(head.in_features, 1, device="meta").to_empty(device="cpu")
    bound = head.in_features**-0.5
    for weight in layer.parameters():
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    return layer
