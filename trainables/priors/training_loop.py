"""The loop that trainings of priors share: reported about once a second, stopped by losses not finite, saved.

A training whose parts are held by a `Checkpoint` goes on where it was saved last, to the same bits.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from trainables.errors import TrialError
from trainables.oracle import Oracle
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run


class Stateful(Protocol):
    """A part of a training that says its own state: networks, optimizers, schedules, and those below."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Bring a state back."""
        ...


Part = Stateful | torch.Generator | Tensor


class Checkpoint:
    """All that changes in a training, saved as one under `name` in the run's `resume`.

    Each part is held under a name of its own before the first step; what was saved of it comes back at once.
    Torch's own random streams are parts of every training. Without a run nothing is saved.

    done: steps that were done when the state was saved; 0 where none was.
    """

    def __init__(self, run: Run | None = None, name: str = "prior", /, **parts: Part) -> None:
        run = run or Run()
        self.resume, self._name = run.resume, name
        saved = self.resume.read(name) or {"done": 0, "parts": {}}
        self.done: int = saved["done"]
        self._saved: dict[str, Any] = saved["parts"]
        self._parts: dict[str, Part] = {}
        self.hold(**parts, **_streams_of_torch(run.device))

    def hold(self, **parts: Part) -> None:
        """Save `parts` too, and bring back what was saved of them."""
        self._parts |= parts
        for name, part in parts.items():
            if name in self._saved:  # all are, but for the streams of a device that was not there
                _bring_back(part, self._saved.pop(name))

    def save(self, done: int) -> None:
        """Save all parts as they are after `done` steps."""
        parts = {name: _state_of(part) for name, part in self._parts.items()}
        self.resume.write(self._name, {"done": done, "parts": parts})


class Order:
    """Index batches for ever, pass after pass over 0 .. count-1, each in a new order; `Checkpoint` holds it.

    The batches are those of `shuffled`, or with `goes_on` of `endless`: then one may hold the end of a pass
    and the beginning of the next. Who draws from `generator` in between has its place saved as well.
    """

    def __init__(
        self, count: int, batch_size: int, generator: torch.Generator, *, goes_on: bool = False
    ) -> None:
        self.count, self.generator, self.goes_on = count, generator, goes_on
        self.batch_size = batch_size if goes_on else min(batch_size, count)
        self._waiting = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Self:
        """Return the order itself."""
        return self

    def __next__(self) -> Tensor:
        """Return the next batch (B,)."""
        if not self.goes_on and len(self._waiting) < self.batch_size:
            self._waiting = self._waiting[:0]
        while len(self._waiting) < self.batch_size:
            self._waiting = torch.cat((self._waiting, torch.randperm(self.count, generator=self.generator)))
        batch, self._waiting = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Return what is left of the pass, and where the generator is."""
        return {"waiting": self._waiting.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on in the midst of a pass."""
        self._waiting = state["waiting"]
        self.generator.set_state(state["generator"])


class Questions:
    """What a training asked an oracle, as a part of its `Checkpoint`.

    Questions that are asked again after a kill are counted once: they are the same, and so are the answers.
    """

    def __init__(self, oracle: Oracle) -> None:
        self._oracle, self._before = oracle, oracle.queries

    @property
    def asked(self) -> int:
        """Return how many images the training asked about."""
        return self._oracle.queries - self._before

    def state_dict(self) -> dict[str, Any]:
        """Return the count, and where the oracle's stream is, of the noise that its answers take."""
        return {"asked": self.asked, "stream": self._oracle._stream.get_state()}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Count what was asked, and answer the next question as if it had been now."""
        self._oracle.queries = self._before + state["asked"]
        self._oracle._stream.set_state(state["stream"])


def train_loop(
    steps: Iterable[Mapping[str, Tensor]],
    total: int,
    *,
    run: Run,
    before: int = 0,
    units: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Run the `steps` of a training up to `total`, each of which yields its losses by name.

    They are reported as stage "prior" about once a second and at the end; reading them waits for the device.
    units: of the whole training, where this is not all of it, and how many of them came `before` it.
    Raises `TrialError` if a loss is not finite.
    checkpoint: of the training, whose `steps` are those after the ones done; without one nothing is saved.
    """
    checkpoint = checkpoint or Checkpoint()
    done, losses = checkpoint.done, dict[str, Tensor]()

    def counted() -> Iterator[bool]:
        nonlocal done, losses
        for step in steps:
            done, losses = done + 1, dict(step)
            yield done == total

    def read() -> dict[str, float]:
        values = {name: loss.item() for name, loss in losses.items()}
        if not all(map(math.isfinite, values.values())):
            raise TrialError(f"the prior's losses are not finite at step {done} of {total}")
        return values

    def tell() -> None:
        run.report("prior", before + done, units or total, **read())

    def save() -> None:
        read()  # a training that failed is not to go on
        checkpoint.save(done)

    resumable_loop(counted(), tell, save, checkpoint.resume)


def _streams_of_torch(device: str) -> dict[str, Part]:
    """Return torch's own streams, which layers draw from: of the CPU, and of a GPU."""
    where = torch.device(device)
    if where.type != "cuda":
        return {"torch": torch.default_generator}
    index = torch.cuda.current_device() if where.index is None else where.index
    return {"torch": torch.default_generator, "torch_cuda": torch.cuda.default_generators[index]}


def _state_of(part: Part) -> Any:
    if isinstance(part, torch.Generator):
        return part.get_state()
    return part.detach() if isinstance(part, Tensor) else part.state_dict()


def _bring_back(part: Part, state: Any) -> None:
    if isinstance(part, torch.Generator):
        part.set_state(state)
    elif isinstance(part, Tensor):
        part.detach().copy_(state)
    else:
        part.load_state_dict(state)
