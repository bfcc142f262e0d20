import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from sweeper.report.hypervolume_plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Series,
    begins_above_zero,
    growth_svg,
)
from sweeper.statistics.hypervolume import HypervolumeStep

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    HypervolumeStep(4, 600, 0.5),
    HypervolumeStep(0, 1200, 0.5),
    HypervolumeStep(7, 3600, 0.6),
    HypervolumeStep(8, 7200, 0.6),
]


def dots(svg):
    root = ET.fromstring(svg)
    groups = [g for g in root.iter(f"{SVG}g") if g.get("class") == "dot-hover"]
    return [(g.find(f"{SVG}circle"), g.find(f"{SVG}title").text) for g in groups]


def test_a_dot_for_each_trial_that_raised_the_hypervolume():
    (first, text), (second, _) = dots(growth_svg([Series("mine", "red", STEPS)]))
    assert text == "mine, trial 4 (1 of 4 to end)\nhypervolume 0.5000 after 10 min 00 s"
    span = WIDTH - LEFT - RIGHT
    assert float(first.get("cx")) == pytest.approx(LEFT + span * 600 / 7200, abs=0.1)
    assert float(second.get("cx")) == pytest.approx(LEFT + span * 3600 / 7200, abs=0.1)
    assert 0 < float(second.get("cy")) < float(first.get("cy")) < HEIGHT


def test_the_line_steps_up_where_the_dots_are_and_goes_on_to_the_end():
    svg = growth_svg([Series("mine", "red", STEPS)])
    (path,) = re.findall(r'<path d="([^"]*)" fill="none" stroke="red"', svg)
    at = {round(float(dot.get("cx")), 1): round(float(dot.get("cy")), 1) for dot, _ in dots(svg)}
    turns = [(float(x), float(y)) for x, y in re.findall(r"[MH]([\d.]+)[V ]([\d.]+)", path)]
    assert dict(turns) == at
    assert path.endswith(f"H{WIDTH - RIGHT:.1f}")


def test_small_gains_on_a_high_level_are_seen():
    steps = [HypervolumeStep(n, n + 1, 0.65 + n / 1000) for n in range(5)]
    heights = [float(dot.get("cy")) for dot, _ in dots(growth_svg([Series("mine", "red", steps)]))]
    assert all(lower - higher > 5 for lower, higher in pairwise(heights))


@pytest.mark.parametrize(("first", "above"), [(0.5, True), (0.1, False), (0.0, True)])
def test_an_axis_that_leaves_out_zero_is_known(first, above):
    series = [Series("mine", "red", [HypervolumeStep(0, 10, first), HypervolumeStep(1, 20, 0.9)])]
    texts = list(ET.fromstring(growth_svg(series)).iter(f"{SVG}text"))
    upright = {text.text: float(text.get("y")) for text in texts if text.get("text-anchor") == "end"}
    assert ("0" in upright) != above == begins_above_zero(series)
    assert max(upright.values()) <= HEIGHT - BOTTOM + 4


def test_both_axes_are_named():
    root = ET.fromstring(growth_svg([Series("mine", "red", STEPS)]))
    texts = {text.text: text for text in root.iter(f"{SVG}text")}
    assert "rotate(-90)" in texts["hypervolume"].get("transform")
    assert "hours of work in trials" in texts


def test_dots_can_be_reached_and_say_what_they_are():
    root = ET.fromstring(growth_svg([Series("mine", "red", STEPS)]))
    assert root.get("role") == "group"
    for group in root.iter(f"{SVG}g"):
        assert group.get("tabindex") == "0"
        assert group.get("aria-label") == group.find(f"{SVG}title").text.replace("\n", "; ")


@pytest.mark.parametrize(("seconds", "unit"), [(90, "seconds"), (900, "minutes"), (9000, "hours")])
def test_work_is_in_a_unit_that_suits_it(seconds, unit):
    assert f"{unit} of work in trials" in growth_svg(
        [Series("mine", "red", [HypervolumeStep(0, seconds, 0.5)])]
    )


@pytest.mark.parametrize("steps", [[], [HypervolumeStep(0, 0.0, 0.0)]])
def test_nothing_measured_can_be_drawn(steps):
    assert dots(growth_svg([Series("<&>", "red", steps)])) == []
