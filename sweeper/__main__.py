"""``python -m sweeper`` is ``sweeper``."""

from sweeper.cli.app import main

if __name__ == "__main__":
    main(prog_name="sweeper")
