import re
import xml.etree.ElementTree as ET

import pytest
from records import as_trial

from sweeper.report.parallel_coordinates import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST,
    RIGHT,
    TOP,
    WIDTH,
    natural,
    parallel_svg,
    varied,
)

SVG = "{http://www.w3.org/2000/svg}"
OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
LOW, HIGH = HEIGHT - BOTTOM, TOP


def trial(number, params, accuracy=0.5, attacked=0.5):
    values = {"test_accuracy": accuracy, "attack_accuracy": attacked}
    return as_trial({"number": number, "params": params, "values": values})


def drawn(trials, front=frozenset(), objectives=OBJECTIVES):
    svg = parallel_svg(trials, objectives, set(front), lambda trial: "red", "3")
    root = ET.fromstring(svg)
    lines = {line.get("data-trial"): line for line in root.iter(f"{SVG}path") if line.get("data-trial")}
    names = [group.find(f".//{SVG}title").text for group in root.iter(f"{SVG}g")]
    return svg, lines, names


def heights(line):
    return [float(y) for y in line.get("data-y").split(",")]


def test_a_line_crosses_each_axis_at_its_value():
    trials = [
        trial(0, {"rate": 1e-4, "epochs": 0}, 0.2, 0.9),
        trial(1, {"rate": 1e-2, "epochs": 30}, 0.4, 0.1),
        trial(2, {"rate": 1e-0, "epochs": 40}, 0.8, 0.5),
    ]
    _, lines, names = drawn(trials, {2})
    assert names == ["rate", "epochs", *OBJECTIVES]
    middle = (LOW + HIGH) / 2
    assert heights(lines["3-0"]) == [LOW, LOW, LOW, HIGH]
    assert heights(lines["3-2"]) == [HIGH, HIGH, HIGH, middle]
    assert heights(lines["3-1"]) == pytest.approx(
        [middle, LOW - 0.75 * (LOW - HIGH), LOW - (LOW - HIGH) / 3, LOW], abs=0.51
    )
    gap = (WIDTH - LEFT - RIGHT) / 3
    xs = [float(x) for x in re.findall(r"[ML]([\d.]+) ", lines["3-0"].get("d"))]
    assert xs == pytest.approx([LEFT + gap * n for n in range(4)], abs=0.5)
    assert [lines[f"3-{n}"].get("class") for n in range(3)] == ["line", "line", "line best"]
    assert list(lines)[-1] == "3-2"  # on top


def test_a_trial_without_a_parameter_passes_its_axis():
    trials = [
        trial(0, {"kind": "a", "beta": 1.0}),
        trial(1, {"kind": "b"}),
        trial(2, {"kind": "a", "beta": 2.0}),
    ]
    _, lines, names = drawn(trials)
    assert names[:2] == ["kind", "beta"]
    assert heights(lines["3-1"])[1] == -1
    assert lines["3-1"].get("d").count("L") == 2 and lines["3-0"].get("d").count("L") == 3


def test_names_are_in_their_natural_order():
    assert sorted(["conv10", "conv2", "none", "conv1"], key=natural) == ["none", "conv1", "conv2", "conv10"]


def test_only_parameters_that_differ_get_an_axis_and_not_too_many():
    trials = [trial(n, {"same": 1, **{f"p{i}": n + i for i in range(20)}}) for n in range(3)]
    assert "same" not in varied(trials)
    _, _, names = drawn(trials)
    assert len(names) == MOST and names[-2:] == list(OBJECTIVES)


def test_heads_tell_the_better_direction():
    svg, _, _ = drawn([trial(0, {"a": 1}), trial(1, {"a": 2})])
    assert "test accuracy ↑" in svg and "attack accuracy ↓" in svg and "a ↑" not in svg


def test_nothing_to_draw():
    assert parallel_svg([], OBJECTIVES, set(), lambda trial: "red") == ""
    assert parallel_svg([trial(0, {"a": 1}), trial(1, {"a": 1})], OBJECTIVES, set(), lambda t: "red") == ""


def test_what_users_write_is_escaped():
    evil = "</svg><script>alert(1)</script>"
    svg, _, names = drawn([trial(0, {evil: evil}), trial(1, {evil: "b"})])
    assert "<script" not in svg and names[0] == evil
