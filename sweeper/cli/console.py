"""Where tables for people are printed."""

from rich.console import Console

WIDTH = 110  # where stdout is no terminal


def console() -> Console:
    """Return a console on stdout that takes text as it is: brackets in it are the text's own."""
    return Console(highlight=False, markup=False, width=None if Console().is_terminal else WIDTH)
