"""Labels beside the points of a plot."""

import math
from xml.sax.saxutils import escape

Box = tuple[float, float, float, float]  # left, top, right, bottom
STEP = 4  # pixels between the places of a tie that are looked at; a label is higher


class Labels:
    """Labels beside points, each where it covers no other label and as few points and ties as may be.

    frame: that they stay in, in pixels. boxes: where something is written already. points: that labels
    should leave visible. ties: lines between points, (x, y, x, y), which count less than points.
    """

    def __init__(self, frame: Box) -> None:
        self.frame = frame
        self.boxes: list[Box] = []
        self.points: list[tuple[float, float]] = []
        self.ties: list[tuple[float, float, float, float]] = []
        self.drawn: list[str] = []

    def avoid(self, px: float, py: float) -> None:
        """Remember a point that labels should leave visible."""
        self.points.append((px, py))

    def add(self, px: float, py: float, text: str) -> None:
        """Place `text` beside the point; all that labels avoid must be known before."""
        wide = 6.4 * len(text)
        spots = [(px + 11, py - 9), (px - 11 - wide, py - 9), (px + 11, py + 17), (px - 11 - wide, py + 17)]
        spots += [(px - wide / 2, py - 14), (px - wide / 2, py + 24)]
        left, baseline = min(spots, key=lambda spot: self._cost(spot, wide))
        self.boxes.append((left, baseline - 10, left + wide, baseline + 3))
        self.drawn.append(f'<text class="tag" x="{left:.1f}" y="{baseline:.1f}">{escape(text)}</text>')

    def _cost(self, spot: tuple[float, float], wide: float) -> float:
        a, b, c, d = box = spot[0], spot[1] - 10, spot[0] + wide, spot[1] + 3
        hidden = sum(a - 6 < px < c + 6 and b - 5 < py < d + 5 for px, py in self.points)
        tied = sum(covers(box, tie) for tie in self.ties)
        crossed = sum(overlap(box, other) for other in self.boxes)
        outside = a < self.frame[0] or b < self.frame[1] or c > self.frame[2] or d > self.frame[3]
        return 10 * crossed + 10 * outside + hidden + tied / (len(self.ties) + 1)


def overlap(one: Box, other: Box) -> bool:
    """Return whether two boxes have any place in common."""
    return one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1]


def covers(box: Box, line: tuple[float, float, float, float]) -> bool:
    """Return whether a straight line from (x, y) to (x, y) passes under a box."""
    px, py, qx, qy = line
    steps = max(1, math.ceil(math.hypot(qx - px, qy - py) / STEP))
    places = ((px + (qx - px) * n / steps, py + (qy - py) * n / steps) for n in range(steps + 1))
    return any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in places)
