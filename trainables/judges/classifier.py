"""The usual judge: a classifier of the private identities, trained apart from the target."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures import ARCHITECTURES, get_architecture
from trainables.architectures.base import Classifier
from trainables.datasets.split import Split
from trainables.defenses.none import NoDefense
from trainables.judges.base import Judge, JudgeModel, outputs
from trainables.method import later_knob, named_knob
from trainables.runtime.checks import at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.training.batches import Augmentation
from trainables.training.classifier import Normalization, Target, accuracy, build_classifier, train_classifier
from trainables.training.recipe import Optimizer, Recipe, Schedule


@dataclass(frozen=True, kw_only=True)
class ClassifierJudge(Recipe, Judge):
    """An evaluation classifier, trained on the private training images, shifted and mirrored.

    Choose another `architecture` than the target's: what fools the target then fools the judge less.
    The epoch with the best validation accuracy is kept. Its features are the penultimate layer's.

    input_size: images are resized to this first (bilinear, smoothed where they shrink); None leaves them as
        they are. The published evaluator of 64-pixel faces sees them at 112.
    seed: of its weights and batches beside the trial's: another judge of the same design.
    The other knobs are those of every recipe, and a target's normalization.
    """

    kind: ClassVar[str] = "classifier"
    summary: ClassVar[str] = "classifier of another architecture, trained on the private images"
    source: ClassVar[str] = "Zhang et al., CVPR 2020 (GMI), evaluation classifier"

    architecture: str = named_knob(ARCHITECTURES)
    epochs: int = 30
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    augmentation: Augmentation = "crop_flip"
    normalization: Normalization = "half"
    input_size: int | None = None
    seed: int = later_knob(0)

    def __post_init__(self) -> None:
        get_architecture(self.architecture)  # an unknown name is an error that lists the known ones
        super().__post_init__()
        at_least(self, 1, "input_size")

    def version_for(self, image_size: int) -> int:
        """Return 2 where images shrink: version 1 took some of their pixels and left out the others."""
        return 2 if self.input_size is not None and self.input_size < image_size else self.version

    def check_size(self, image_size: int) -> None:
        """Raise `ConfigError` if the architecture does not take images of `input_size`, or of their own."""
        entry = get_architecture(self.architecture)
        if self.input_size is None:
            entry.check_size(image_size, "image_size, and no judge.input_size")
        else:
            entry.check_size(self.input_size, "judge.input_size")

    def fit(self, split: Split, *, run: Run) -> dict[str, Any]:
        """Return the weights and the accuracies on the validation and the test images."""
        own = (self.seed,) if self.seed else ()
        classifier = self._network(split, derive(run.seed, "judge", "weights", *own)).to(run.device)
        trained = train_classifier(
            classifier,
            self._recipe(),
            NoDefense(),
            split.train,
            split.validation,
            run=Run(
                seed=derive(run.seed, "judge", *own),
                device=run.device,
                report=run.report,
                resume=run.resume,
            ),
            stage="judge",
        )
        classifier.requires_grad_(False)
        return {
            "train_features": outputs(classifier.features, split.train.pixels, run.device),
            "state": {name: value.detach().cpu() for name, value in classifier.state_dict().items()},
            "validation_accuracy": trained.validation_accuracy,
            "test_accuracy": accuracy(classifier, split.test, device=run.device),
        }

    def restore(self, saved: dict[str, Any], split: Split, device: str) -> JudgeModel:
        """Return the model with the weights in `saved`."""
        classifier = self._network(split, seed=0)
        classifier.load_state_dict(saved["state"])
        classifier.to(device).eval().requires_grad_(False)
        return JudgeModel(
            logits=classifier,
            features=classifier.features,
            test_accuracy=saved["test_accuracy"],
            decide=classifier.head,
        )

    def _recipe(self) -> Target:
        return Target(architecture=self.architecture, normalization=self.normalization, **self.shared())

    def _network(self, split: Split, seed: int) -> Classifier:
        size = self.input_size or split.train.pixels.shape[-1]
        classifier = build_classifier(self.architecture, split.train.classes, size, self.normalization, seed)
        if self.input_size is not None:
            classifier.stages = nn.ModuleDict({"resize": _Resize(size), **classifier.stages})
        return classifier


class _Resize(nn.Module):
    """Images (N, 3, S, S) to another size, bilinear; smoothed where they shrink, as all judges see them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return the images of that size."""
        sides, shrinks = (self.size, self.size), x.shape[-1] > self.size
        return functional.interpolate(x, size=sides, mode="bilinear", antialias=shrinks)
