"""Every defense with figures of its own has words for them, and a reader gets the figures."""

import re
from string import Formatter

import pytest

from sweeper.study.defense_figures import defense_said
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense


@pytest.mark.parametrize("kind", sorted(DEFENSES))
def test_the_words_hold_all_figures_of_a_defense(kind):
    defense = DEFENSES[kind]
    own = defense.figures is not Defense.figures
    named = set(re.findall(r"``(\w+)``", defense.figures.__doc__)) if own else set()
    told = {name for _, name, _, _ in Formatter().parse(defense.figures_told) if name}
    assert told == named and bool(told) == own
    said = defense_said(kind, {**dict.fromkeys(told, 0.5), "chance": 0.25})
    assert said.count("0.5") == len(told) and "{" not in said


def test_what_was_not_measured_is_not_told():
    assert defense_said("dp_sgd", {"dp_epsilon": 12.434874, "dp_delta": None}) == ""
    assert defense_said("dp_sgd", {}) == defense_said("none", {"dp_epsilon": 1.0}) == ""
    assert defense_said("of another version", {"dp_epsilon": 1.0}) == ""
    assert "12.4 at delta 0.00031," in defense_said("dp_sgd", {"dp_epsilon": 12.434874, "dp_delta": 1 / 3180})
