"""SSF: skip connections of the last group of blocks are scaled down, not removed."""

from dataclasses import dataclass
from typing import ClassVar

from trainables.defenses.skip_removal import SkipRemoval


@dataclass(frozen=True, kw_only=True)
class SSF(SkipRemoval):
    """Koh et al., ECCV 2024, section 4: skip scaling factor of the last group.

    factor: of the last group, in [0, 1], where `skips` is (); published 0.6 for ResNet-18. 0 is RoLSS, 1
        no defense.
    """

    kind: ClassVar[str] = "ssf"
    summary: ClassVar[str] = "scaled skip connections in the last group of blocks"
    source: ClassVar[str] = "Koh et al., ECCV 2024 (SSF)"
    adaptive: ClassVar[str] = "puts the skip connections back in the backward pass alone"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"

    factor: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.factor <= 1:
            raise ValueError(f"factor must lie between 0 and 1; got {self.factor}")

    @property
    def of_last_group(self) -> float:
        """Return `factor`."""
        return self.factor
