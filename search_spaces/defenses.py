"""All defenses in one conditional space: which one, and its own weights."""

from search_spaces.bido import HSIC
from search_spaces.domains import Branch, Space, Switch
from search_spaces.dp_sgd import PRIVATE
from search_spaces.erasing import ERASING
from search_spaces.label_smoothing import NEGATIVE
from search_spaces.low_rank import ADAPTED, LOW_RANK
from search_spaces.mid import BOTTLENECK
from search_spaces.none import UNDEFENDED
from search_spaces.skips import REMOVED, REMOVED_LATE, SCALED
from search_spaces.ssd import SHIELDED
from search_spaces.trap_mid import TRAPDOORS

BRANCHES: dict[str, Branch] = {
    "none": UNDEFENDED,
    "bido": HSIC,
    "mid": BOTTLENECK,
    "negative_label_smoothing": NEGATIVE,
    "midre": ERASING,
    "loft": LOW_RANK,
    "calor": ADAPTED,
    "rolss": REMOVED,
    "ssf": SCALED,
    "tts": REMOVED_LATE,
    "trap_mid": TRAPDOORS,
    "ssd": SHIELDED,
    "dp_sgd": PRIVATE,
}
"""Kind of a defense -> the branch that its knobs span. Stored studies know the order: add at the end."""

FIRST = ("none", "bido", "mid")
EXTRA = ("dp_sgd",)  # kinds that need a package of an extra


def defenses(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, BiDO under HSIC (the measure its authors recommend), and MID.

    A branch is labelled by what it holds fixed, as in ``bido_hsic``. Stored studies of this space go on only
    while it stays what it is, so that later defenses are in `all_defenses` alone.
    """
    return {"defense": _switch(FIRST)}


def all_defenses(freeze_points: tuple[str, ...]) -> Space:
    """Return every defense that needs no extra, with its weights.

    Beside `freeze_depth` each is searched at every freeze point.

    A defense that the target's architecture does not take is not tried.
    """
    return {"defense": _switch(tuple(kind for kind in BRANCHES if kind not in EXTRA))}


def _switch(kinds: tuple[str, ...]) -> Switch:
    branches = [BRANCHES[kind] for kind in kinds]
    return Switch({"_".join(map(str, branch.fixed.values())): branch for branch in branches})
