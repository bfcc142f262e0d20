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
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [{"defense.kind": "mid", "defense.beta": beta} for beta in MID_BETAS]
    return {"defense": Rows(tuple(rows))}


def ssd_grid(freeze_points: tuple[str, ...]) -> Space:
    """Return no defense and SSD at the published values of epsilon."""
    rows: list[dict[str, Value]] = [{"defense.kind": "none"}]
    rows += [{"defense.kind": "ssd", "defense.epsilon": epsilon} for epsilon in SSD_EPSILONS]
    return {"defense": Rows(tuple(rows))}
