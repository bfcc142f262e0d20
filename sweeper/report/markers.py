"""Marks at the points of a plot."""

import math
from collections.abc import Sequence

Corner = tuple[float, float]


def marker(place: int, x: float, y: float, r: float) -> str:
    """Return the path of a mark around (x, y), in pixels, as large as a circle of radius `r`.

    Of `SHAPES` shapes, after which they begin again; the first is the circle.
    """
    corners = _CORNERS[place % SHAPES]
    if not corners:
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    return "M" + "L".join(f"{x + r * across:.1f} {y + r * down:.1f}" for across, down in corners) + "Z"


def _star(points: int, inner: float = 1.0, turn: float = 0.0) -> list[Corner]:
    """Return a star's corners, the first at the top; `turn`: in degrees; an `inner` radius of 1 has none."""
    many = points if inner == 1 else 2 * points
    angles = [math.radians(turn + 360 * corner / many) for corner in range(many)]
    radii = [inner if corner % 2 else 1.0 for corner in range(many)]
    return [(r * math.sin(a), -r * math.cos(a)) for r, a in zip(radii, angles, strict=True)]


def _fitted(corners: Sequence[Corner]) -> list[Corner]:
    """Return the corners around their centre of mass, with the area of a circle of radius 1."""
    sides = list(zip(corners, [*corners[1:], *corners[:1]], strict=True))
    parts = [a * d - b * c for (a, b), (c, d) in sides]  # twice the area, by the shoelace formula
    middle = [
        sum((p[axis] + q[axis]) * part for (p, q), part in zip(sides, parts, strict=True)) / (3 * sum(parts))
        for axis in (0, 1)
    ]
    scale = math.sqrt(2 * math.pi / abs(sum(parts)))
    return [(scale * (across - middle[0]), scale * (down - middle[1])) for across, down in corners]


_ARM = 0.38  # half of the width of an arm of the plus
_QUARTER = [(_ARM, -1.0), (_ARM, -_ARM), (1.0, -_ARM)]
_PLUS = [*_QUARTER, *((x, -y) for x, y in _QUARTER[::-1])]
_HOURGLASS = [(-1.0, -1.0), (1.0, -1.0), (0.2, 0.0), (1.0, 1.0), (-1.0, 1.0), (-0.2, 0.0)]
_CHEVRON = [(-1.0, -1.0), (0.0, -0.3), (1.0, -1.0), (1.0, 0.3), (0.0, 1.0), (-1.0, 0.3)]

# Told apart at a few pixels, those that are alike far from each other. No X: that is the stopped target.
_DRAWN = [
    _star(4, turn=45),
    _star(3),
    _star(4),
    _star(5, 0.45),
    _star(3, turn=180),
    [*_PLUS, *((-x, y) for x, y in _PLUS[::-1])],
    _star(3, turn=90),
    _HOURGLASS,
    _star(5),
    _star(3, turn=270),
    [(down, across) for across, down in _HOURGLASS],  # a bow tie
    _CHEVRON,
    _star(4, 0.38),
]
_CORNERS = [[], *(_fitted(corners) for corners in _DRAWN)]  # the circle has none
SHAPES = len(_CORNERS)
