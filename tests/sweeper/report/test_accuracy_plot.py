from xml.etree import ElementTree

from sweeper.report.accuracy_plot import COLOURS, accuracy_svg

SPACE = "{http://www.w3.org/2000/svg}"


def drawn(points):
    svg = ElementTree.fromstring(accuracy_svg(points))
    return svg, [each for each in svg.iter(f"{SPACE}circle") if each.get("data-series")]


def point(series, test, attack):
    return {"series": series, "test_accuracy": test, "attack_accuracy": attack}


def test_every_target_is_a_point_where_its_accuracies_are():
    svg, circles = drawn([point("none", 0.9, 0.5), point("none", 0.4, 0.1), point("<conv3>", 0.4, 0.1)])
    assert [each.get("data-series") for each in circles] == ["none", "none", "<conv3>"]
    (low, low_y), (high, high_y), (other, other_y) = (
        (float(each.get("cx")), float(each.get("cy"))) for each in circles
    )
    assert (low, low_y) == (other, other_y) and high > low and high_y < low_y  # up is more
    texts = [each.text for each in svg.iter(f"{SPACE}text")]
    assert "test accuracy" in texts and "attack accuracy" in texts and "<conv3>" in texts
    (title,) = [each.text for each in circles[1].iter(f"{SPACE}title")]
    assert title == "none\ntest accuracy 0.900, attack accuracy 0.500"
    width, height = (float(size) for size in svg.get("viewBox").split()[2:])
    assert all(0 < float(each.get("cx")) < width and 0 < float(each.get("cy")) < height for each in circles)


def test_many_series_are_told_apart():
    _, circles = drawn([point(f"variant {n}", 0.5, n / 40) for n in range(2 * len(COLOURS))])
    looks = {(each.get("stroke"), each.get("fill")) for each in circles}
    assert len(looks) == len(circles)
