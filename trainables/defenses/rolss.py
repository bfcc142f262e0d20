"""RoLSS: the last group of blocks loses its skip connections, which carry gradients to an attack."""

from dataclasses import dataclass
from typing import ClassVar

from trainables.defenses.skip_removal import SkipRemoval


@dataclass(frozen=True, kw_only=True)
class RoLSS(SkipRemoval):
    """Koh et al., ECCV 2024, section 4: removal of last-stage skips (factor 0).

    Frozen stages lose their skips too, though they were pre-trained with them.
    """

    kind: ClassVar[str] = "rolss"
    summary: ClassVar[str] = "no skip connections in the last group of blocks"
    source: ClassVar[str] = "Koh et al., ECCV 2024 (RoLSS)"
    adaptive: ClassVar[str] = "puts the skip connections back in the backward pass alone"
    adaptive_attack: ClassVar[str | None] = "* adaptive=true"
