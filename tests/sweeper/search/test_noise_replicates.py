"""Which trials are run again for the noise of training seeds, when, and what a killed driver leaves."""

import pytest

from sweeper.search.noise_replicates import NoiseReplicates, is_undefended
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import NOISE, stored_notes, stored_trials

TEMPLATE = {"defense": {"kind": "none"}, "target": {"freeze_point": "none"}}


@pytest.fixture
def opened(home, cheap):
    """Return an opener of a study over 0, 1, 2 ... whose first `defended` trials have a defense."""

    def make(trials=9, order=("none", "none", "mid"), **search):
        kinds = [*order, *["mid"] * (trials - len(order))]
        study = cheap(
            trial=TEMPLATE,
            space=[{"case": {"choice": list(range(trials))}}],
            search={"trials": trials, "sampler": "grid", **search},
        )
        document = study.document
        object.__setattr__(
            study,
            "document",
            lambda assignment: {
                **document({}),
                "defense": {"kind": kinds[assignment["case"]]},
                "case": assignment["case"],
            },
        )
        trials_ = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        return NoiseReplicates(study, trials_, home.storage)

    return make


@pytest.mark.parametrize(
    ("target", "undefended"),
    [
        ({}, True),
        ({"freeze_point": "none", "trained": None}, True),
        ({"freeze_point": "conv1"}, False),
        ({"trained": ["conv1"]}, False),
        ({"trained": []}, False),
    ],
)
def test_a_trial_that_freezes_anything_is_defended(target, undefended):
    assert is_undefended({"defense": {"kind": "none"}, "target": target}) == undefended
    assert not is_undefended({"defense": {"kind": "mid"}, "target": target})


def answer(source, request, result, accuracy=0.8):
    told = result(accuracy) | {"params": request.assignment}
    assert source.tell(request.number, told) == ""


def walk(source, result, most=100):
    """Run what is handed out one by one; return the names, ``3`` of a trial and ``3:1`` of a replicate."""
    names = []
    while len(names) < most and (request := source.ask()) is not None:
        replicate = request.document.get("replicate")
        assert request.is_trial == (replicate is None)
        case = request.document["case"]
        names.append(f"{case}" if replicate is None else f"{case}:{replicate}")
        answer(source, request, result)
    return names


def test_the_first_undefended_and_the_first_defended_one_run_again_before_all_others(opened, result, home):
    source = opened()
    assert source.extra == 4
    assert walk(source, result) == ["0", "0:1", "0:2", "1", "2", "2:1", "2:2", "3", "4", "5", "6", "7", "8"]
    assert source.finished and source.complete == source.budget == 9 and source.extra == 0
    _, trials = stored_trials(home.storage, "cheap")
    assert [trial["number"] for trial in trials] == list(range(9))  # no trial more
    stored = stored_notes(home.storage, "cheap")[NOISE]
    assert stored["members"] == {"undefended": 0, "defended": 2}
    assert [(r["member"], r["replicate"]) for r in stored["results"]] == [(0, 1), (0, 2), (2, 1), (2, 2)]
    assert stored["results"][0]["values"]["test_accuracy"] == 0.8


def test_they_begin_within_the_first_third_of_the_budget(opened, result):
    names = walk(opened(12, order=("none",)), result)
    assert max(names.index(name) for name in names if ":" in name) < 12 / 3 + 4


@pytest.mark.parametrize("order", [("mid",) * 9, ("none",) * 9])
def test_where_a_kind_is_missing_another_trial_stands_in(opened, result, order):
    assert walk(opened(9, order=order), result) == [
        "0",
        "0:1",
        "0:2",
        "1",
        "2",
        "1:1",
        "1:2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
    ]


def test_a_single_trial_runs_again_alone(opened, result):
    source = opened(1, order=("mid",))
    assert source.extra == 2
    answer(source, source.ask(), result)
    assert source.complete == source.budget == 1 and source.extra == 2
    assert not source.finished  # the budget is reached, its runs beside it are not even handed out
    assert walk(source, result) == ["0:1", "0:2"]
    assert source.finished


