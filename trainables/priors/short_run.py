"""What to run to price a prior whose work is not counted in passes over its images."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ShortRun:
    """Priors to train in order to price one.

    first: the prior itself where there is no `more`, on all public images.
    more: `first` with more steps, both on a few images: the whole takes as long as `first`, and `times` what
        `more` takes longer. So what is done once, whatever the number of steps, is priced once.
    asked: images of which the whole asks the target once, and `first` does not.
    """

    first: Any
    more: Any = None
    times: float = 0.0
    asked: int = 0
