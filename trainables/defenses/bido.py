"""BiDO: features depend little on the input and much on the label."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.defenses.base import Defense
from trainables.errors import ConfigError
from trainables.nn.dependence import (
    CocoNorm,
    LabelKernel,
    centred,
    coco,
    gaussian_kernel,
    hsic,
    label_kernel,
    regularised,
)
from trainables.runtime.checks import above, at_least


@dataclass(frozen=True, kw_only=True)
class BiDO(Defense):
    """Peng et al., KDD 2022, eq. 4: cross-entropy + sum_j lambda_x d(X, Z_j) - lambda_y d(Z_j, Y).

    X: pixels in [0, 1]; Z_j: hook outputs, flattened; Y: one-hot labels. With frozen stages only the
    hooks with trained weights before them count (TL-DMI + BiDO).

    measure: d, "hsic" (normalised) or "coco".
    lambda_x, lambda_y: weights; published for VGG16: HSIC (0.05, 0.5), COCO (5, 50). d sums over up to m - 1
        directions, so the weights fit one batch size and number of images per identity.
    sigma: bandwidth of the Gaussian kernels, per dimension.
    label_kernel: kernel of Y; the paper's code takes "linear".
    coco_norm: "frobenius" as in the paper's code, or "spectral" as COCO is defined. HSIC ignores it.
    images_per_identity: images of one identity in a batch; without repeats d(Z, Y) would hardly vary.
    """

    kind: ClassVar[str] = "bido"
    summary: ClassVar[str] = "less dependence of features on the input, more on the label (HSIC or COCO)"
    source: ClassVar[str] = "Peng et al., KDD 2022 (BiDO)"
    adaptive: ClassVar[str] = (
        "trains classifiers of its own on the answers and descends through them too; against COCO "
        "on cross-entropy or margins, since logits say little there"
    )
    adaptive_attack: ClassVar[str | None] = "lomma_gmi, lomma_kedmi"
    version: ClassVar[int] = 2  # batches that drop no images of unbalanced identities

    measure: Literal["hsic", "coco"] = "hsic"
    lambda_x: float = 0.05
    lambda_y: float = 0.5
    sigma: float = 5.0
    label_kernel: LabelKernel = "linear"
    coco_norm: CocoNorm = "frobenius"
    images_per_identity: int = 4

    def __post_init__(self) -> None:
        at_least(self, 0, "lambda_x", "lambda_y")
        at_least(self, 1, "images_per_identity")
        above(self, 0, "sigma")

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier as it came; it must have hooks."""
        if not classifier.hooks:
            raise ConfigError(
                "defense 'bido' expects an architecture with hooks; got one without (target.architecture); "
                "choose another, or name its hooks"
            )
        return classifier

    def is_active(self, trace: Trace) -> bool:
        """Return whether any hook has trained weights before it; without, both terms are constants."""
        return bool(trace)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the cross-entropy plus the dependence terms of all hooks in `trace`."""
        loss = functional.cross_entropy(logits, labels)
        if self.lambda_x == self.lambda_y == 0:  # the control of the sampler: no kernels for nothing
            return loss
        classes = logits.shape[1]
        of_images = self._prepared(gaussian_kernel(images, self.sigma))
        of_labels = self._prepared(label_kernel(labels, classes, self.label_kernel, self.sigma))
        for hidden in trace.values():
            of_hidden = self._prepared(gaussian_kernel(hidden, self.sigma))
            loss = loss + self.lambda_x * self._dependence(of_hidden, of_images)
            loss = loss - self.lambda_y * self._dependence(of_hidden, of_labels)
        return loss

    def _prepared(self, kernel: Tensor) -> Tensor:
        return regularised(kernel) if self.measure == "hsic" else centred(kernel)

    def _dependence(self, a: Tensor, b: Tensor) -> Tensor:
        return hsic(a, b) if self.measure == "hsic" else coco(a, b, self.coco_norm)
