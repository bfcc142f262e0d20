"""The loop that trainings of priors share: reported about once a second, stopped by losses not finite."""

import math
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from trainables.errors import TrialError
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run


def train_loop(
    steps: Iterable[Mapping[str, Tensor]], total: int, *, run: Run, units: int | None = None
) -> None:
    """Run the `total` `steps` of a training, each of which yields its losses by name.

    They are reported as stage "prior" about once a second and at the end; reading them waits for the device.
    units: of the whole training, where this is not all of it.  Raises `TrialError` if a loss is not finite.
    """
    done, losses = 0, dict[str, Tensor]()

    def counted() -> Iterator[bool]:
        nonlocal done, losses
        for step in steps:
            done, losses = done + 1, dict(step)
            yield done == total

    def tell() -> None:
        values = {name: loss.item() for name, loss in losses.items()}
        if not all(map(math.isfinite, values.values())):
            raise TrialError(f"the prior's losses are not finite at step {done} of {total}")
        run.report("prior", done, units or total, **values)

    resumable_loop(counted(), tell, lambda: None, run.resume)
