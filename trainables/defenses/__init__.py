"""Defenses: what changes in the training of a target. Add one: a file here, a line below."""

from trainables.defenses.base import Defense
from trainables.defenses.bido import BiDO
from trainables.defenses.calor import CALoR
from trainables.defenses.dp_sgd import DPSGD
from trainables.defenses.loft import LoFt
from trainables.defenses.mid import MID
from trainables.defenses.midre import MIDRE
from trainables.defenses.negative_label_smoothing import NegativeLabelSmoothing
from trainables.defenses.none import NoDefense
from trainables.defenses.rolss import RoLSS
from trainables.defenses.ssd import SSD
from trainables.defenses.ssf import SSF
from trainables.defenses.trap_mid import TrapMID
from trainables.defenses.tts import TTS

DEFENSES: dict[str, type[Defense]] = {
    "none": NoDefense,
    "bido": BiDO,
    "mid": MID,
    "negative_label_smoothing": NegativeLabelSmoothing,
    "midre": MIDRE,
    "loft": LoFt,
    "calor": CALoR,
    "rolss": RoLSS,
    "ssf": SSF,
    "tts": TTS,
    "trap_mid": TrapMID,
    "ssd": SSD,
    "dp_sgd": DPSGD,
}
