"""What a comparison says of its intervals."""

import numpy as np
import pytest
from records import as_study

from sweeper.results.comparing.notes import interval_notes
from sweeper.results.comparing.resample import BASES, FittedStudy, Redraw
from sweeper.statistics.bootstrap import Redrawn
from sweeper.statistics.cross_fitting import cross_fit, level_of_pairs

BOTH = ("test_accuracy", "attack_accuracy")
NOTHING = Redrawn(np.zeros((1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))
DRAWS = cross_fit(np.zeros((1, 4)), np.zeros((1, 4)), draws=2)


def fitted(count, seeds=True):
    basis = "people, images and seeds" if seeds else "people and images"
    seedless = () if seeds else BOTH
    return [FittedStudy(draws=DRAWS, level=level_of_pairs(count), basis=basis, seedless=seedless)] * count


def notes(count, fits, drawn):
    return interval_notes([as_study({"study": str(number)}) for number in range(count)], fits, drawn)


def test_what_was_held_and_what_lacks_seeds_is_named():
    drawn = [
        Redraw(
            NOTHING, "identities", held=("test accuracy", "knn distance"), seedless=(*BOTH, "knn_distance")
        ),
        Redraw(NOTHING, "identities", held=("test accuracy but for training seeds",), seedless=()),
    ]
    first, second, seeds, last = notes(2, None, drawn)
    assert first.endswith(f"{BASES['identities']}; as measured in all draws: test accuracy, knn distance")
    assert second.endswith("; as measured in all draws: test accuracy but for training seeds")
    assert seeds.endswith("gives another target (another test accuracy, attack accuracy, knn distance)")
    assert last.endswith("nothing is said of recipes")


def test_cross_fitted_leads_of_two_studies_need_no_word_more():
    (only,) = notes(2, fitted(2), [None, None])
    assert only.endswith(f"(hypervolumes, leads, estimates): {BASES['people, images and seeds']}")


def test_leads_among_several_studies_have_their_level():
    *_, level = notes(3, fitted(3), [None] * 3)
    assert level == "leads have intervals of 98.3 %, so that all hold with 95 %"


@pytest.mark.parametrize("count", [1, 2])
def test_leads_without_seeds_say_nothing_of_recipes(count):
    said = notes(count, fitted(count, seeds=False), [None] * count)
    assert any("under another seed" in note for note in said)
    assert any("the lead lacks the noise of training seeds" in note for note in said) == (count > 1)


def test_estimates_at_levels_may_have_a_basis_of_their_own():
    drawn = [Redraw(NOTHING, "intervals with seeds")]
    first, second = notes(1, fitted(1), drawn)
    assert "again for (hypervolumes, leads): front chosen on one half" in first
    assert "again for (estimates): drawn from the trials' own" in second


VERIFIED = "attack_accuracy_verified"


@pytest.mark.parametrize(
    ("objectives", "noise", "end"),
    [
        (BOTH, True, "test images and training seeds"),
        (BOTH, False, "test images"),
        ((*BOTH, VERIFIED), True, "test images; of test accuracy and attack accuracy also of training seeds"),
        ((VERIFIED,), True, "test images"),
    ],
)
def test_intervals_of_trials_hold_seeds_only_of_the_two_accuracies(objectives, noise, end):
    known = {"seed_noise": {"probit": 0.1, "accuracy": 0.01, "freedom": 4}} if noise else {}
    trial = {"values": dict.fromkeys(objectives, 0.5), "interval": {way: [0.4, 0.6] for way in objectives}}
    ways = dict.fromkeys(objectives, "minimize")
    record = as_study({"study": "a", "objectives": ways, "trials": [trial], **known})
    assert interval_notes([record], None, [None])[0].endswith(end)
