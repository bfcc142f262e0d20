"""All defenses in one conditional space: which one, and its own weights."""

from search_spaces.bido import HSIC
from search_spaces.domains import Space, Switch
from search_spaces.mid import BOTTLENECK
from search_spaces.none import UNDEFENDED


def defenses(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, BiDO under HSIC (the measure its authors recommend), or MID."""
    return {"defense": Switch({"none": UNDEFENDED, "bido_hsic": HSIC, "mid": BOTTLENECK})}
