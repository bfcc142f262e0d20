"""Marks are followed as a pen would: where their corners lie around the point."""

import math
import re
from itertools import combinations, pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sweeper.report.markers import SHAPES, marker
from trainables.defenses import DEFENSES

POINTS = [(0, 0, 4), (310.5, 47.25, 5), (99.96, 1000.0, 6.5)]


def corners(path):
    """Return the corners of an SVG path of the commands M, L and Z."""
    assert re.fullmatch(r"M[-\d. L]+Z", path)
    return [tuple(map(float, place.split())) for place in path[1:-1].split("L")]


@pytest.mark.parametrize(("x", "y", "r"), POINTS)
def test_the_first_mark_is_a_circle(x, y, r):
    start, first, second = re.split(r"[Ma]", marker(0, x, y, r))[1:]
    assert tuple(map(float, start.split())) == pytest.approx((x - r, y), abs=0.06)
    assert second.endswith("Z")
    for arc, across in ((first, 2 * r), (second[:-1], -2 * r)):
        assert list(map(float, arc.split())) == pytest.approx([r, r, 0, 1, 0, across, 0])


@pytest.mark.parametrize("place", range(1, SHAPES))
@pytest.mark.parametrize(("x", "y", "r"), POINTS)
def test_a_mark_lies_around_its_point_and_is_as_large_as_the_circle(place, x, y, r):
    ends = [(across - x, down - y) for across, down in corners(marker(place, x, y, r))]
    sides = list(pairwise([*ends, ends[0]]))
    twice = [a * d - b * c for (a, b), (c, d) in sides]  # the area, by the shoelace formula
    middle = [
        sum((p[axis] + q[axis]) * part / 3 for (p, q), part in zip(sides, twice, strict=True)) / sum(twice)
        for axis in (0, 1)
    ]
    assert middle == pytest.approx([0, 0], abs=0.03 * r + 0.06)
    assert abs(sum(twice)) / 2 == pytest.approx(math.pi * r * r, rel=0.07)  # a tenth of a pixel is rounded
    assert all(math.hypot(*end) < 1.9 * r for end in ends)


def inked(place):
    """Return the pixels that a mark covers, of 60 x 60, with a radius of 15."""
    picture = Image.new("1", (60, 60))
    if place == 0:
        ImageDraw.Draw(picture).ellipse((15, 15, 45, 45), fill=1)
    else:
        ImageDraw.Draw(picture).polygon(corners(marker(place, 30, 30, 15)), fill=1)
    return set(np.flatnonzero(picture))


def test_no_two_marks_look_alike():
    drawn = [inked(place) for place in range(SHAPES)]
    shared = {
        pair: len(drawn[pair[0]] & drawn[pair[1]]) / len(drawn[pair[0]] | drawn[pair[1]])
        for pair in combinations(range(SHAPES), 2)
    }
    assert max(shared.values()) < 0.92, max(shared, key=shared.get)


def test_every_defense_has_a_mark_of_its_own():
    assert len(DEFENSES) <= SHAPES


def test_marks_begin_again():
    assert [marker(place + SHAPES, 1, 2, 3) for place in range(5)] == [marker(n, 1, 2, 3) for n in range(5)]
