"""Depth of freezing: the one knob of TL-DMI (Ho et al., CVPR 2024)."""

from search_spaces.domains import Ordered, Space


def freeze_depth(freeze_points: tuple[str, ...]) -> Space:
    """Return the axis of the target's freeze points, from ``none`` to its last stage."""
    return {"target.freeze_point": Ordered(freeze_points)}
