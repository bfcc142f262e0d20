"""Marks are followed as a pen would: where their corners lie around the point."""

import math
import re
from itertools import pairwise

import pytest

from sweeper.report.markers import marker


def corners(path):
    """Return the ends of every line and arc of an SVG path of the commands M, l, h, v, a and Z."""
    places = []
    for command, numbers in re.findall(r"([MlhvaZ])([^MlhvaZ]*)", path):
        given = [float(number) for number in numbers.split()]
        if command == "Z":
            continue
        step = {"M": given, "l": given, "h": [*given, 0.0], "v": [0.0, *given], "a": given[-2:]}[command]
        x, y = places[-1] if places else (0.0, 0.0)
        places.append((x + step[0], y + step[1]))
    return places


@pytest.mark.parametrize(("x", "y", "r"), [(0, 0, 4), (310.5, 47.25, 5), (99.96, 1000.0, 6.5)])
def test_a_mark_lies_around_its_point(x, y, r):
    drawn = [marker(place, x, y, r) for place in range(4)]
    assert len({re.sub(r"^M\S+ [\d.]+", "", path) for path in drawn}) == 4  # told apart by their shapes
    areas = []
    for path in drawn:
        assert path.endswith("Z")
        ends = corners(path)
        if "a" in path:
            assert sum(ends, ()) == pytest.approx((x - r, y, x + r, y, x - r, y), abs=0.06)
            areas.append(math.pi * r * r)
            continue
        across = [place[0] for place in ends]
        assert (min(across) + max(across)) / 2 == pytest.approx(x, abs=0.06)
        sides = list(pairwise([*ends, ends[0]]))
        twice = [a * d - b * c for (a, b), (c, d) in sides]  # the area, by the shoelace formula
        middle = [
            sum((p[axis] + q[axis]) * part / 3 for (p, q), part in zip(sides, twice, strict=True))
            / sum(twice)
            for axis in (0, 1)
        ]
        assert middle == pytest.approx([x, y], abs=0.15 * r)
        areas.append(abs(sum(twice)) / 2)
    assert max(areas) < 1.6 * min(areas)  # none looks more important


def test_marks_begin_again_after_four():
    assert [marker(place, 1, 2, 3) for place in range(4, 9)] == [marker(n % 4, 1, 2, 3) for n in range(5)]
