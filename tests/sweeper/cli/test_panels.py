"""`export panels` beside `export`, and `import answers`: words, exit codes, and what is told."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweeper.cli.app import main
from sweeper.results.panels.export import Exported
from trainables.errors import ConfigError


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Return what was asked of either command."""
    made = []

    def release(home, study, number, folder, *, replicate):
        made.append(("export", study, number, folder.name, replicate))
        return folder

    def write(home, study, folder, **options):
        made.append(("panels", study, folder.name, options))
        return Exported(folder=folder, key="KEY", panels=9, controls=4, people=3, study=study)

    monkeypatch.setattr("sweeper.results.export.export", release)
    monkeypatch.setattr("sweeper.results.panels.export.export_panels", write)
    monkeypatch.setenv("SWEEPER_HOME", str(tmp_path / "home"))
    return made


def call(*words):
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    "words",
    [
        ("panels", "--trial", "3", "-o", "out"),
        ("--trial", "3", "-o", "out", "panels"),
        ("--trial=3", "panels", "-oout"),
    ],
)
def test_a_study_called_panels_is_reached_by_the_old_form(calls, words):
    done = call("export", *words)
    assert done.exit_code == 0, done.output
    assert calls == [("export", "panels", 3, "out", None)]


def test_the_old_form_goes_on_as_it_was(calls):
    assert call("export", "mine", "--trial", "3", "-o", "out", "--seed", "2").exit_code == 0
    assert calls == [("export", "mine", 3, "out", 2)]
    missing = call("export", "mine", "-o", "out")
    assert missing.exit_code == 2 and "Missing option '--trial'" in missing.output
    shown = call("export", "--help").output
    assert "Usage: main export [OPTIONS] STUDY" in shown and "sweeper export panels STUDY" in shown


def test_panels_of_a_study_even_of_one_called_panels(calls):
    defaults = {"trial": None, "against": None, "most": None, "control": None, "seed": 0}
    for study in ("mine", "panels"):
        done = call("export", "panels", study, "-o", "out", "--home", "a home")
        assert done.exit_code == 0, done.output
        assert calls.pop() == ("panels", study, "out", defaults)
        assert "key: KEY (do not hand it out: it says which panel is what)" in done.stdout
        home = shlex.quote(str(Path("a home").resolve()))
        assert f"answers: sweeper import answers {study} FILE --home {home}\n" in done.stdout
        said = " ".join(done.stderr.split())
        assert "private images of 3 people left the home because you asked for panels" in said
    words = ("--trial", "1", "--against", "2", "--panels", "5", "--controls", "6", "--seed", "7")
    call("export", "panels", *words, "mine", "-o", "out")
    assert calls.pop()[-1] == {"trial": 1, "against": 2, "most": 5, "control": 6, "seed": 7}


def test_what_is_missing_is_named(calls):
    for words in (("panels",), ("panels", "mine")):
        done = call("export", *words)
        assert done.exit_code == 2 and "Usage: main export panels [OPTIONS] STUDY" in done.output
    assert "Example: sweeper export panels" in call("export", "panels", "--help").output
    assert calls == []


def test_answers_come_back(monkeypatch, tmp_path):
    from sweeper.results.panels.answers import Imported
    from sweeper.results.panels.figures import figures

    def take(home, study, file, *, reader):
        if study == "bad":
            raise ConfigError("expected a panel")
        return Imported(added=5, unanswered=2, figures=figures([]) | {"study": study, "reader": reader})

    monkeypatch.setattr("sweeper.results.panels.answers.import_answers", take)
    done = call("import", "answers", "mine", "answers.csv", "--reader", "b")
    assert done.exit_code == 0 and done.stdout == "answers: 5 added, 2 without an answer left out\n"
    done = call("import", "answers", "mine", "answers.csv", "-f", "json")
    assert '"study": "mine"' in done.stdout and '"reader": null' in done.stdout
    done = call("import", "answers", "bad", "answers.csv")
    assert done.exit_code == 2 and "expected a panel" in done.stderr and "Traceback" not in done.output
