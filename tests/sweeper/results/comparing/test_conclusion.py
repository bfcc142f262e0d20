from dataclasses import replace

import pytest

from sweeper.results.comparing.comparison_types import (
    ComparedPair,
    ComparedStudy,
    FrontComparison,
    FrontCrossing,
    LevelRange,
    VolumeEstimate,
)
from sweeper.results.comparing.conclusion import conclusion

FITTED = "people, images and seeds"


def study(name, volume, interval=None, trials=5):
    estimate = interval and VolumeEstimate(value=volume, interval=tuple(interval), basis=FITTED)
    return ComparedStudy(study=name, hypervolume=volume, trials=trials, estimate=estimate)


def pair(a, b, lead=None, crossings=(), better=None):
    return ComparedPair(
        studies=(a, b),
        difference=0.0,
        estimate=lead and VolumeEstimate(value=lead[0], interval=lead[1:], basis=FITTED),
        crossings=[FrontCrossing(level=level, up_to=x, beyond=y) for level, x, y in crossings],
        ranges=[LevelRange(low=0.0, high=1.0, better=better, both=True)],
    )


def said(studies, pairs=()):
    reference = {"test_accuracy": 0.0}
    return conclusion(FrontComparison(reference_point=reference, studies=studies, pairs=list(pairs)))


SURE = [study("a", 0.5, [0.4, 0.6]), study("b", 0.6, [0.5, 0.7])]


def test_a_shown_lead():
    found = said(SURE, [pair("a", "b", (-0.1, -0.15, -0.05), better="b")])
    assert found == (
        "'b' has the better front than 'a': hypervolume 0.600 against 0.500, difference 0.100 "
        "[0.050, 0.150]; as measured their fronts do not cross: where both reach, "
        "'b' is nowhere worse."
    )


@pytest.mark.parametrize("basis", ["people and images", "people, images and seeds against people and images"])
def test_a_lead_without_training_seeds_is_none_of_recipes(basis):
    lead = pair("a", "b", (-0.1, -0.15, -0.05))
    lead = replace(lead, estimate=replace(lead.estimate, basis=basis))
    found = said(SURE, [replace(lead, ranges=None)])
    assert found == (
        "These targets of 'b' have a higher hypervolume than those of 'a' (0.600 against 0.500, difference "
        "0.100 [0.050, 0.150]), but whether other training seeds would give that again is not known."
    )
    several = said([*SURE, study("c", 0.1, [0.05, 0.15])], [lead, pair("b", "c"), pair("a", "c")])
    assert "how sure that is against 'a' (0.500), 'c' (0.100) is not known" in several
    assert "ahead" not in several


OLDER = ["intervals with seeds", "identities and seeds", f"{FITTED} against intervals with seeds"]


@pytest.mark.parametrize("basis", OLDER)
@pytest.mark.parametrize("ends", [(-0.15, -0.05), (-0.25, 0.05)], ids=["without 0", "with 0"])
def test_fronts_that_were_not_valued_on_other_data_are_said_as_measured(basis, ends):
    """The estimates are not: one trial's luck is in them, and the sentence names what was measured."""
    studies = [
        replace(one, hypervolume=measured, estimate=replace(one.estimate, basis="intervals with seeds"))
        for one, measured in zip([*SURE, study("c", 0.1, [0.05, 0.15])], (0.66, 0.55, 0.2), strict=True)
    ]
    lead = pair("a", "b", (-0.1, *ends))
    lead = replace(lead, estimate=replace(lead.estimate, basis=basis), ranges=None)
    assert said(studies[:2], [lead]) == (
        "'a' has a higher hypervolume than 'b' as measured (0.660 against 0.550), but how sure that is is "
        "not known."
    )
    several = said(studies, [lead, replace(pair("b", "c"), ranges=None), pair("a", "c")])
    assert several == (
        "Of 3 studies 'a' has the highest hypervolume as measured, 0.660; how sure that is against 'b' "
        "(0.550), 'c' (0.200) is not known."
    )


def test_equal_figures_as_measured_are_the_same():
    assert said([study("a", 0.5), study("b", 0.5)], [replace(pair("a", "b"), ranges=None)]) == (
        "'a' and 'b' have the same hypervolume as measured (0.500), but how sure that is is not known."
    )


def test_a_lead_that_may_be_luck_is_none():
    found = said(SURE, [pair("a", "b", (-0.1, -0.25, 0.05), crossings=[(0.8, "b", "a")])])
    assert found.startswith("'b' and 'a' are not to be told apart: ")
    assert found.endswith(
        "as measured their fronts cross at test accuracy 80.0 %: up to there 'b' is better, beyond it 'a'."
    )


def test_two_crossings_have_a_range_between_them():
    crossings = [(0.5, "a", "b"), (0.6, "b", "a")]
    found = said(SURE, [pair("a", "b", (-0.1, -0.25, 0.05), crossings=crossings)])
    assert found.endswith(
        "as measured their fronts cross at test accuracy 50.0 % and 60.0 %: between the two 'b' is "
        "better, before and beyond them 'a'."
    )


def test_many_crossings_are_counted():
    crossings = [(0.5, "a", "b"), (0.6, "b", "a"), (0.7, "a", "b")]
    found = said(SURE, [pair("a", "b", (-0.1, -0.25, 0.05), crossings=crossings)])
    assert "cross 3 times between test accuracy 50.0 % and 70.0 %, beyond which 'b'" in found


def test_without_intervals_nothing_is_sure():
    found = said([study("a", 0.5), study("b", 0.4)], [pair("a", "b", better="a")])
    assert "'a' has a higher hypervolume than 'b' as measured (0.500 against 0.400), but how sure" in found


def test_several_studies_are_sorted_into_behind_and_level():
    studies = [*SURE, study("c", 0.1, [0.05, 0.15])]
    pairs = [
        pair("a", "b", (-0.1, -0.25, 0.05), better="b"),
        pair("a", "c", (0.4, 0.3, 0.5)),
        pair("b", "c", (0.5, 0.4, 0.6)),
    ]
    pairs = [replace(each, estimate=replace(each.estimate, level=1 - 0.05 / 3)) for each in pairs]
    assert said(studies, pairs) == (
        "Of 3 studies 'b' has the highest hypervolume, 0.600; shown to be ahead of 'c' (0.100, difference "
        "0.500 [0.400, 0.600]); not to be told apart from 'a' (0.500, difference 0.100 [-0.050, 0.250]); "
        "differences have intervals of 98.3 %, so that all hold with 95 %; as measured their fronts do not "
        "cross: where both reach, 'b' is nowhere worse."
    )


def test_few_or_no_results():
    assert said([study("a", 0.0, trials=0)]) == "No study has a finished trial yet."
    assert said([SURE[0]]) == "'a' has hypervolume 0.500 [0.400, 0.600]."
    assert "the others have no finished trial yet" in said([SURE[0], study("b", 0.0, trials=0)])


def test_three_objectives_have_no_crossings():
    three = replace(pair("a", "b", (-0.1, -0.15, -0.05)), crossings=None, ranges=None)
    assert said(SURE, [three]).endswith("difference 0.100 [0.050, 0.150].")
