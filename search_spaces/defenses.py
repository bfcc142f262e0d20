"""All defenses in one conditional space: which one, and its own weights."""

from search_spaces.bido import HSIC
from search_spaces.domains import Branch, Space, Switch
from search_spaces.dp_sgd import PRIVATE
from search_spaces.mid import BOTTLENECK
from search_spaces.none import UNDEFENDED
from search_spaces.ssd import SHIELDED
from search_spaces.trap_mid import TRAPDOORS

BRANCHES: dict[str, Branch] = {
    "none": UNDEFENDED,
    "bido": HSIC,
    "mid": BOTTLENECK,
    "trap_mid": TRAPDOORS,
    "ssd": SHIELDED,
    "dp_sgd": PRIVATE,
}
"""Kind of a defense -> the branch that its knobs span. Stored studies know the order: add at the end."""

EXTRA = ("dp_sgd",)  # kinds that need a package of an extra


def defenses(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, BiDO under HSIC (the measure its authors recommend), MID, and all other defenses.

    A branch is labelled by what it holds fixed, as in ``bido_hsic``. Those that need an extra are left out;
    each has a space of its own name.
    """
    labels = {
        "_".join(map(str, branch.fixed.values())): branch
        for kind, branch in BRANCHES.items()
        if kind not in EXTRA
    }
    return {"defense": Switch(labels)}
