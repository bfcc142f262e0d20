"""The weight of the mutual-information bottleneck (Wang et al., AAAI 2021)."""

from search_spaces.domains import Branch, Float, Space, Switch
from search_spaces.none import UNDEFENDED

BOTTLENECK = Branch({"defense.kind": "mid"}, {"defense.beta": Float(1e-3, 0.1, log=True, start=0.01)})


def mid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, or MID with its weight; published values reach from 0.001 to 0.1."""
    return {"defense": Switch({"none": UNDEFENDED, "mid": BOTTLENECK})}
