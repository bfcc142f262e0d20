"""Lines and crosses beside a front: where they stand is worked out from the axes."""

import re

import numpy as np
import pytest
from records import as_study

from sweeper.report.axis import Axis
from sweeper.report.front_controls import LINE, crosses, levels
from sweeper.report.point_labels import Labels, overlap

X = Axis("attack_accuracy", "minimize", 0.1, 0.9, 100.0, 900.0)  # 1000 pixels a unit
Y = Axis("test_accuracy", "maximize", 0.0, 1.0, 500.0, 60.0)


def trial(number, accuracy, attacked, *, chance=0.25, **more):
    values = {"test_accuracy": accuracy, "attack_accuracy": attacked}
    return {"number": number, "values": values, "metrics": {"chance": chance}, **more}


def study(*trials, floor=None, ceiling=None):
    controls = {} if floor is None else {"null": {"rate": floor, "interval": [0.0, 1.0]}}
    if ceiling is not None:
        best = {"attack_accuracy": ceiling, "interval": [0.0, 1.0], "test_accuracy": 0.9}
        controls["ceiling"] = best
    return as_study({"trials": list(trials) or [trial(0, 0.5, 0.5)], "controls": controls or None})


def drawn(*records, x=X, y=Y):
    """Return the lines as x -> (top, bottom), what is written as (text, x, end), and the labels."""
    labels = Labels((0.0, 0.0, 1000.0, 600.0))
    parts = list(levels(records, x, y, labels))
    lines = [re.match(r'<path d="M(\S+) (\S+)V(\S+)"', part) for part in parts[::2]]
    texts = [re.search(r'x="(\S+)" y="\S+?"( text-anchor="end")?>(.*)</text>', part) for part in parts[1::2]]
    return (
        {float(line[1]): (float(line[2]), float(line[3])) for line in lines},
        [(text[3], float(text[1]), bool(text[2])) for text in texts],
        labels,
    )


def test_a_line_stands_where_its_rate_is_and_its_words_on_the_side_with_room():
    lines, texts, labels = drawn(study(floor=0.2, ceiling=0.7))
    assert lines == {200.0: (60.0, 500.0), 700.0: (60.0, 500.0)}
    assert texts == [("floor 20 %", 205.0, False), ("ceiling 70 %", 695.0, True)]
    (left, _, right, _), (before, _, end, _) = labels.boxes
    assert (left, end) == pytest.approx((205, 695)) and right > left and before < end


def test_words_that_would_cover_each_other_stand_below():
    _, texts, labels = drawn(study(floor=0.2, ceiling=0.21))
    first, second = labels.boxes
    assert len(texts) == 2 and not overlap(first, second)
    assert (second[1] - first[1], second[3] - first[3]) == (LINE, LINE)


@pytest.mark.parametrize(("floor", "ceiling", "names"), [(0.1, 0.9, []), (0.05, 0.5, ["ceiling"])])
def test_a_level_beyond_the_axis_is_not_drawn(floor, ceiling, names):
    lines, texts, labels = drawn(study(floor=floor, ceiling=ceiling))
    assert [text.split()[0] for text, *_ in texts] == names
    assert len(lines) == len(labels.boxes) == len(names)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([study(floor=0.2), study(floor=0.2)], ["chance 25 %"]),  # floors of two studies are two
        ([study(ceiling=0.7)], ["chance 25 %"]),  # a guess, where the floor was not measured
        ([study(trial(0, 0.5, 0.5), trial(1, 0.6, 0.4, chance=0.5))], []),
        ([study(trial(0, 0.5, 0.5), trial(1, 0.6, 0.4, chance=None))], []),
        ([study(trial(0, 0.5, 0.5)), study(trial(0, 0.5, 0.5, chance=0.5))], []),
        ([study(trial(0, 0.5, 0.5), trial(1, 0.6, 0.4, chance=0.5, state="failed"))], ["chance 25 %"]),
    ],
)
def test_a_guess_is_drawn_where_all_finished_trials_agree(records, expected):
    assert [text for text, *_ in drawn(*records)[1]] == expected


def test_levels_are_rates_of_attacks_and_of_nothing_else():
    other = Axis("knn_distance", "maximize", 0.1, 0.9, 100.0, 900.0)
    assert drawn(study(floor=0.2, ceiling=0.7), x=other)[0] == {}


def stopped(attacked, accuracy, epoch=4):
    figures = {"epoch": epoch, "test_accuracy": accuracy, "attack_accuracy": attacked}
    return {"stopped": figures | {"verdict": "leaks less"}}


def crossed(*records, x=X, y=Y):
    """Return the middles of the crosses, their titles, and the labels."""
    labels = Labels((0.0, 0.0, 1000.0, 600.0))
    text = "".join(crosses(records, x, y, labels))
    arms = re.findall(r'class="stopped" d="M(\S+) (\S+)l8 8m-8 0l8 -8"', text)
    return (
        [(float(across) + 4, float(down) + 4) for across, down in arms],
        re.findall(r"<title>(.*?)</title>", text),
        labels,
    )


def test_a_stopped_target_is_a_cross_at_its_figures_tied_to_its_trial():
    members = [trial(0, 0.75, 0.5, **stopped(0.6, 0.5)), trial(1, 0.5, 0.25), trial(2, 0.4, 0.8)]
    members[2] |= stopped(0.3, 0.3)  # dominated
    places, titles, labels = crossed(study(*members))
    assert places == [(600.0, 280.0)]
    assert titles == ["undefended, stopped after epoch 4"]
    assert np.allclose(labels.ties, [(600, 280, 500, 170)]) and np.allclose(labels.points, places)


def test_trials_that_are_held_against_one_target_share_its_cross():
    members = [
        trial(0, 0.75, 0.5, **stopped(0.6, 0.5)),
        trial(1, 0.5, 0.25, **stopped(0.6, 0.5)),
        trial(2, 0.25, 0.2, **stopped(0.6, 0.25)),
    ]
    places, _, labels = crossed(study(*members))
    assert places == [(600.0, 280.0), (600.0, 390.0)] and np.allclose(labels.points, places)
    assert np.allclose([tie[2:] for tie in labels.ties], [(500, 170), (250, 280), (200, 390)])


def test_crosses_belong_to_the_plot_of_one_study_over_both_accuracies():
    record = study(trial(0, 0.75, 0.5, **stopped(0.6, 0.5)))
    assert crossed(record, record)[0] == []
    for x, y in ((Y, X), (X, Axis("knn_distance", "maximize", 0.0, 1.0, 500.0, 60.0))):
        assert crossed(record, x=x, y=y)[0] == []
