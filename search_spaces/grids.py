"""Grids that were published, row by row, to repeat what a hand search saw.

Each starts with no defense and goes on with the setting that its authors chose.
"""

from search_spaces.domains import Rows, Space, Value

# (lambda_x, lambda_y) of the VGG16 checkpoints released with BiDO, measure HSIC. (0, 0) is the authors' own
# reference: cross-entropy on batches of several images per identity. At (0.1, 0) their classifier collapsed.
HSIC_PAIRS = (
    (0.05, 0.5),
    (0.0, 0.0),
    (0.01, 0.05),
    (0.01, 0.2),
    (0.01, 0.5),
    (0.05, 0.25),
    (0.05, 1.0),
    (0.05, 2.5),
    (0.0, 1.0),
    (0.1, 0.0),
    (0.1, 1.0),
)

# Measure COCO: VGG16 (5, 50) and (10, 50), ResNet-34 (0.05, 2.5), MNIST (1, 50) and (2, 20).
COCO_PAIRS = ((5.0, 50.0), (0.0, 0.0), (10.0, 50.0), (2.0, 20.0), (1.0, 50.0), (0.05, 2.5))

# beta: 0.003, 0.01 and 0.02 are the released VGG16 checkpoints; 0 (the noisy head alone) was used for
# ResNet-34, 0.05 for ResNet-101; 0.001 and 0.1 are the ends of what was tried.
MID_BETAS = (0.01, 0.003, 0.02, 0.0, 0.001, 0.002, 0.05, 0.1)

# alpha: -0.05 in most later comparisons, the others in CALoR's baselines, -0.1 in SSD's.
NEGATIVE_ALPHAS = (-0.05, -0.001, -0.005, -0.01, -0.02, -0.1)

# The largest square's share of the image.
ERASED_AREAS = (0.4, 0.8)

# LoFt's ranks of FaceScrub's 530 classes, its choice first; CALoR's own setting and its code's default gamma.
LOW_RANKS = (50, 20, 35, 75, 100, 150, 200, 300, 500)
ADAPTED = ((40, 8.0), (40, 4.0))
# epsilon at temperature 0.1: 0.5 and 0.35 of IR-152 (FaceScrub, CelebA), 0.8 of VGG16, 1.5 at 224 pixels.
SSD_EPSILONS = (0.5, 0.35, 0.8, 1.5)


def _bido(measure: str, pairs: tuple[tuple[float, float], ...]) -> Space:
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [
        {
            "defense.kind": "bido",
            "defense.measure": measure,
            "defense.lambda_x": lambda_x,
            "defense.lambda_y": lambda_y,
        }
        for lambda_x, lambda_y in pairs
    ]
    return {"defense": Rows(tuple(rows))}


def bido_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and the pairs of the released BiDO-HSIC checkpoints."""
    return _bido("hsic", HSIC_PAIRS)


def bido_coco_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and the published BiDO-COCO pairs, over several architectures."""
    return _bido("coco", COCO_PAIRS)


def mid_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and MID at the published values of beta."""
    return _one_knob("mid", "beta", MID_BETAS)


def negls_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and negative label smoothing at the published amounts."""
    return _one_knob("negative_label_smoothing", "alpha", NEGATIVE_ALPHAS)


def midre_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and MIDRE at the two published sizes."""
    return _one_knob("midre", "area", ERASED_AREAS)


def loft_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, LoFt at the published ranks, and CALoR's two settings."""
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [{"defense.kind": "loft", "defense.rank": rank} for rank in LOW_RANKS]
    rows += [
        {"defense.kind": "calor", "defense.rank": rank, "defense.gamma": gamma} for rank, gamma in ADAPTED
    ]
    return {"defense": Rows(tuple(rows))}


def skips_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense, RoLSS, SSF with ResNet-18's published factor, and TTS."""
    rows: tuple[dict[str, Value], ...] = (
        {"defense.kind": "none"},
        {"defense.kind": "rolss"},
        {"defense.kind": "ssf", "defense.factor": 0.6},
        {"defense.kind": "tts"},
    )
    return {"defense": Rows(rows)}


def _one_knob(kind: str, knob: str, values: tuple[float, ...]) -> Space:
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [{"defense.kind": kind, f"defense.{knob}": value} for value in values]
    return {"defense": Rows(tuple(rows))}


def ssd_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and SSD at the published values of epsilon."""
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [{"defense.kind": "ssd", "defense.epsilon": epsilon} for epsilon in SSD_EPSILONS]
    return {"defense": Rows(tuple(rows))}
