"""What every registered space promises, and what the published settings ask of each."""

import random

import pytest

from search_spaces import SPACES
from search_spaces.bido import COCO, HSIC
from search_spaces.defenses import BRANCHES, EXTRA
from search_spaces.dp_sgd import PRIVATE
from search_spaces.grids import HSIC_PAIRS, MID_BETAS, SSD_EPSILONS
from search_spaces.mid import BOTTLENECK
from search_spaces.parse import parse
from search_spaces.space import anchors, at_random, decode, describe, grid, size
from search_spaces.ssd import SHIELDED
from search_spaces.trap_mid import TRAPDOORS

POINTS = ("none", "block1", "block2", "block3", "block4", "block5")
UNDEFENDED = {"defense.kind": "none"}


@pytest.mark.parametrize("name", SPACES)
def test_every_space_says_what_it_is_and_starts_with_anchors(name):
    entry = SPACES[name]
    assert entry.summary and "\n" not in entry.summary
    assert entry.source
    space = entry.make(POINTS)
    assert describe(space) == describe(entry.make(POINTS))
    for anchor in anchors(space):
        assert decode(space, anchor)
    if size(space) is not None:
        assert len(list(grid(space))) == size(space)


@pytest.mark.parametrize("name", [name for name in SPACES if name != "freeze_depth"])
def test_the_first_anchor_is_undefended(name):
    space = SPACES[name].make(POINTS)
    assert decode(space, anchors(space)[0]) == UNDEFENDED


def test_the_space_of_stored_studies_stays_as_it_is():
    """A study goes on only with the branches that it began with."""
    assert list(SPACES["defenses"].make(POINTS)["defense"].branches) == ["none", "bido_hsic", "mid"]


def test_all_defenses_are_searched_at_every_freeze_point():
    space = parse(["freeze_depth", "all_defenses"], POINTS)
    dice = random.Random(0)
    drawn = [decode(space, at_random(space, dice)) for _ in range(3000)]
    pairs = {(assignment["defense.kind"], assignment["target.freeze_point"]) for assignment in drawn}
    assert pairs == {(kind, point) for kind in BRANCHES if kind not in EXTRA for point in POINTS}


def test_anchors_of_the_combined_space():
    space = parse(["freeze_depth", "defenses"], POINTS)
    bido = {
        "defense.kind": "bido",
        "defense.measure": "hsic",
        "defense.lambda_x": 0.05,
        "defense.lambda_y": 0.5,
    }
    mid = {"defense.kind": "mid", "defense.beta": 0.01}
    started = [decode(space, anchor) for anchor in anchors(space)]
    whole = parse(["freeze_depth", "all_defenses"], POINTS)
    every = [decode(whole, anchor) for anchor in anchors(whole)]
    kinds = [anchor["defense.kind"] for anchor in every]
    offered = [kind for kind in BRANCHES if kind not in EXTRA]
    assert kinds[3 : 2 + len(offered)] == offered[1:]  # each defense once, at its published setting
    assert set(EXTRA) <= SPACES.keys()  # the others have a space of their own
    assert started == [
        {"target.freeze_point": "none"} | UNDEFENDED,
        {"target.freeze_point": "block5"} | UNDEFENDED,
        {"target.freeze_point": "block3"} | UNDEFENDED,
        {"target.freeze_point": "none"} | bido,
        {"target.freeze_point": "none"} | mid,
        {"target.freeze_point": "block3"} | bido,
    ]


def inside(domain, value):
    return domain.low <= value <= domain.high


def test_ranges_hold_the_published_settings():
    for lambda_x, lambda_y in ((0.05, 0.5), (0.05, 1.0), (0.05, 0.4), (0.03, 0.4), (0.1, 2.0), (0.01, 0.05)):
        assert inside(HSIC.space["defense.lambda_x"], lambda_x)
        assert inside(HSIC.space["defense.lambda_y"], lambda_y)
    for lambda_x, lambda_y in ((5, 50), (10, 50), (1, 50), (2, 20)):
        assert inside(COCO.space["defense.lambda_x"], lambda_x)
        assert inside(COCO.space["defense.lambda_y"], lambda_y)
    for beta in (0.001, 0.003, 0.01, 0.02, 0.1):
        assert inside(BOTTLENECK.space["defense.beta"], beta)


def test_ranges_hold_every_published_grid():
    """MID's 0, the noise alone, and BiDO's zeros are controls, which no range on a logarithm holds."""
    for name in (name for name in SPACES if name.endswith("_grid") and not name.startswith("bido")):
        space = SPACES[name].make(POINTS)
        for row in [decode(space, raw) for raw in grid(space)][1:]:
            branch = BRANCHES[row.pop("defense.kind")]
            for path, value in row.items():
                domain = branch.space.get(path)
                assert domain is None or inside(domain, value) or (name, value) == ("mid_grid", 0.0)


def test_the_grids_are_the_published_ones():
    published = {(0, 0), (0, 1), (0.1, 0), (0.1, 1), (0.01, 0.05), (0.01, 0.2), (0.01, 0.5)}
    published |= {(0.05, 0.25), (0.05, 0.5), (0.05, 1.0), (0.05, 2.5)}
    assert set(HSIC_PAIRS) == published and len(HSIC_PAIRS) == len(published)
    assert {0.003, 0.01, 0.02, 0.0} <= set(MID_BETAS)
    space = SPACES["bido_grid"].make(POINTS)
    rows = [decode(space, raw) for raw in grid(space)]
    assert rows.pop(0) == {"defense.kind": "none"}
    assert [(row["defense.lambda_x"], row["defense.lambda_y"]) for row in rows] == list(HSIC_PAIRS)
    assert all(row["defense.kind"] == "bido" and row["defense.measure"] == "hsic" for row in rows)
    for epsilon in SSD_EPSILONS:
        assert inside(SHIELDED.space["defense.epsilon"], epsilon)
    assert [
        decode(SPACES["ssd_grid"].make(POINTS), raw) for raw in grid(SPACES["ssd_grid"].make(POINTS))
    ] == [
        {"defense.kind": "none"},
        *({"defense.kind": "ssd", "defense.epsilon": epsilon} for epsilon in (0.5, 0.35, 0.8, 1.5)),
    ]
    assert inside(TRAPDOORS.space["defense.alpha"], 0.02) and inside(TRAPDOORS.space["defense.beta"], 0.2)
    assert inside(PRIVATE.space["defense.noise_multiplier"], 0.01)


def test_an_optuna_study_accepts_anchors_and_draws():
    optuna = pytest.importorskip("optuna")
    from search_spaces.space import draw

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = parse(["freeze_depth", "defenses"], POINTS)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for anchor in anchors(space):
        study.enqueue_trial(anchor)
    drawn = []
    for _ in range(len(anchors(space)) + 8):
        trial = study.ask()
        drawn.append(draw(space, trial))
        assert drawn[-1] == decode(space, trial.params)
        study.tell(trial, [0.5, 0.5])
    assert drawn[: len(anchors(space))] == [decode(space, anchor) for anchor in anchors(space)]
