"""The three sentences on a study, with what they say computed here."""

import numpy as np
import pytest
from records import as_study
from scipy.stats import binomtest

from sweeper.report.report import render
from sweeper.results import summary as module
from sweeper.results.summary import summary
from sweeper.statistics.power import smallest_difference

PEOPLE = 40


def trial(number, accuracy, attack, point="none", **more):
    return {
        "number": number,
        "state": "complete",
        "feasible": True,
        "on_front": True,
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "interval": {"attack_accuracy": [attack - 0.1, attack + 0.15]},
        "freeze_point": point,
        "defense": "none",
        "attacks": {"gmi": {}},
        "people": {"attacked": PEOPLE, "found": 9},
        **more,
    }


def study(*trials, **changes):
    controls = {"verdict": {"verdict": "tells", "reason": "it is clear of the floor"}}
    reference = {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    return as_study({"trials": trials, "controls": controls, "reference_point": reference} | changes)


THREE = (trial(0, 0.9, 0.5), trial(1, 0.8, 0.2, "conv3"), trial(2, 0.85, 0.45, "conv2"))


@pytest.fixture
def judged(monkeypatch):
    """Make the store know whom each trial gave away: the first `count` people."""

    def make(*counts):
        rows = {
            n: None if count is None else (np.arange(PEOPLE) < count) * 1.0 for n, count in enumerate(counts)
        }
        monkeypatch.setattr(module, "per_identity", lambda trials: [rows[trial.number] for trial in trials])

    return make


def test_what_the_front_shows(judged):
    judged(20, 8, 18)
    first = summary(study(*THREE, trial(3, 0.5, 0.9, "conv1", on_front=False)))[0]
    assert first == (
        "The front holds 3 of 4 trials, with test accuracy 80.0 % to 90.0 % and attack accuracy 20.0 % to "
        "50.0 %; without a defense it is 90.0 % and 50.0 %."
    )


def test_how_sure_it_is_comes_of_paired_tests_over_the_same_people(judged):
    judged(20, 8, 18)
    tests = [binomtest(0, 12).pvalue * 2, binomtest(0, 2).pvalue * 2]
    assert [p < 0.05 for p in tests] == [True, False]
    second = summary(study(*THREE, interval_holds="a sentence"))[1]
    assert second == (
        "An attack accuracy on it is known to within 15.0 points either way at worst; 1 of 2 defended "
        "targets on it gives away fewer people than the undefended one most like it by a paired test over "
        "the same 40 people (5 % for all 2 defended trials that competed together, these targets alone, "
        "without training seeds); a sentence."
    )


def test_the_wider_side_says_how_well_it_is_known(judged):
    judged(20)
    skew = trial(0, 0.9, 0.9) | {"interval": {"attack_accuracy": [0.7, 0.95]}}
    assert "known to within 20.0 points either way at worst" in summary(study(skew))[1]


def test_each_defended_target_is_held_against_the_undefended_one_of_its_pre_training(judged):
    judged(30, 8, 20, 18)
    near, far = ({"params": {"pretraining.data.population": kind}} for kind in ("near", "far"))
    four = (
        trial(0, 0.9, 0.75, **near),
        trial(1, 0.8, 0.2, "conv3", **far),
        trial(2, 0.85, 0.5, **far),
        trial(3, 0.85, 0.45, "conv2", **far),
    )
    assert binomtest(0, 2).pvalue * 2 > 0.05  # 18 against 20 are not told apart; against 30 they would be
    assert "1 of 2 defended targets on it gives away fewer" in summary(study(*four))[1]
    template = {"trial": {"pretraining": {"data": {"population": "far"}}}}
    shown = summary(study(*four, definition=template))[0]
    assert shown.endswith("without a defense it is 85.0 % and 50.0 %.")


def test_a_mean_over_seeds_tells_smaller_falls(judged):
    judged(20, 8, 18)
    again = [{"replicate": n, "values": {"test_accuracy": 0.9, "attack_accuracy": 0.5}} for n in range(3)]
    noise = {"probit": 0.2, "accuracy": 0.0, "freedom": 4}
    trials = (trial(0, 0.9, 0.5, replicates=again), *THREE[1:])
    fall = smallest_difference(0.5, PEOPLE, seed_deviation=0.2 / np.sqrt(2 * np.pi * 3), tests=2)
    assert f"below about {100 * fall:.1f} %" in summary(study(*trials, seed_noise=noise))[2]


@pytest.mark.parametrize("fewer", [5, 6, 7])
def test_several_tests_share_their_level(judged, fewer):
    judged(20, 20 - fewer, 20)
    p = binomtest(0, fewer).pvalue
    shown = "1 of 2" if 2 * p < 0.05 else "0 of 2"
    assert shown in summary(study(*THREE))[1]


@pytest.mark.parametrize("others", [0, 1, 10])
def test_a_target_was_chosen_among_all_that_competed_by_the_rates_it_is_tested_on(judged, others):
    judged(20, 13, 20)
    beaten = [trial(number, 0.5, 0.9, "conv1", on_front=False) for number in range(3, 3 + others)]
    told = 2 * 0.5**7 * (2 + others) < 0.05
    second = summary(study(*THREE, *beaten))[1]
    assert f"{int(told)} of 2 defended targets" in second
    assert f"(5 % for all {2 + others} defended trials that competed together" in second


def test_where_no_fall_can_be_told_that_is_said(judged):
    judged(2, 0)
    low = (trial(0, 0.9, 0.05), trial(1, 0.8, 0.0, "conv3"))
    assert smallest_difference(0.05, PEOPLE) is None
    limit = "nor any fall of attack accuracy, even one from 5.0 % to nobody, which is missed often"
    assert limit in summary(study(*low))[2]
    judged(0, 0)
    assert "missed often" not in summary(study(trial(0, 0.9, 0.0), trial(1, 0.8, 0.0, "conv3")))[2]


def test_more_people_are_not_fewer(judged):
    judged(8, 20, 20)
    assert "0 of 2 defended targets on it give away fewer" in summary(study(*THREE))[1]


@pytest.mark.parametrize("counts", [(None, 8, 18), (20, None, 18)])
def test_what_cannot_be_tested_is_not_claimed(judged, counts):
    judged(*counts)
    assert "fewer" not in summary(study(*THREE))[1]
    bare = [found | {"interval": {}} for found in THREE]
    assert summary(study(*bare))[1] == "How sure that is is not known: its figures have no intervals."


def test_what_it_cannot_show(judged):
    judged(20, 8, 18)
    fall = smallest_difference(0.5, PEOPLE, tests=2)  # of both that are frozen
    assert summary(study(*THREE))[2] == (
        "It cannot show what attacks other than gmi recover, nor how much of the front is luck of the "
        f"search, before it is confirmed, nor falls of attack accuracy below about {100 * fall:.1f} %, which "
        "are missed often."
    )
    noise = {"probit": 0.2, "accuracy": 0.0, "freedom": 4}
    more = smallest_difference(0.5, PEOPLE, seed_deviation=0.2 / np.sqrt(2 * np.pi), tests=2)
    assert more > fall
    assert f"below about {100 * more:.1f} %" in summary(study(*THREE, seed_noise=noise))[2]
    confirmed = {"attacks": [], "seeds": 3, "hypervolume": 0.5}
    assert "luck" not in summary(study(*THREE, confirmed=confirmed))[2]
    assert "no controls were measured" in summary(study(*THREE, controls=None))[2]


def test_a_study_that_cannot_tell_says_so(judged):
    judged(20, 8, 18)
    controls = {"verdict": {"verdict": "cannot tell", "reason": "it is at the floor"}}
    third = summary(study(*THREE, controls=controls))[2]
    assert third == "It cannot show what a defense keeps private: it is at the floor."


def test_without_a_front_there_is_one_sentence():
    assert len(summary(study())) == 1
    assert len(summary(study(trial(0, 0.9, 0.5, on_front=False, feasible=False)))) == 1


def test_the_report_opens_with_them(judged):
    judged(20, 8, 18)
    page = render([study(*THREE)], images=False)
    places = [page.index(sentence.split("(")[0]) for sentence in summary(study(*THREE))]
    assert places == sorted(places) and places[-1] < page.index("trials on the front")