def test_of_trials_that_end_together_the_first_by_number_runs_again(opened, result):
    source = opened()
    first, second = source.ask(), source.ask()
    answer(source, second, result)
    answer(source, first, result)
    assert (source.ask().name, source.ask().name) == ("trial 0 again, seed 1", "trial 0 again, seed 2")


def test_trials_that_run_meanwhile_do_not_wait(opened, result):
    source = opened()
    first, second = source.ask(), source.ask()
    answer(source, first, result)
    third = source.ask()
    assert (third.document["case"], third.document["replicate"], third.name) == (
        0,
        1,
        "trial 0 again, seed 1",
    )
    answer(source, second, result)
    assert source.extra == 4
    answer(source, third, result)
    assert source.extra == 3
    assert source.complete == 2


@pytest.mark.parametrize("killed_after", range(1, 9))
def test_a_killed_driver_leaves_what_is_done_and_the_next_runs_the_rest(opened, result, killed_after):
    before = walk(opened(), result, most=killed_after)
    source = opened()
    source.ask()  # was running when this driver was killed as well
    after = walk(opened(), result)
    assert sorted([*before, *after]) == sorted(
        ["0", "0:1", "0:2", "1", "2", "2:1", "2:2", "3", "4", "5", "6", "7", "8"]
    )


def test_a_replicate_that_fails_is_named_and_tried_again_at_the_next_start(opened, result):
    source = opened()
    answer(source, source.ask(), result)
    failed, broken = source.ask(), source.ask()
    source.fail(failed.number, {}, "out of memory")
    assert "finite" in source.tell(broken.number, result(float("nan")))
    assert source.failures[0] == "trial 0 again under seed 1: out of memory"
    assert "0:1" not in walk(source, result) and source.finished
    assert walk(opened(), result) == ["0:1", "0:2"]


def test_a_finished_study_of_before_stays_as_it_is(opened, result):
    walk(opened(noise_replicates=1), result)
    source = opened()
    assert source.finished and source.extra == 0 and source.ask() is None


def test_more_seeds_are_added_to_a_study_that_goes_on(opened, result):
    walk(opened(), result, most=7)
    assert walk(opened(noise_replicates=4), result)[:2] == ["0:3", "2:3"]


@pytest.mark.parametrize("changes", [{"noise_replicates": 1}, {"replicates": 2}])
def test_there_are_none_where_they_are_not_wanted_or_replicates_tell_it(opened, result, changes):
    source = opened(**changes)
    assert source.extra == 0
    assert not [name for name in walk(source, result) if ":" in name]


def test_trials_without_a_result_and_those_that_search_over_seeds_are_not_run_again(opened, result):
    source = opened()
    source.fail(source.ask().number, {}, "broken")
    request = source.ask()
    answer(source, request, result)
    again = source.ask()
    assert (again.document["case"], again.document["replicate"]) == (1, 1)


def test_a_template_without_defense_has_none(home, cheap, result):
    study = cheap()
    source = NoiseReplicates(study, OptunaStudy(study, home.storage, home.root), home.storage)
    assert study.noise_runs == source.extra == 0


def test_one_seed_after_the_template_s_own(home, cheap, result):
    study = cheap(trial={**TEMPLATE, "replicate": 5})
    source = NoiseReplicates(study, OptunaStudy(study, home.storage, home.root), home.storage)
    answer(source, source.ask(), result)
    request = source.ask()
    assert request.document["replicate"] == 6


def test_screening_does_not_cut_them_short(home, cheap, result):
    study = cheap(trial=TEMPLATE, search={"trials": 3, "screening": True})
    source = NoiseReplicates(study, OptunaStudy(study, home.storage, home.root), home.storage)
    answer(source, source.ask(), result)
    assert source.ask().options == {"rivals": [], "limits": []}
