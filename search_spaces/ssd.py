"""How far an answer may be moved under the Stealthy Shield Defense (Qu et al., ICLR 2025).

The authors publish 0.35, 0.5 and 0.8 at 64 pixels and 1.5 at 224, all at temperature 0.1.
"""

from search_spaces.domains import Branch, Float, Space, Switch
from search_spaces.none import UNDEFENDED

SHIELDED = Branch({"defense.kind": "ssd"}, {"defense.epsilon": Float(0.1, 2.0, log=True, start=0.5)})


def ssd(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, or SSD with the bound of its changes."""
    return {"defense": Switch({"none": UNDEFENDED, "ssd": SHIELDED})}
