"""Base class of defenses: a change of the classifier before training, and a rule that trains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from trainables.architectures.base import Architecture, Classifier, Shield, Trace
from trainables.datasets.base import Images
from trainables.defenses.rule import LossRule, Rule, Training
from trainables.errors import ConfigError
from trainables.method import Method


@dataclass(frozen=True, kw_only=True)
class Defense(Method):
    """The base of all defenses. Register a subclass in ``defenses.DEFENSES``.

    Most defenses are a `loss`. One with a schedule over epochs, a second phase, an optimiser or a forward
    pass of its own, or gradients per sample overrides `begin` instead and returns a `Rule`.

    Attributes:
        adaptive: what an attacker who knows of the defense does, as the end of a sentence.
        adaptive_attack: the attacks here that do so: ``NAME``, ``*`` (any), ``NAME KNOB=VALUE`` or ``*
            KNOB>NUMBER``, apart by commas; None where none does. Figures without them are called
            non-adaptive. Where `adapted` is overridden, ``* adaptive=true`` is among them.
        reads_images: whether `loss` looks at the images themselves; see `Rule`.
        figures_told: what `figures` say, as a clause with their names in braces (``str.format``).
        adapted_cost: passes of the target that one there and back through `adapted` costs, as many images.
    """

    adaptive: ClassVar[str] = ""
    adaptive_attack: ClassVar[str | None] = None
    figures_told: ClassVar[str] = ""
    reads_images: ClassVar[bool] = True
    adapted_cost: ClassVar[float] = 1.0
    changes_answers: ClassVar[bool] = False  # whether `shield` returns one

    # whether each image is in a batch by itself, with the same chance, so that a batch may have any size
    poisson_batches: ClassVar[bool] = False

    @property
    def images_per_identity(self) -> int | None:
        """Return how many images of one identity a training batch holds; None for plain shuffling."""
        return None

    def check(self, architecture: Architecture, image_size: int) -> None:
        """Raise `ConfigError` if targets of `architecture` cannot have this defense."""

    def check_installed(self) -> None:
        """Raise `ConfigError` if a package is missing that training needs; most need none."""

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier to train, changed in place or as it came."""
        return classifier

    @property
    def extra_epochs(self) -> int:
        """Return how many epochs a second phase takes after those of the recipe; its learning rate stays."""
        return 0

    def finished(self, epoch: int, epochs: int) -> bool:
        """Return whether weights after `epoch`, from 1, of `epochs` have had all of the defense."""
        return True

    def begin(self, training: Training) -> Rule:
        """Return the rule that takes the steps of `training`; by default one optimiser step on `loss`."""
        return LossRule(self.loss, training, reads_images=self.reads_images)

    def finish(
        self, classifier: Classifier, validation: Images, kept: dict[str, Tensor], device: str
    ) -> dict[str, Tensor]:
        """Return what is stored beside the weights of a trained target; by default what its rule kept.

        classifier: trained, in eval mode, on `device`. validation: private images held out of training.
        kept: of the rule, at the epoch that was chosen; {} for a target that somebody else trained.
        """
        return kept

    def figures(
        self, classifier: Classifier, stored: Mapping[str, Tensor], test: Images, device: str
    ) -> dict[str, float]:
        """Return figures of the defense itself on a trained target, by name; none by default.

        stored: what `finish` returned. test: images that nothing was chosen by.
        """
        return {}

    def shield(self, stored: Mapping[str, Tensor]) -> Shield | None:
        """Return what changes the answers of a trained target before anybody sees them; None for most.

        stored: what `finish` returned. Attacks that ask for scores or labels meet it; white-box attacks see
        the weights, and so the answers as they were.
        """
        return None

    @property
    def adapts(self) -> bool:
        """Return whether the defense has an `adapted` form."""
        return type(self).adapted is not Defense.adapted

    def adapted(self, classifier: Classifier, stored: Mapping[str, Tensor]) -> Classifier:
        """Return what a white-box attacker who knows of the defense attacks in place of `classifier`.

        A changed copy, of which the attack takes all that it asks: gradients, scores that select, what it
        learns first; by default `classifier` itself. Its success is judged without it.
        stored: what `finish` returned; raise `ConfigError` where that lacks what the form is made of.
        """
        return classifier

    def is_active(self, trace: Trace) -> bool:
        """Return whether the defense changes the weights of a target whose training leaves `trace`.

        trace: as `loss` gets it, of a target with its freeze point. One without effect is not searched.
        """
        return True

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the scalar training loss.

        Args:
            logits: (m, K).
            labels: int64 (m,).
            images: (m, 3, S, S) in [0, 1], augmented.
            trace: outputs of the hooks with trained weights before them (others are left out), and what the
                head reports.
        """
        raise NotImplementedError


def linear_head(classifier: Classifier, kind: str) -> nn.Linear:
    """Return the head that the defense `kind` replaces; raise `ConfigError` if it is no linear layer."""
    if not isinstance(classifier.head, nn.Linear):
        raise ConfigError(
            f"defense '{kind}' expects a linear head to replace; got {type(classifier.head).__name__} "
            "(target.architecture); prepare a fresh classifier"
        )
    return classifier.head
