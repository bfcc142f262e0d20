"""Range checks that every knob dataclass runs in ``__post_init__``: named, with the value received."""


def at_least(knobs: object, low: float, *names: str) -> None:
    """Raise ValueError unless every named knob that is set is `low` or more."""
    for name in names:
        value = getattr(knobs, name)
        if value is not None and not value >= low:
            raise ValueError(f"{name} must be at least {low}; got {value}")


def above(knobs: object, low: float, *names: str) -> None:
    """Raise ValueError unless every named knob is greater than `low`."""
    for name in names:
        value = getattr(knobs, name)
        if not value > low:
            raise ValueError(f"{name} must be greater than {low}; got {value}")


def fraction(knobs: object, *names: str) -> None:
    """Raise ValueError unless every named knob lies strictly between 0 and 1."""
    for name in names:
        value = getattr(knobs, name)
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1; got {value}")
