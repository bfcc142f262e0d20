"""Labels beside the points of a plot."""

from xml.sax.saxutils import escape

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Labels:
    """Labels beside points, each where it covers no other label and as few points as may be."""

    def __init__(self, frame: Box) -> None:
        self.frame = frame
        self.boxes: list[Box] = []
        self.points: list[tuple[float, float]] = []
        self.drawn: list[str] = []

    def avoid(self, px: float, py: float) -> None:
        """Remember a point that labels should leave visible."""
        self.points.append((px, py))

    def add(self, px: float, py: float, text: str) -> None:
        """Place `text` beside the point; all points to avoid must be known before."""
        wide = 6.4 * len(text)
        spots = [(px + 11, py - 9), (px - 11 - wide, py - 9), (px + 11, py + 17), (px - 11 - wide, py + 17)]
        spots += [(px - wide / 2, py - 14), (px - wide / 2, py + 24)]
        left, baseline = min(spots, key=lambda spot: self._cost(spot, wide))
        self.boxes.append((left, baseline - 10, left + wide, baseline + 3))
        self.drawn.append(f'<text class="tag" x="{left:.1f}" y="{baseline:.1f}">{escape(text)}</text>')

    def _cost(self, spot: tuple[float, float], wide: float) -> float:
        a, b, c, d = spot[0], spot[1] - 10, spot[0] + wide, spot[1] + 3
        hidden = sum(a - 6 < px < c + 6 and b - 5 < py < d + 5 for px, py in self.points)
        crossed = sum(a < r and c > left and b < low and d > top for left, top, r, low in self.boxes)
        outside = a < self.frame[0] or b < self.frame[1] or c > self.frame[2] or d > self.frame[3]
        return 10 * crossed + 10 * outside + hidden
