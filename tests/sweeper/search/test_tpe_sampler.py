"""The fast TPE is used where Optuna's inside is as expected, and Optuna's own anywhere else."""

import json

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as inside

from sweeper.search.samplers import make_sampler, propose
from sweeper.search.tpe import LongTPE
from sweeper.search.tpe_sampler import EXPECTED, optuna_is_as_expected, tpe_sampler


@pytest.fixture
def study(cheap):
    return cheap(
        trial={"target": {"architecture": "small_cnn"}},
        space=[{"x": {"float": [0, 1]}}, "defenses"],
        search={"trials": 12},
    )


def assignments(study):
    """Return what 12 trials propose, told of results in between."""
    source = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(study, 0))
    proposals = []
    for _ in range(12):
        trial = source.ask()
        proposals.append(propose(study, trial))
        source.tell(trial, (proposals[-1]["x"], proposals[-1]["x"] ** 2))
    return source, proposals


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_installed_optuna_gets_the_fast_one():
    assert optuna_is_as_expected()
    assert isinstance(tpe_sampler(seed=0, startup=4), LongTPE)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("change", ["gone", "other parameters"])
def test_another_optuna_gets_its_own_with_the_same_proposals(study, monkeypatch, change):
    _, fast = assignments(study)
    if change == "gone":
        monkeypatch.delattr(inside, "_split_trials")
    else:
        monkeypatch.setitem(EXPECTED, ("optuna.study", "Study._get_trials"), ("self", "renamed"))
    assert not optuna_is_as_expected()
    if change == "gone":
        monkeypatch.undo()
        monkeypatch.setitem(EXPECTED, ("optuna.study", "Study.nothing"), ())
    source, plain = assignments(study)
    assert type(source.sampler) is TPESampler
    assert len({json.dumps(one, sort_keys=True) for one in plain}) == 12
    assert plain == fast
