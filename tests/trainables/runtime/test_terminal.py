"""Terminals of other encodings, and pipes that somebody closes."""

import io
import os
import subprocess
import sys

import pytest

from trainables.runtime.terminal import tolerant_streams

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("λx ≥ 0.5 – or …", "lambda_x >= 0.5 - or ..."),
        ("Poincaré", "Poincare"),
        ("張三", "\\u5f35\\u4e09"),
        ("caf\udce9", "caf\\udce9"),
        ("plain", "plain"),
    ],
)
def test_what_ascii_cannot_show_has_a_stand_in(monkeypatch, text, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # cannot be changed, and is left alone
    tolerant_streams()
    stream.write(text)
    assert stream.buffer.getvalue().decode() == shown


def test_utf8_shows_all_but_names_that_are_none(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    tolerant_streams()
    stream.write("λ張\udce9")
    assert stream.buffer.getvalue().decode() == "λ張\\udce9"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_pipe_is_no_error(stream):
    program = (
        "from trainables.runtime.terminal import say, write\n"
        "import sys\n"
        f"for _ in range(2000): {'write' if stream == 'stdout' else 'say'}('x' * 100)\n"
        f"print('end', file=sys.{'stderr' if stream == 'stdout' else 'stdout'})\n"
    )
    reading, writing = os.pipe()
    other = "stderr" if stream == "stdout" else "stdout"
    environment = {**os.environ, "PYTHONPATH": ROOT}
    ends = {stream: writing, other: subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", program], text=True, env=environment, **ends)
    os.close(writing)
    os.read(reading, 10)
    os.close(reading)
    said = process.communicate()[other == "stderr"]
    assert (process.returncode, said) == (0, "end\n")
