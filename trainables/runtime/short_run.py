"""What to run to price a training of a prior, or of what an attack learns first."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ShortRun:
    """Knobs to train with in order to price others.

    first: the knobs themselves where there is no `more`, on all public images.
    more: `first` with more steps, both on a few images: the whole takes as long as `first`, and `times` what
        `more` takes longer. So what is done once, whatever the number of steps, is priced once.
    asked: images of which the whole asks the target once, and `first` does not.
    """

    first: Any
    more: Any = None
    times: float = 0.0
    asked: int = 0


def of_epochs(knobs: Any, few: int, public: int, *, asks: bool = False) -> ShortRun:
    """Return runs of one and three epochs over `few` of the `public` images.

    asks: whether the target is asked of each public image once.
    """
    first, more = (dataclasses.replace(knobs, epochs=epochs) for epochs in (1, 3))
    times = max(0.0, (knobs.epochs * public / few - 1) / 2)
    return ShortRun(first=first, more=more, times=times, asked=public - few if asks else 0)
