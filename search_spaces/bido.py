"""The two weights of bilateral dependency optimisation (Peng et al., KDD 2022).

The ranges hold the settings that the authors and TL-DMI publish as usable. HSIC: lambda_x 0.01 to 0.1 and
lambda_y 0.05 to 2.5, with room below, where BiDO fades into no defense. COCO values are about a hundred
times smaller than HSIC's, so its weights are that much larger: published 1 to 10 and 20 to 50.
"""

from search_spaces.domains import Branch, Float, Space, Switch
from search_spaces.none import UNDEFENDED

HSIC = Branch(
    {"defense.kind": "bido", "defense.measure": "hsic"},
    {
        "defense.lambda_x": Float(0.005, 0.2, log=True, start=0.05),
        "defense.lambda_y": Float(0.05, 2.5, log=True, start=0.5),
    },
)

COCO = Branch(
    {"defense.kind": "bido", "defense.measure": "coco"},
    {
        "defense.lambda_x": Float(0.5, 20.0, log=True, start=5.0),
        "defense.lambda_y": Float(5.0, 100.0, log=True, start=50.0),
    },
)


def bido(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, or BiDO under either dependence measure with its two weights."""
    return {"defense": Switch({"none": UNDEFENDED, "bido_hsic": HSIC, "bido_coco": COCO})}
