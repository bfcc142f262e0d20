"""Processes that tests start and send signals to."""

import signal


def default_signals() -> None:
    """Give a new process (``preexec_fn``) the handlers of a terminal, though the tests run under nohup or in
    the background, where a shell ignores SIGHUP and SIGINT for all that it starts."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
