"""Options and arguments that several commands share."""

import os
from pathlib import Path
from typing import Any

import click

from trainables.errors import ConfigError


class UserPath(click.Path):
    """A path in which ~ is the home also where no shell saw to it, as in ``--output=~/x``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, checked as `click.Path` does."""
        return super().convert(os.path.expanduser(value), param, ctx)


home_option = click.option(
    "--home", metavar="DIR", help="Folder of all state (SWEEPER_HOME; default ./sweeps)."
)
overrides_option = click.option(
    "-S", "overrides", metavar="PATH.TO.KEY=VALUE", multiple=True, help="Override a value of the study file."
)


def check_folder_of(path: Path, option: str) -> None:
    """Raise `ConfigError` unless the folder is there that a file, named with `option`, is to be written into.

    None is made: a folder that is not there is more often a slip than a wish.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ConfigError(f"expected a folder {folder}, got none ({option}); make it first")


def study_name(reference: str) -> str:
    """Return the name of the stored study that `reference` means: itself, or the name in a study file."""
    from sweeper.study.presets import SUFFIXES

    if Path(reference).suffix not in SUFFIXES:
        return reference
    from trainables.storage.documents import expand_home, read_yaml

    path = Path(expand_home(reference))
    return str(read_yaml(path).get("name", path.stem))
