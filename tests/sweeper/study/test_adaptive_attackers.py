"""Who would attack a defense that he knows, and whether a trial's attacks do so."""

import pytest

from sweeper.study.adaptive_attackers import (
    AdaptiveAttacker,
    adaptive_attacker,
    attacks_of,
    non_adaptive,
)
from trainables.defenses import DEFENSES


@pytest.mark.parametrize("kind", sorted(DEFENSES))
def test_the_text_of_the_files_says_what_the_classes_say(kind):
    attacker = adaptive_attacker(kind)
    assert (attacker.text, attacker.attack) == (DEFENSES[kind].adaptive, DEFENSES[kind].adaptive_attack)


@pytest.mark.parametrize(
    ("attack", "documents", "ran"),
    [
        (None, [{"kind": "gmi"}], False),
        ("gmi", [{"kind": "gmi"}], True),
        ("gmi", [{"kind": "kedmi"}, {"kind": "brep"}], False),
        ("map, gmi", [{"kind": "kedmi"}, {"kind": "gmi"}], True),
        ("*", [{"kind": "kedmi"}], True),
        ("gmi align=paa", [{"kind": "gmi"}], False),
        ("gmi align=paa", [{"kind": "gmi", "align": "paa"}], True),
        ("gmi align=paa", [{"kind": "kedmi", "align": "paa"}], False),
        ("* align=paa", [{"kind": "kedmi", "align": "paa"}], True),
        ("* knowing=true", [{"kind": "kedmi", "knowing": True}], True),
        ("* knowing=true", [{"kind": "kedmi", "knowing": False}], False),
        ("* knowing=true, gmi", [{"kind": "gmi"}], True),
        ("* knowing=true", [{"kind": "gmi"}], False),
        ("* copies>1", [{"kind": "kedmi", "copies": 1}], False),
        ("* copies>1", [{"kind": "kedmi", "copies": 2}], True),
        ("* copies>1", [{"kind": "kedmi"}], False),
    ],
)
def test_an_attack_counts_by_its_name_and_knob(attack, documents, ran):
    assert AdaptiveAttacker(text="asks", attack=attack).ran(documents) == ran
    assert not AdaptiveAttacker(text="asks", attack=attack).ran([])


def test_a_sentence_says_what_is_missing():
    gmi, lomma = {"kind": "gmi"}, {"kind": "lomma_gmi"}
    assert non_adaptive("none", "none", [gmi]) == ""
    assert non_adaptive("bido", "none", [gmi, lomma]) == ""
    assert non_adaptive("bido", "none", [{"prior": {"kind": "gmi"}, "attack": lomma}]) == ""
    text = non_adaptive("bido", "block1", [gmi])
    assert text.startswith("non-adaptive: one who knows of 'bido' trains classifiers of its own")
    assert text.endswith("(lomma_gmi, lomma_kedmi)")
    frozen = non_adaptive("none", "block1", [gmi, lomma])
    assert frozen.startswith("non-adaptive: one who knows of freezing ") and frozen.endswith("does so)")
    assert non_adaptive("dp_sgd", "none", [gmi]) == ""  # nothing that one could know
    assert AdaptiveAttacker(attack="*").runs_here == "any attack"
    assert non_adaptive("unheard_of", "none", [gmi]).startswith("non-adaptive: nobody says")
    assert AdaptiveAttacker(attack="* copies>1").runs_here == "any attack with copies>1"
    assert AdaptiveAttacker(attack="* knowing=true, gmi").runs_here == "any attack with knowing: true, gmi"


@pytest.mark.parametrize("kind", ["mid", "midre", "loft", "calor", "rolss", "ssf", "tts", "trap_mid"])
def test_the_knob_makes_any_attack_one_who_knows_these_defenses(kind):
    knowing = {"kind": "gmi", "adaptive": True}
    assert non_adaptive(kind, "none", [{"kind": "gmi"}]).startswith(
        f"non-adaptive: one who knows of '{kind}'"
    )
    assert "(any attack with adaptive: true" in non_adaptive(kind, "none", [{"kind": "gmi"}])
    assert non_adaptive(kind, "none", [{"kind": "gmi"}, knowing]) == ""
    assert non_adaptive("bido", "none", [knowing]).startswith("non-adaptive: one who knows of 'bido'")


def test_a_trial_has_one_attack_or_several():
    gmi, lomma = {"kind": "gmi"}, {"kind": "lomma_gmi"}
    assert attacks_of({"attack": gmi}) == [gmi]
    assert attacks_of({"attack": [gmi, lomma]}) == [gmi, lomma]
    assert attacks_of({}) == []
