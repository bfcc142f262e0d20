"""Every code block of every README runs: on a small finished sweep of the same preset, as a user would."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PACKAGES = ("sweeper", "trainables", "search_spaces")
READMES = [README, *(p for top in (*PACKAGES, "tests") for p in sorted((ROOT / top).rglob("README.md")))]
LARGEST = 12 * 1024  # bytes of the first page: what is longer stands beside what it describes
HEADINGS = [
    "What you see",
    "A study of your own",
    "Commands",
    "What there is",
    "Add a method",
    "Where to find what",
    "Read on",
]
SMALL = {
    "trial.private.identities": 4,
    "trial.private.images_per_identity": 8,
    "trial.public.identities": 8,
    "trial.pretraining.data.identities": 4,
    "trial.pretraining.data.images_per_identity": 4,
    "trial.pretraining.epochs": 1,
    "trial.target.epochs": 1,
    "trial.prior.components": 8,
    "trial.attack.iterations": 2,
    "trial.attack.pool": 10,
    "trial.judge.0.epochs": 1,
    "trial.judge.1.epochs": 1,
    "search.trials": 2,
}


def blocks(language: str) -> list[Any]:
    """Return the code blocks of all READMEs in `language`, named by their file."""
    return [
        pytest.param(text, id=f"{path.relative_to(ROOT)}-{number}")
        for path in READMES
        for number, (name, text) in enumerate(
            re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        )
        if name == language
    ]


COMMANDS = [line for block in blocks("bash") for line in str(block.values[0]).splitlines() if line.strip()]


def sweeper(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sweeper", *arguments],
        env={**os.environ, "SWEEPER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with the finished quickstart, made small; the real one is the same command without -S."""
    place = tmp_path_factory.mktemp("home")
    overrides = [word for item in SMALL.items() for word in ("-S", "{}={}".format(*item))]
    done = sweeper("run", "quickstart", "--anyway", *overrides, home=place)
    assert done.returncode == 0, done.stderr
    assert "hypervolume" in done.stdout
    return place


def test_the_first_two_commands_do_all_their_set_up():
    assert COMMANDS[0] == "pip install uv && uv run sweeper quickstart"
    assert COMMANDS[1] == "pip install uv && uv run pytest"


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_commands_run(command, home):
    words = shlex.split(command)
    assert words[:3] == ["uv", "run", "sweeper"], f"the test does not know how to run: {command}"
    if words[3:4] == ["run"] and words[4].startswith("faces_") and not Path("faces").is_dir():
        pytest.skip("needs the folder `faces` with real faces in the working directory")
    done = sweeper(*words[3:], home=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(block, home, monkeypatch, capsys):
    monkeypatch.setenv("SWEEPER_HOME", str(home))
    exec(compile(block, "README.md", "exec"), {})
    assert "test_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("block", blocks("yaml"))
def test_yaml_blocks_are_valid(block, tmp_path, home):
    document = yaml.safe_load(block)
    path = tmp_path / "file.yaml"
    path.write_text(block)
    if set(document) == {"attack"}:  # a part of a trial
        from sweeper.study.loading import load_study
        from trainables.config import load_trial

        template = load_study("rendered_faces", check=False).trial
        assert len(load_trial({**template, **document}).attack_plans) == len(document["attack"])
        return
    if "space" in document:
        from sweeper.study.loading import load_study

        assert load_study(str(path)).name == document["name"]
        return
    from trainables.__main__ import main

    assert main([str(path), "--home", str(tmp_path)]) == 0


def test_the_tables_name_every_registered_method():
    from search_spaces import SPACES
    from sweeper.study.presets import preset_files
    from trainables.architectures import ARCHITECTURES
    from trainables.config import FAMILIES
    from trainables.metrics import METRICS

    text = "".join(path.read_text() for path in READMES)
    registries = (*FAMILIES.values(), ARCHITECTURES, METRICS, SPACES, preset_files())
    names = [name for registry in registries for name in registry]
    missing = [name for name in names if f"`{name}`" not in text]
    assert missing == []


def test_the_commands_of_the_table_exist():
    from sweeper.cli.app import main

    for name in re.findall(r"^\| `sweeper (\w+)", README.read_text(), re.MULTILINE):
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0 and "Example: sweeper" in done.output


def test_the_first_page_is_short_and_in_order():
    text = README.read_text()
    assert len(text.encode()) <= LARGEST
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


def test_every_folder_has_a_line():
    folders = {path.parent for top in PACKAGES for path in (ROOT / top).rglob("*.py")} - {ROOT / "sweeper"}
    missing = [p for p in folders if f"| `{p.relative_to(ROOT)}/` |" not in README.read_text()]
    assert missing == []


@pytest.mark.parametrize("path", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(path):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []
