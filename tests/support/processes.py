"""Processes that tests start and send signals to."""

import multiprocessing
import signal
from collections.abc import Callable
from typing import Any


def default_signals() -> None:
    """Give a new process (``preexec_fn``) the handlers of a terminal, though the tests run under nohup or in
    the background, where a shell ignores SIGHUP and SIGINT for all that it starts."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def at_once(count: int, act: Callable[..., Any], *arguments: Any) -> list[str]:
    """Call `act` in `count` processes at the same moment; return of each "" or the error that it raised."""
    context = multiprocessing.get_context("fork")
    start, said = context.Barrier(count), context.Queue()

    def call() -> None:
        start.wait(60)
        try:
            act(*arguments)
            said.put("")
        except Exception as error:
            said.put(f"{type(error).__name__}: {error}")

    processes = [context.Process(target=call) for _ in range(count)]
    for process in processes:
        process.start()
    answers = [said.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return answers
