import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from PIL import ImageFont
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
from sweeper.results import formatting

LONG_NAME = "test_accuracy_of_something_with_a_long_name"
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


def places(line):
    """Return the places where a line turns: x, y."""
    assert re.fullmatch(r"M[-\d. L]+", line.get("d"))  # one stroke
    return [tuple(map(float, place.split())) for place in line.get("d")[1:].split("L")]


def test_lists_are_named_by_their_members():
    trials = [
        trial(0, {"trained": ["conv1", "conv2"]}),
        trial(1, {"trained": ["conv3"]}),
        trial(2, {"trained": []}),
    ]
    svg, lines, _ = drawn(trials)
    texts = {element.text for element in ET.fromstring(svg).iter(f"{SVG}text")}
    assert {"conv1, conv2", "conv3", "nothing"} <= texts and "[" not in "".join(filter(None, texts))
    assert len({heights(lines[f"3-{number}"])[0] for number in range(3)}) == 3


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((None, ["conv1"], ["conv1", "head"], []), ["conv1", "conv1, head", "nothing", "null"]),
        ((None, 0.5, 0.25), ["0.25", "0.5", "null"]),
        ((None, True, False), ["False", "True", "null"]),
    ],
)
def test_a_value_of_null_is_a_value(values, ticks):
    """A trial without the parameter crosses nothing; one in which it is null has chosen that."""
    name = "target.trained"
    trials = [trial(number, {name: value}) for number, value in enumerate(values)]
    _, lines, _ = drawn([*trials, trial(len(values), {})])
    crossed = [heights(lines[f"3-{number}"])[0] for number in range(len(values) + 1)]
    step = (LOW - HIGH) / (len(values) - 1)
    words = ["null" if value is None else formatting.format_number(value) for value in values]
    expected = [LOW - step * ticks.index(word) for word in words]
    assert crossed == pytest.approx([*expected, -1], abs=0.51)


def test_a_line_passes_below_the_axes_of_what_its_trial_lacks():
    trials = [
        trial(0, {"k": "a", "m": 1, "beta": 1.0}),
        trial(1, {"k": "b", "m": 2}),
        trial(2, {"k": "a", "m": 1, "beta": 2.0}),
        trial(3, {"m": 2}),
        trial(4, {"k": "c"}),
    ]
    svg, lines, names = drawn(trials)
    assert names[:3] == ["k", "m", "beta"]
    xs = [LEFT + (WIDTH - LEFT - RIGHT) / 4 * number for number in range(5)]
    lacks = {"3-0": [], "3-1": [2], "3-2": [], "3-3": [0, 2], "3-4": [1, 2]}
    for name, lacking in lacks.items():
        turns = places(lines[name])
        assert [x for x, _ in turns] == pytest.approx(xs, abs=0.5)
        known = heights(lines[name])
        assert [position for position, y in enumerate(known) if y == -1] == lacking
        for position, (_, y) in enumerate(turns):
            if position in lacking:
                assert LOW + 10 < y < HEIGHT  # apart from the least value
            else:
                assert HIGH <= y <= LOW and y == pytest.approx(known[position], abs=0.5)
    marks = [text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.text == "–"]
    assert [float(mark.get("x")) for mark in marks] == pytest.approx(xs[:3], abs=0.5)


def test_an_undefended_trial_crosses_no_axis_of_a_defense():
    trials = [
        trial(0, {"defense.kind": "none"}),
        trial(1, {"defense.kind": "bido", "defense.variant": "hsic", "defense.lambda_x": 0.05}),
        trial(2, {"defense.kind": "bido", "defense.variant": "coco", "defense.lambda_x": 5.0}),
    ]
    svg, lines, names = drawn(trials)
    assert names[:3] == ["defense.kind", "defense.variant", "defense.lambda_x"]
    assert [y > LOW for _, y in places(lines["3-0"])] == [False, True, True, False, False]
    assert not any(y > LOW for number in (1, 2) for _, y in places(lines[f"3-{number}"]))
    heads = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.get("class") == "axis"]
    assert heads[:3] == ["defense", "variant", "lambda x"]


def boxes(svg):
    """Return the box of each text as Pillow draws it: name, left, top, right, bottom."""
    found = []
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        size = {"axis": 13, "tag": 11}[text.get("class")]
        font = ImageFont.load_default(size)
        wide = font.getlength(text.text) * (1.1 if text.get("class") == "axis" else 1.0)  # bold
        x, y = float(text.get("x")), float(text.get("y"))
        left = x - wide / 2 if text.get("text-anchor") == "middle" else x
        found.append((text.text, left, y - 0.8 * size, left + wide, y + 0.25 * size))
    return found


def wordy(count, kinds, long):
    """Return trials of a space with `count` parameters, half of them of `kinds` names."""
    tail = "_of_an_uncommonly_long_name_that_nobody_could_ever_read" if long else ""
    names = [f"section{n}.W{n}{tail}" for n in range(count)]
    return [
        trial(
            number,
            {
                name: f"{'MW' * 9 if long else 'k'}{number % kinds}" if n % 2 else 10.0 ** (number % 9 - 4)
                for n, name in enumerate(names)
            },
            number / 60,
            1 - number / 60,
        )
        for number in range(60)
    ]


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("kinds", [2, 7, 45])
@pytest.mark.parametrize("count", [1, 3, 5, 6, 7, 20])
def test_no_text_covers_another_or_leaves_the_plot(count, kinds, long, objectives):
    chosen = OBJECTIVES | ({LONG_NAME: "minimize"} if objectives == 3 else {})
    trials = [
        replace(item, values={**item.values, LONG_NAME: 0.5 + item.number / 200})
        for item in wordy(count, kinds, long)
    ]
    if count > 1:  # a mark says on which axes lines pass below
        trials[0] = replace(trials[0], params=dict(list(trials[0].params.items())[:1]))
    svg, _, names = drawn(trials, objectives=chosen)
    assert len(names) == min(MOST, count + objectives)
    drawn_boxes = boxes(svg)
    assert len(drawn_boxes) > 2 * len(names)
    for one, other in itertools.combinations(drawn_boxes, 2):
        apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
        assert apart, (one, other)
    for box in drawn_boxes:
        assert box[1] >= 0 and box[3] <= WIDTH and box[2] >= 0 and box[4] <= HEIGHT, box
    axes = [LEFT + (WIDTH - LEFT - RIGHT) / (len(names) - 1) * number for number in range(len(names))]
    for text, left, top, right, _ in drawn_boxes:
        if TOP < top < LOW:  # a tick's label leaves the next axis, and its marks, alone
            assert all(right <= x - 3 or left >= x for x in axes), text


def test_axes_whose_names_end_alike_say_more():
    trials = [
        trial(n, {"target.epochs": n, "pretraining.epochs": -n, "defense.kind": "ab"[n]}) for n in (0, 1)
    ]
    svg, _, _ = drawn(trials)
    heads = {text[0] for text in boxes(svg)}
    assert {"target.epochs", "pretraining.epochs", "defense"} <= heads


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
