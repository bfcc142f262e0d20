"""Defenses: what changes in the training of a target. Add one: a file here, a line below."""

from trainables.defenses.base import Defense
from trainables.defenses.bido import BiDO
from trainables.defenses.dp_sgd import DPSGD
from trainables.defenses.mid import MID
from trainables.defenses.none import NoDefense
from trainables.defenses.ssd import SSD
from trainables.defenses.trap_mid import TrapMID

DEFENSES: dict[str, type[Defense]] = {
    "none": NoDefense,
    "bido": BiDO,
    "mid": MID,
    "trap_mid": TrapMID,
    "ssd": SSD,
    "dp_sgd": DPSGD,
}
