"""The strength of Trap-MID's triggers and the weight of its trapdoors (Liu & Chen, NeurIPS 2024).

The authors publish one setting, alpha 0.02 and beta 0.2, which every reader since has taken over; the ranges
reach around it, where the trapdoor fades at one end and the accuracy at the other.
"""

from search_spaces.domains import Branch, Float, Space, Switch
from search_spaces.none import UNDEFENDED

TRAPDOORS = Branch(
    {"defense.kind": "trap_mid"},
    {
        "defense.alpha": Float(0.005, 0.1, log=True, start=0.02),
        "defense.beta": Float(0.05, 0.5, start=0.2),
    },
)


def trap_mid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, or Trap-MID with the strength of its triggers and the weight of its trapdoors."""
    return {"defense": Switch({"none": UNDEFENDED, "trap_mid": TRAPDOORS})}
