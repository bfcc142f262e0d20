"""The command line: results to stdout, progress to stderr; exit 0 done, 1 failure, 2 a mistake to correct."""

from importlib import import_module
from typing import Any

import click

from sweeper.cli.errors import guard
from sweeper.cli.interrupts import interruptible
from trainables import __version__
from trainables.runtime.terminal import tolerant_streams

COMMANDS: dict[str, str] = {  # name: "module:attribute", imported when the command is asked for
    "analyze": "sweeper.cli.analyses:analyze",
    "attack": "sweeper.cli.tools:attack",
    "compare": "sweeper.cli.results:compare",
    "confirm": "sweeper.cli.run:confirm",
    "export": "sweeper.cli.results:export",
    "front": "sweeper.cli.results:front",
    "import": "sweeper.cli.panels:import_",
    "list": "sweeper.cli.tools:list_",
    "log": "sweeper.cli.tools:log",
    "pick": "sweeper.cli.results:pick",
    "prepare": "sweeper.cli.tools:prepare",
    "quickstart": "sweeper.cli.run:quickstart",
    "run": "sweeper.cli.run:run",
    "ui": "sweeper.cli.tools:ui",
}


WORDS = "sweeper.words"


class Commands(click.Group):
    """The commands, each imported when it is asked for; their errors are told in one place."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program, on terminals of any encoding."""
        tolerant_streams()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command `cmd_name`, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for; an error of the user's ends in a message and an exit code."""
        with guard(), interruptible(ctx.meta[WORDS]):
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the words of the command, for whoever stops it."""
        ctx.meta[WORDS] = list(args)
        return super().parse_args(ctx, args)


@click.group(cls=Commands, epilog="Example: sweeper quickstart")
@click.version_option(__version__, prog_name="sweeper")
def main() -> None:
    """Search freeze depths and defenses of a classifier against model-inversion attacks."""
