"""A draft is a trial for its sampler and nothing to anybody else, until it is stored with all that it has."""

import optuna
import pytest

from sweeper.search.drafts import DraftStorage
from sweeper.search.reading import open_storage

SAMPLERS = {
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, n_startup_trials=3, multivariate=True, group=True),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=3),
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "sobol": lambda: optuna.samplers.QMCSampler(seed=0, scramble=True),
}
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def suggest(trial):
    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    return (x, trial.suggest_int("n", 1, 9)) if kind == "a" else (x, 0)


@pytest.fixture
def backend(home):
    return optuna.storages.get_storage(open_storage(home.storage))


def study_in(storage, sampler):
    return optuna.create_study(
        storage=storage, sampler=sampler, study_name="s", directions=["maximize"] * 2, load_if_exists=True
    )


@pytest.mark.parametrize("kind", SAMPLERS)
def test_proposals_are_those_of_a_plain_storage(kind, backend):
    """With every draft stored, the trials are the same as without drafts, parameter by parameter."""
    plain = study_in(optuna.storages.InMemoryStorage(), SAMPLERS[kind]())
    drafts = DraftStorage(backend)
    drafted = study_in(drafts, SAMPLERS[kind]())
    for _ in range(12):
        for study in (plain, drafted):
            trial = study.ask()
            values = suggest(trial)
            if study is drafted:
                drafts.store(trial._trial_id)
            study.tell(trial, values)
    reopened = study_in(backend, SAMPLERS[kind]())
    assert [t.params for t in reopened.trials] == [t.params for t in plain.trials]
    assert [t.values for t in reopened.trials] == [t.values for t in plain.trials]
    assert [t.system_attrs for t in reopened.trials] == [t.system_attrs for t in plain.trials]
    assert [t.number for t in reopened.trials] == list(range(12))


def test_a_dropped_draft_leaves_no_trace(backend):
    drafts = DraftStorage(backend)
    study = study_in(drafts, SAMPLERS["random"]())
    first = study.ask()
    suggest(first)
    first.set_user_attr("note", "x")
    assert [t.number for t in study.trials] == [0] and backend.get_n_trials(study._study_id) == 0
    assert drafts.drop(first._trial_id) and not drafts.drop(first._trial_id)
    assert study.trials == []
    second = study.ask()
    suggest(second)
    assert drafts.store(second._trial_id) == 0 == drafts.store(second._trial_id)
    second.set_user_attr("later", 1)
    second.set_constraint("c", -1.0)
    (stored,) = study_in(backend, SAMPLERS["random"]()).trials
    assert stored.state.name == "RUNNING" and stored.params == second.params
    assert stored.user_attrs == {"later": 1} and stored.constraints == {"c": -1.0}
    assert stored.datetime_start is not None


def test_numbers_are_those_of_the_storage_where_another_adds_trials(backend):
    drafts = DraftStorage(backend)
    study = study_in(drafts, SAMPLERS["random"]())
    trial = study.ask()
    suggest(trial)
    study_in(backend, SAMPLERS["random"]()).enqueue_trial({"x": 0.5})  # optuna-dashboard does that
    assert drafts.store(trial._trial_id) == 1
    study.tell(trial, [1.0, 2.0])
    states = [t.state.name for t in study_in(backend, SAMPLERS["random"]()).trials]
    assert states == ["WAITING", "COMPLETE"]
    waiting = study.ask()
    assert waiting.suggest_float("x", 0, 1) == 0.5
    assert not drafts.drop(waiting._trial_id) and drafts.store(waiting._trial_id) == 0
    study.tell(waiting, state=optuna.trial.TrialState.FAIL)


def test_what_is_told_is_stored(backend):
    study = study_in(DraftStorage(backend), SAMPLERS["random"]())
    study.tell(study.ask(), [1.0, 2.0])
    assert [t.values for t in study_in(backend, SAMPLERS["random"]()).trials] == [[1.0, 2.0]]
