import re
import xml.etree.ElementTree as ET

import pytest

from sweeper.report.sparkline import HEIGHT, MOST, WIDTH, spark_svg


def points(svg):
    path = ET.fromstring(svg)[0].get("d")
    return [(pen, float(x), float(y)) for pen, x, y in re.findall(r"([ML])([\d.]+) ([\d.]+)", path)]


def test_the_curve_goes_through_its_values():
    found = points(spark_svg([0.0, 1.0, 0.5]))
    assert [pen for pen, _, _ in found] == ["M", "L", "L"]
    ys = [y for _, _, y in found]
    assert ys[1] < ys[2] < ys[0]  # higher values are drawn higher up
    assert ys[2] == pytest.approx((ys[0] + ys[1]) / 2)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for _, x, y in found)


def test_values_that_are_not_finite_leave_a_gap():
    found = points(spark_svg([0.0, float("nan"), 1.0, 2.0]))
    assert [pen for pen, _, _ in found] == ["M", "M", "L"]
    assert points(spark_svg([float("nan")])) == []


def test_long_series_are_thinned():
    assert len(points(spark_svg([float(i % 7) for i in range(5000)]))) <= MOST
