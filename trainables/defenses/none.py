"""No defense: plain cross-entropy."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from trainables.architectures.base import Trace
from trainables.defenses.base import Defense


@dataclass(frozen=True, kw_only=True)
class NoDefense(Defense):
    """Cross-entropy and nothing else; with a freeze point this is TL-DMI (Ho et al., CVPR 2024)."""

    kind: ClassVar[str] = "none"
    summary: ClassVar[str] = "plain cross-entropy; with a freeze point, TL-DMI"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI)"
    reads_images: ClassVar[bool] = False
    adaptive: ClassVar[str] = "inverts the stages that private images trained, and them alone"

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy."""
        return functional.cross_entropy(logits, labels)
