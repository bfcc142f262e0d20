"""Every command on a terminal that knows only ASCII."""

import io
import sys

import pytest

from sweeper.cli.app import COMMANDS, main
from sweeper.cli.tools import LISTS


def run(monkeypatch, *words):
    """Return the exit code and the output of a command whose terminal takes ASCII.

    Click itself writes UTF-8 where it takes the terminal's ASCII for a mistake, so the output may hold that.
    """
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True) for _ in "oe")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code or 0, (output.buffer.getvalue() + errors.buffer.getvalue()).decode()


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("form", ["table", "json"])
def test_lists(monkeypatch, what, form):
    code, text = run(monkeypatch, "list", what, "-f", form)
    assert code == 0 and text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_errors(monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, command, "--help")[0] == 0
    assert run(monkeypatch, command, "--no-such-öption")[0] == 2


def test_a_dry_run_of_a_study_with_another_alphabet(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, text = run(monkeypatch, "run", "quickstart", "--dry-run", "-S", "trial.private.kind=λ張")
    assert code == 2 and "λ張" in text
