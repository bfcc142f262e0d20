"""Search spaces: families of hyper-parameters that may vary in a sweep. Standard library only."""

from search_spaces.bido import bido
from search_spaces.defenses import all_defenses, defenses
from search_spaces.domains import SpaceEntry
from search_spaces.dp_sgd import dp_sgd
from search_spaces.freeze import freeze_depth
from search_spaces.grids import (
    bido_coco_grid,
    bido_grid,
    loft_grid,
    mid_grid,
    midre_grid,
    negls_grid,
    skips_grid,
    ssd_grid,
)
from search_spaces.mid import mid
from search_spaces.ssd import ssd
from search_spaces.trap_mid import trap_mid

_TL_DMI = "Ho et al., CVPR 2024 (TL-DMI)"
_BIDO = "Peng et al., KDD 2022 (BiDO)"
_TRAP = "Liu & Chen, NeurIPS 2024 (Trap-MID)"
_SSD = "Qu et al., ICLR 2025 (Stealthy Shield Defense)"
_DP = "Abadi et al., CCS 2016 (DP-SGD)"
_MID = "Wang et al., AAAI 2021 (MID)"
_NEGLS = "Struppek et al., ICLR 2024 (negative label smoothing)"
_MIDRE = "Tran et al., TMLR 2025 (MIDRE)"
_LOFT = "Yu et al., arXiv 2410.05814 (CALoR, LoFt)"
_SKIPS = "Koh et al., ECCV 2024 (RoLSS, SSF, TTS)"

SPACES: dict[str, SpaceEntry] = {
    "freeze_depth": SpaceEntry("the freeze point, from none to the whole backbone", _TL_DMI, freeze_depth),
    "bido": SpaceEntry("no defense or BiDO: measure, lambda_x, lambda_y", _BIDO, bido),
    "mid": SpaceEntry("no defense or MID: beta", _MID, mid),
    "defenses": SpaceEntry("no defense, BiDO-HSIC or MID, and its weights", "the papers of each", defenses),
    "trap_mid": SpaceEntry("no defense or Trap-MID: alpha, beta", _TRAP, trap_mid),
    "ssd": SpaceEntry("no defense or SSD: epsilon", _SSD, ssd),
    "dp_sgd": SpaceEntry("no defense or DP-SGD: noise and clipping; needs the extra dp", _DP, dp_sgd),
    "bido_grid": SpaceEntry("no defense and the authors' 11 pairs of BiDO-HSIC weights", _BIDO, bido_grid),
    "bido_coco_grid": SpaceEntry("the published 6 pairs of BiDO-COCO weights", _BIDO, bido_coco_grid),
    "mid_grid": SpaceEntry("no defense and 8 published values of MID's beta", _MID, mid_grid),
    "all_defenses": SpaceEntry(
        "no defense and every one that needs no extra, with its weights", "each its own", all_defenses
    ),
    "negls_grid": SpaceEntry("no defense and 6 published amounts of negative smoothing", _NEGLS, negls_grid),
    "midre_grid": SpaceEntry("no defense and the two published shares of erasing", _MIDRE, midre_grid),
    "loft_grid": SpaceEntry("no defense, 9 published ranks of LoFt, 2 settings of CALoR", _LOFT, loft_grid),
    "skips_grid": SpaceEntry("no defense, RoLSS, SSF at its published factor, TTS", _SKIPS, skips_grid),
    "ssd_grid": SpaceEntry("no defense and 4 published values of SSD's epsilon", _SSD, ssd_grid),
}
