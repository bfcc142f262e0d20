"""Marks at the points of a plot."""


def marker(place: int, x: float, y: float, r: float) -> str:
    """Return the path of a mark of radius `r` around (x, y), in pixels: circle, square, triangle, diamond."""
    match place % 4:
        case 0:
            return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
        case 1:
            s = 0.9 * r
            return f"M{x - s:.1f} {y - s:.1f}h{2 * s:.2f}v{2 * s:.2f}h{-2 * s:.2f}Z"
        case 2:
            return f"M{x:.1f} {y - 1.2 * r:.1f}l{1.15 * r:.2f} {2 * r:.2f}h{-2.3 * r:.2f}Z"
        case _:
            s = 1.3 * r
            return f"M{x:.1f} {y - s:.1f}l{s:.2f} {s:.2f}l{-s:.2f} {s:.2f}l{-s:.2f} {-s:.2f}Z"
