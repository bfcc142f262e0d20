"""The command line in a home of its own, a study file, and a stored study with two trials."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sweeper.cli.app import main
from sweeper.search.optuna_study import OptunaStudy

PRESET = Path(__file__).parents[3] / "sweeper" / "study" / "presets" / "quickstart.yaml"


@pytest.fixture
def command(home):
    def call(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments)], env={"SWEEPER_HOME": str(home.root)})

    return call


@pytest.fixture
def study_file(tmp_path):
    def make(**changes):
        document = yaml.safe_load(PRESET.read_text()) | {"name": "mine"} | changes
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return make


@pytest.fixture
def filled(home, cheap, result):
    book = OptunaStudy(cheap(search={"trials": 2}), home.storage, home.study("cheap") / "history")
    for x in (0.5, 0.9):
        asked = book.ask()
        weak = ["weak judge: its test accuracy is 0.6"]
        book.tell(asked.number, result(x, warnings=weak) | {"params": asked.assignment})
    return home
