"""Attacks: what an attacker does with a trained target. Add one: a file here, a line below."""

from trainables.attacks.base import Attack
from trainables.attacks.brep import BREP
from trainables.attacks.gmi import GMI, PPDGGMI
from trainables.attacks.if_gmi import IFGMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lokt import LOKT
from trainables.attacks.lomma import LommaGMI, LommaKEDMI
from trainables.attacks.map import MAP
from trainables.attacks.mirror import Mirror
from trainables.attacks.mirror_blackbox import MirrorBlackbox
from trainables.attacks.plg import PLG
from trainables.attacks.ppa import PPA, PPDGPPA
from trainables.attacks.rlb import RLB
from trainables.attacks.smile import SMILE
from trainables.attacks.vmi import VMI

ATTACKS: dict[str, type[Attack]] = {
    "gmi": GMI,
    "kedmi": KEDMI,
    "lomma_gmi": LommaGMI,
    "lomma_kedmi": LommaKEDMI,
    "ppa": PPA,
    "ppdg_gmi": PPDGGMI,
    "ppdg_ppa": PPDGPPA,
    "if_gmi": IFGMI,
    "mirror": Mirror,
    "mirror_blackbox": MirrorBlackbox,
    "smile": SMILE,
    "brep": BREP,
    "rlb": RLB,
    "vmi": VMI,
    "plg": PLG,
    "lokt": LOKT,
    "map": MAP,
}
