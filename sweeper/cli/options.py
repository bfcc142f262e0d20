"""Options and arguments that several commands share."""

from pathlib import Path

import click

home_option = click.option(
    "--home", metavar="DIR", help="Folder of all state (SWEEPER_HOME; default ./sweeps)."
)
overrides_option = click.option(
    "-S", "overrides", metavar="PATH.TO.KEY=VALUE", multiple=True, help="Override a value of the study file."
)


def study_name(reference: str) -> str:
    """Return the name of the stored study that `reference` means: itself, or the name in a study file."""
    path = Path(reference)
    if path.suffix not in (".yaml", ".yml"):
        return reference
    from trainables.storage.documents import read_yaml

    return str(read_yaml(path).get("name", path.stem))
