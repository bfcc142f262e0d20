"""CONTRIBUTING works when followed: in a copy each example is added as it says, and its command runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a method")[2].partition("## Decisions")[0]
EXAMPLES = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the packages and their contract tests, with all examples added."""
    place = tmp_path_factory.mktemp("copy")
    for name in ("sweeper", "trainables", "search_spaces", "tests/contracts", "tests/support"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    for text in EXAMPLES.values():
        for block in blocks(text, "python"):
            path = place / block.splitlines()[0].removeprefix("# ")
            lines = block.splitlines()[1:]
            if path.exists():
                add_line(path, lines)
            else:
                path.write_text("\n".join(lines) + "\n")
    return place


def add_line(path: Path, lines: list[str]) -> None:
    """Add an import and an entry of the registry: the first dict of the file that is assigned to a name."""
    imported, entry = lines
    text = path.read_text()
    last = list(re.finditer(r"^from .*$", text, re.MULTILINE))[-1]
    text = f"{text[: last.end()]}\n{imported}{text[last.end() :]}"
    start = re.search(r"^[A-Z]+: dict\[.*\] = \{", text, re.MULTILINE)
    assert start is not None, f"no registry in {path}"
    end = text.index("}\n", start.end())
    while text.count("{", start.end() - 1, end) > text.count("}", start.end(), end) + 1:
        end = text.index("}\n", end + 1)
    inside = text[start.end() : end].rstrip().rstrip(",")
    path.write_text(f"{text[: start.end()]}{inside},\n{entry}\n{text[end:]}")


def run(*words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_one_file_and_one_line_and_passes_its_contract(title, copy):
    paths = [block.splitlines()[0].removeprefix("# ") for block in blocks(EXAMPLES[title], "python")]
    new = [path for path in paths if not (ROOT / path).exists()]
    assert len(new) == 1
    assert len(paths) == (3 if title == "A defense" else 2)  # a defense has a branch of the space, too
    (command,) = blocks(EXAMPLES[title], "bash")
    words = shlex.split(command)
    assert words[:3] == ["uv", "run", "pytest"]
    done = run("pytest", "-p", "no:cacheprovider", *words[3:], place=copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("attacks", "margin"),
        ("defenses", "smooth"),
        ("metrics", "judge_confidence"),
        ("architectures", "two_units"),
        ("datasets", "static"),
    ],
)
def test_what_was_added_is_listed(what, name, copy):
    done = run("sweeper", "list", what, "-f", "json", place=copy)
    assert done.returncode == 0, done.stderr
    assert f'"name": "{name}"' in done.stdout
