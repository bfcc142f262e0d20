"""Context of a run, which every method gets beside the things that it works on."""

from dataclasses import dataclass, field

import torch

from trainables.runtime.progress import Report, silent
from trainables.runtime.seeds import stream
from trainables.storage.resume import Resume


def device_of_this_process() -> str:
    """Return "cuda" where this process sees a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The context of one piece of work: a training, an attack, a fit.

    Attributes:
        seed: of all its randomness, from 0.
        device: "cpu" or "cuda", as torch names it.
        report: told of the progress, see `Report`.
        batch_size: how many images are worked on at once, None for what suits the device. Results do not
            depend on it, up to the rounding of floats.
        resume: where unfinished work is saved and found; by default nowhere.
    """

    seed: int = 0
    device: str = "cpu"
    report: Report = silent
    batch_size: int | None = None
    resume: Resume = field(default_factory=Resume)

    def stream(self, *names: object) -> torch.Generator:
        """Return the random stream of this run's seed and `names`, on the CPU."""
        return stream(self.seed, *names)
