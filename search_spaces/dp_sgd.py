"""Noise and clipping of DP-SGD (Abadi et al., CCS 2016) as a baseline of high utility.

Published comparisons take a noise multiplier of 0.01, whose privacy budget is vacuous; 1 gives a meaningful
one and costs most of the accuracy. The clipping length trades against the learning rate.
"""

from search_spaces.domains import Branch, Float, Space, Switch
from search_spaces.none import UNDEFENDED

PRIVATE = Branch(
    {"defense.kind": "dp_sgd"},
    {
        "defense.noise_multiplier": Float(0.001, 1.0, log=True, start=0.01),
        "defense.max_grad_norm": Float(0.1, 10.0, log=True, start=1.0),
    },
)


def dp_sgd(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, or DP-SGD with noise and clipping; it needs the extra ``dp``."""
    return {"defense": Switch({"none": UNDEFENDED, "dp_sgd": PRIVATE})}
