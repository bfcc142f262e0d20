"""Bars of layers: each is measured on the page and held against the share that it stands for."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from sweeper.report.layers_plot import BOTTOM, LEFT, PANEL, RIGHT, SERIES, TOP, WIDTH, layers_svg
from sweeper.report.text_width import text_width

SPACE = "{http://www.w3.org/2000/svg}"
SHARES = {
    "classification_share": [0.5, 0.3, 0.2],
    "inversion_l2_share": [0.1, 0.8, 0.1],
    "inversion_lpips_share": [0.0, 0.25, 0.75],
}


def row(shares=SHARES, trial=3, layers=("conv1", "conv2", "<head>")):
    means = {name.removesuffix("_share"): [12.0 * share for share in of] for name, of in shares.items()}
    return {
        "trial": trial,
        "attack": "gmi",
        "layer": list(layers),
        **shares,
        **means,
        "suggested_freeze_point": "conv2",
    }


def drawn(*rows):
    """Return the picture, its bars (layer, series) -> (x, y, width, height), their colours, and its texts."""
    svg = ElementTree.fromstring(layers_svg(rows))
    bars, colours = [], []
    for rect in svg.iter(f"{SPACE}rect"):
        title = rect.find(f"{SPACE}title")
        if title is not None:
            layer, name = re.match(r"(.*), (.*)\n", title.text).groups()
            place = tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
            bars.append(((layer, name), place))
            colours.append((name, rect.get("fill")))
    return svg, bars, colours, list(svg.iter(f"{SPACE}text"))


def test_a_bar_is_as_tall_as_its_share_and_stands_in_the_slot_of_its_layer():
    svg, bars, colours, texts = drawn(row())
    assert len(bars) == 9
    tallest = max(height for _, (_, _, _, height) in bars)
    assert tallest == PANEL - TOP - BOTTOM  # the largest share fills the panel
    slot = (WIDTH - LEFT - RIGHT) / 3
    titles = {title.text for title in svg.iter(f"{SPACE}title")}
    ground = {round(y + height, 0) for _, (_, y, _, height) in bars}
    assert len(ground) == 1  # all stand on one line
    for series, shares in SHARES.items():
        name, colour = SERIES[series]
        assert {(n, c) for n, c in colours if n == name} == {(name, colour)}
        for index, (layer, share) in enumerate(zip(row()["layer"], shares, strict=True)):
            ((x, _, width, height),) = [place for who, place in bars if who == (layer, name)]
            assert height == pytest.approx(tallest * share / 0.8, abs=0.06)
            assert LEFT + index * slot < x and x + width < LEFT + (index + 1) * slot
            assert f"{layer}, {name}\nshare {100 * share:.3g} %, mean {12 * share:.3g}" in titles
    edges = sorted((x, x + width) for _, (x, _, width, _) in bars)
    assert all(left >= right - 0.11 for (_, right), (left, _) in pairwise(edges))
    labels = [text for text in texts if text.get("data-layer")]
    middles = [LEFT + (index + 0.5) * slot for index in range(3)]
    assert [float(text.get("x")) for text in labels] == pytest.approx(middles, abs=0.06)
    assert [text.text for text in labels] == row()["layer"]


def test_lines_are_where_their_shares_are():
    svg, bars, _, texts = drawn(row())
    ticks = {
        float(text.text.removesuffix(" %")) / 100: float(text.get("y")) - 4
        for text in texts
        if text.text.endswith(" %")
    }
    rules = [float(re.match(r"M\S+ (\S+)H", path.get("d"))[1]) for path in svg.iter(f"{SPACE}path")]
    assert rules == pytest.approx(list(ticks.values())) and len(rules) >= 3
    for _, (_, y, _, height) in bars:
        # a straight line through the ends of the scale
        (low, y_low), (high, y_high) = min(ticks.items()), max(ticks.items())
        share = low + (y_low - y) / (y_low - y_high) * (high - low)
        assert share * (y_low - y_high) / (high - low) == pytest.approx(height, abs=0.2)


def test_every_row_has_its_panel_and_says_whose_it_is():
    svg, bars, _, texts = drawn(row(), row(trial=None), row(trial=0))
    assert float(svg.get("viewBox").split()[3]) == 3 * PANEL + 24
    said = [text for text in texts if "suggested freeze point" in text.text]
    assert [text.text for text in said] == [
        f"{who}, gmi: suggested freeze point conv2" for who in ("trial 3", "target", "trial 0")
    ]
    tops = [float(text.get("y")) for text in said]
    assert [top - tops[0] for top in tops] == [0, PANEL, 2 * PANEL]
    for number, top in enumerate(tops):
        own = [y for _, (_, y, _, _) in bars[9 * number : 9 * number + 9]]
        assert top < min(own) and max(own) < top + PANEL


def test_the_legend_has_every_series_beside_its_colour_and_none_covers_another():
    svg, _, _, texts = drawn(row())
    swatches = [
        (rect.get("fill"), float(rect.get("x"))) for rect in svg.iter(f"{SPACE}rect") if rect.get("y") == "8"
    ]
    names = [(text.text, float(text.get("x"))) for text in texts if text.get("y") == "18"]
    assert [(name, colour) for (name, _), (colour, _) in zip(names, swatches, strict=True)] == [
        *SERIES.values()
    ]
    ends = [0.0, *(x + text_width(name, 12) for name, x in names)]
    for end, (_, swatch), (_, x) in zip(ends, swatches, names, strict=False):
        assert end < swatch < x
    assert ends[-1] <= WIDTH


@pytest.mark.parametrize(
    "shares",
    [
        {"classification_share": [0.5, 0.3, 0.2]},  # kept by an earlier version
        {name: [0.0, 0.0, 0.0] for name in SHARES},
        {},
    ],
)
def test_what_figures_lack_is_left_out(shares):
    _, bars, _, texts = drawn(row(shares))
    assert len(bars) == 3 * len(shares)
    assert [text.text for text in texts if text.get("data-layer")] == row()["layer"]


@pytest.mark.parametrize(("count", "turned"), [(8, False), (9, True)])
def test_names_of_many_layers_are_turned_to_have_room(count, turned):
    names = [f"layer{n}" for n in range(count)]
    _, _, _, texts = drawn(row({"classification_share": [1 / count] * count}, layers=names))
    labels = [text for text in texts if text.get("data-layer")]
    assert [text.get("transform") is not None for text in labels] == [turned] * count
    for label in labels:
        if turned:
            x = float(re.match(r"rotate\(-35 (\S+) ", label.get("transform"))[1])
            assert x == float(label.get("x"))
