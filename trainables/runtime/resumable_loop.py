"""The beat of long work: told about once a second, saved when it is time to."""

import time
from collections.abc import Callable, Iterable

from trainables.storage.resume import Resume


def resumable_loop(
    steps: Iterable[bool], tell: Callable[[], None], save: Callable[[], None], resume: Resume
) -> None:
    """Run `steps` to their end, calling `tell` about once a second and `save` when `resume` is due.

    Each of `steps` does one unit of work and yields whether it is told and saved in any case, as the last
    one often is. `tell` comes before `save`, so what it refuses by raising is never saved.
    """
    last_report = time.monotonic()
    for always in steps:
        if always or time.monotonic() - last_report > 1:
            tell()
            last_report = time.monotonic()
        if always or resume.due():
            save()
