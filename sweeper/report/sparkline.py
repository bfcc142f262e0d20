"""A curve the size of a word."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT, MOST = 160, 34, 160


def spark_svg(series: Sequence[float]) -> str:
    """Return `series` as a small SVG curve of at most 160 points, with gaps where it is not finite."""
    step = max(1, math.ceil(len(series) / MOST))
    points = list(series[::step])
    known = [v for v in points if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    span = (high - low) or 1.0
    path, pen = "", "M"
    for i, v in enumerate(points):
        if not math.isfinite(v):
            pen = "M"
            continue
        x = 2 + i / max(1, len(points) - 1) * (WIDTH - 4)
        y = HEIGHT - 3 - (v - low) / span * (HEIGHT - 6)
        path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L"
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    line = 'fill="none" stroke="currentColor" stroke-width="1.4" stroke-linejoin="round"'
    return f'<svg class="spark" {box} aria-hidden="true"><path d="{path}" {line}/></svg>'
