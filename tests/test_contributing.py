"""CONTRIBUTING works when followed: in a copy each example is added as it says, and its command runs."""

import json
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
    return execute("-m", *words, place=place)


def run_program(program: str, *words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return execute("-c", program, *words, place=place)


def execute(*words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
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
    done = run("pytest", "-n", "0", "-p", "no:cacheprovider", *words[3:], place=copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


# A study that searches for the metric of the example, told what its trials gave: where does it show?
NEW_METRIC = """
import json, sys
from pathlib import Path

import sweeper
from sweeper.cli.app import main
from sweeper.cli.attack import show_attack
from sweeper.report.report import write_report
from sweeper.results.model_card import card
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.replicates import combine
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from sweeper.tracking.mlflow_fields import figures, view

place = Path(sys.argv[1])
home = Home(place / "home")
home.prepare()
study = parse_study(
    {
        "name": "new",
        "trial": {},
        "space": [{"x": {"float": [0, 1]}}],
        "objectives": {"judge_confidence": "minimize", "test_accuracy": "maximize"},
        "constraints": ["judge_confidence <= 0.9"],
        "search": {"trials": 3},
    },
    "new",
)
source = OptunaStudy(study, home.storage, home.study("new") / "history")
for x in (0.25, 0.5, 0.95):
    request = source.ask()
    metrics = {"judge_confidence": x, "validation_accuracy": x}
    attack = {"threat_model": "white-box", "metrics": metrics, "interval": [0.1, 0.2], "seconds": {}}
    result = {
        "params": request.assignment,
        "values": {"test_accuracy": x},
        "interval": {"judge_confidence": [x - 0.125, x + 0.125]},
        "metrics": metrics,
        "attacks": {"gmi": attack},
    }
    assert source.tell(request.number, result) == ""
records = study_records(home, "new")
write_report([records], place / "report.html", images=False)
for form in ("table", "json", "csv"):
    main(["front", "new", "-f", form, "--home", str(home.root)], standalone_mode=False)
shown = {"checkpoint": "c", "values": {"test_accuracy": 1.0}, "strongest": "gmi"}
shown |= {"attacks": {"gmi": attack}, "metrics": {"chance": 0.1}, "artifacts": {"attack": "a"}}
shown |= {"warnings": []}
show_attack(shown)
print(view(study.objectives))
trial = records.trials[0]
print(figures(trial))
config = {"target": {"architecture": "a"}, "image_size": 32}
print(card(records, trial, trial, config, 4, "folder"))
pair = [{"replicate": seed, "values": {"judge_confidence": x}} for seed, x in enumerate((0.01, 0.05))]
print(combine(pair)["interval"])
"""


def test_a_new_metric_shows_wherever_metrics_do(copy, tmp_path):
    """Objectives, constraints, tables, report, MLflow and model card follow from the line in the registry."""
    done = run_program(NEW_METRIC, str(tmp_path), place=copy)
    assert done.returncode == 0, done.stderr[-3000:]
    text = done.stdout
    assert re.search(r"trial +. +judge confidence +. +test accuracy", text)  # the front, as a table
    assert "0.250 [0.125, 0.375]" in text
    assert "hypervolume 0." in text and "judge_confidence 1, test_accuracy 0" in text  # its natural bound
    assert "infeasible, misses judge_confidence <= 0.9: 1 trial (2)" in text
    assert '"judge_confidence": 0.25' in text and "judge_confidence_low" in text  # JSON and CSV
    assert re.search(r"confidence +. +judge confidence +. +time", text)  # the attacks on one target
    assert '"metrics.`judge_confidence`"' in text and '"orderByAsc": true' in text  # MLflow: the lowest first
    assert "('judge_confidence', 0.25, 0)" in text
    assert "| target's confidence | judge confidence | queries |" in text  # the card
    assert "Judge confidence: mean softmax of the judge for the attacked identity. Lower is better." in text
    assert "25.0 %" in text
    low, high = json.loads(text.splitlines()[-1].partition(": ")[2].rstrip("}"))
    assert 0 <= low < high <= 1  # an interval over seeds ends at the bounds
    report = (tmp_path / "report.html").read_text()
    assert "judge confidence <tspan" in report and "25.0 %" in report  # an axis, in per cent
    assert 'class="bar' in report


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
