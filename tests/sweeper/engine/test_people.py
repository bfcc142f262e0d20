"""Whom a search attacks and whom its confirmation does: decided once, and never somebody on both sides."""

import dataclasses

import pytest

from sweeper.engine.confirm import planned
from sweeper.engine.people import begin, divide, others
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.study.loading import parse_study
from trainables.config import document, load_trial
from trainables.errors import ConfigError

FACES = {"kind": "synthetic_faces", "images_per_identity": 4}
TRIAL = {
    "image_size": 32,
    "private": {**FACES, "identities": 6, "population": "private"},
    "public": {**FACES, "identities": 3, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn"},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_cnn"},
}


def rendered(trial=None, **changes):
    """Return a study of rendered people with every default filled in, as `load_study` gives it."""
    base = {
        "name": "people",
        "trial": document(load_trial({**TRIAL, **(trial or {})})),
        "space": [{"target.learning_rate": {"float": [0.001, 0.1]}}],
        "search": {"trials": 4},
        "tracking": {"mlflow": False},
    }
    return parse_study(base | changes, "test")


def started(study, home, result):
    """Open the study in the home, with one finished trial; return it as it is driven."""
    source = OptunaStudy(begin(study, home), home.storage, home.root)
    request = source.ask()
    assert source.tell(request.number, result(0.5) | {"params": request.assignment}) == ""
    return source


@pytest.mark.parametrize(("people", "count"), [(79, None), (80, 40), (81, 40), (214, 107)])
def test_half_are_attacked_where_there_are_enough(cheap, people, count):
    study = divide(cheap(), people)
    if count is None:
        assert study.search.attacked == 1 and "attacked" not in study.trial and others(study) == []
        return
    attacked = study.trial["attacked"]
    assert (study.search.attacked, study.trial["identities"], len(attacked)) == (0.5, people, count)
    assert sorted(attacked + others(study)) == list(range(people))


def test_the_seed_of_the_trial_draws_them(cheap):
    halves = [divide(cheap(trial={"seed": seed}), 100).trial["attacked"] for seed in (0, 0, 1)]
    assert halves[0] == halves[1] != halves[2]
    assert halves[0] != list(range(50))


def test_a_share_that_leaves_nobody_on_one_side_is_refused(cheap):
    assert len(divide(cheap(search={"attacked": 0.25}), 8).trial["attacked"]) == 2
    for share in (0.01, 0.99):
        with pytest.raises(ConfigError, match="leave somebody for the search and for `confirm`"):
            divide(cheap(search={"attacked": share}), 8)
    with pytest.raises(ConfigError, match="names them"):
        divide(cheap(search={"attacked": 0.5}), None)
    with pytest.raises(ConfigError, match=r"search.attacked must be .*greater than 0"):
        cheap(search={"attacked": 0})


def test_a_new_study_counts_the_people_of_its_data(home):
    small = begin(rendered(), home)
    assert (small.search.attacked, small.search.accuracy) == (1.0, "validation")
    assert small.trial == rendered().trial
    told = begin(rendered(search={"trials": 4, "attacked": 0.5}), home)
    assert len(told.trial["attacked"]) == 3 and told.trial["identities"] == 6
    first = begin(rendered(trial={"identities": 4}, search={"trials": 4, "attacked": 0.5}), home)
    assert set(first.trial["attacked"]) < set(range(4))
    named = rendered(trial={"attacked": [1, 2]})
    assert begin(named, home).trial == named.trial
    load_trial(told.document({}))


def test_a_study_keeps_whom_it_attacks(home, result):
    half = {"trials": 4, "attacked": 0.5}
    source = started(rendered(search=half), home, result)
    definition = source.notes["identity"]
    assert definition["attacked"] == 0.5 and len(definition["trial"]["attacked"]) == 3
    for search in ({"trials": 4}, half):  # the study file need not say it again
        again = begin(rendered(search=search), home)
        assert again.trial["attacked"] == definition["trial"]["attacked"]
        OptunaStudy(again, home.storage, home.root)
    with pytest.raises(ConfigError, match=r"changed since it began: search.attacked: 0.5 -> 1.0"):
        OptunaStudy(begin(rendered(search=half | {"attacked": 1}), home), home.storage, home.root)


def test_an_older_study_attacks_all_for_ever(home, result):
    source = started(rendered(search={"trials": 4, "attacked": 1}), home, result)
    assert "attacked" not in source.notes["identity"]
    again = begin(rendered(), home)
    assert again.search.attacked == 1 and others(again) == []
    with pytest.raises(ConfigError, match=r"changed since it began: search.attacked: 1.0 -> 0.5"):
        OptunaStudy(begin(rendered(search={"trials": 4, "attacked": 0.5}), home), home.storage, home.root)


def test_a_confirmation_attacks_the_others(home, result):
    source = started(rendered(search={"trials": 4, "attacked": 0.5}), home, result)
    study, records = source.study, study_records(home, "people")
    items, _ = planned(study, records, seeds=2, fresh=("seeds", "people"))
    attacked = study.trial["attacked"]
    assert all(sorted(item.document["attacked"] + attacked) == list(range(6)) for item in items)
    assert all(load_trial(item.document).attacked == tuple(others(study)) for item in items)
    # as the study file of a home says it, or one that says nothing of it
    bare = dataclasses.replace(rendered(), name="people").as_begun(records.definition)
    assert others(bare) == others(study)
    assert isinstance(records, StudyRecords)
