import re
from xml.etree import ElementTree

from sweeper.report.accuracy_plot import COLOURS, accuracy_svg
from sweeper.report.markers import marker
from sweeper.report.text_width import text_width

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(points):
    svg = ElementTree.fromstring(accuracy_svg(points))
    return svg, [each for each in svg.iter(f"{SPACE}g") if each.get("data-series")]


def mark(group):
    """Return the mark of a point or of a name, and the left end of its path."""
    (path,) = group.iter(f"{SPACE}path")
    x, y = map(float, re.match(r"M(\S+) ([\d.]+)", path.get("d")).groups())
    return path, (x, y)


def point(series, test, attack):
    return {"series": series, "test_accuracy": test, "attack_accuracy": attack}


def test_every_target_is_a_point_where_its_accuracies_are():
    svg, shown = drawn([point("none", 0.9, 0.5), point("none", 0.4, 0.1), point("<conv3>", 0.4, 0.1)])
    assert [each.get("data-series") for each in shown] == ["none", "none", "<conv3>"]
    (low, low_y), (high, high_y), (other, other_y) = places = [mark(each)[1] for each in shown]
    assert (low, low_y) == (other, other_y) and high > low and high_y < low_y  # up is more
    texts = [each.text for each in svg.iter(f"{SPACE}text")]
    assert "test accuracy" in texts and "attack accuracy" in texts and "<conv3>" in texts
    (title,) = [each.text for each in shown[1].iter(f"{SPACE}title")]
    assert title == "none\ntest accuracy 0.900, attack accuracy 0.500"
    width, height = (float(size) for size in svg.get("viewBox").split()[2:])
    assert all(0 < x < width and 0 < y < height for x, y in places)


def test_many_series_are_told_apart():
    svg, shown = drawn([point(f"variant {n}", 0.5, n / 80) for n in range(8 * len(COLOURS))])
    named = [each for each in svg.iter(f"{SPACE}g") if each.get("data-legend")]

    def looks(groups):
        paths = [mark(group)[0] for group in groups]
        # Of a path what follows its beginning: its shape, wherever it stands.
        return [(p.get("stroke"), p.get("fill"), p.get("d").split(maxsplit=1)[1][5:]) for p in paths]

    assert len(set(looks(named))) == len(named) == len(shown)
    assert len({marker(place, 0, 0, 4) for place in range(4)}) == 4


def test_no_name_is_cut_so_that_none_become_equal():
    long = "private people among them, all layers but the head trained, "
    names = [long * 2 + "conv3", long * 2 + "conv6", "none"]
    svg, _ = drawn([point(name, 0.5, 0.5) for name in names])
    _, _, width, _ = map(float, svg.get("viewBox").split())
    texts = {each.text: float(each.get("x")) for each in svg.iter(f"{SPACE}text") if each.text in names}
    assert set(texts) == set(names)
    assert all(x + text_width(name, 12) <= width for name, x in texts.items())


def test_it_has_its_own_paper_and_styles_nothing_around_it():
    svg, _ = drawn([point("none", 0.5, 0.5)])
    (paper,) = svg.iter(f"{SPACE}rect")
    assert [paper.get(size) for size in ("width", "height")] == svg.get("viewBox").split()[2:]
    assert paper.get("fill") == "var(--paper)"
    (style,) = [each.text for each in svg.iter(f"{SPACE}style")]
    rules = re.findall(r"([^{}]+)\{", style.replace("@media(prefers-color-scheme:dark){", ""))
    assert rules and all(rule.startswith(f".{svg.get('class')}") for rule in rules)
