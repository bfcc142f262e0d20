"""What every derived study takes over from the study that it is derived from."""

import dataclasses

import pytest
from simulated_runs import Simulation
from toy_study import TOY

from sweeper.analyses import STUDY_ANALYSES
from sweeper.analyses.base import ONE_PERSON, ONE_SEED, one_person, unknown_noise
from sweeper.engine.people import divide
from sweeper.study.loading import parse_study
from trainables.errors import ConfigError


def study(trial=None, **search):
    trial = {**TOY["trial"], **(trial or {})}
    return parse_study({**TOY, "trial": trial, "search": {"trials": 2, **search}}, "toy")


@pytest.mark.parametrize("name", STUDY_ANALYSES)
@pytest.mark.parametrize(("share", "count"), [(1, None), (0.25, 25), (None, 50)])
def test_as_many_people_are_attacked_as_by_the_study(name, share, count):
    """Of 100 people: those whom the study attacked, where they were drawn already, and else as many."""
    fresh = study(attacked=share)
    begun = divide(fresh, 100)
    drawn = begun.trial.get("attacked")
    assert (drawn and len(drawn)) == count
    of_fresh, of_begun = (STUDY_ANALYSES[name]().derive(source) for source in (fresh, begun))
    assert divide(of_fresh, 100).trial.get("attacked") == drawn
    assert divide(of_begun, None if drawn else 100).trial.get("attacked") == drawn


@pytest.mark.parametrize("name", STUDY_ANALYSES)
def test_accuracy_and_seed_are_those_of_the_study(name):
    derived = STUDY_ANALYSES[name]().derive(study(accuracy="test", seed=7))
    assert (derived.search.accuracy, derived.search.seed) == ("test", 7)


@pytest.mark.parametrize("name", ["threat_models", "defenses", "frozen_batchnorm"])
@pytest.mark.parametrize(
    ("trial", "where"),
    [
        ({"identities": 1}, "trial.identities"),
        ({"attacked": [2]}, "trial.attacked"),
        ({"attacked": [2], "identities": 4}, "trial.attacked"),
    ],
)
def test_one_person_is_refused_by_what_compares_person_by_person(name, trial, where):
    with pytest.raises(ConfigError, match=rf"'{name}' .*two or more that are attacked; got one \({where}\)"):
        STUDY_ANALYSES[name]().derive(study(trial))
    for several in ({"identities": 2}, {"attacked": [2, 0]}, {"attacked": [0, 3], "identities": 1}):
        assert STUDY_ANALYSES[name]().derive(study(several)).budget


def test_a_single_person_is_known_by_the_rates():
    many = Simulation(0).checkpoints(lambda depth: 0.0, (1,))
    one = [dataclasses.replace(run, rates=run.rates[:1]) for run in many]
    assert (one_person(many), one_person(one), one_person([])) == (False, True, False)
    assert (unknown_noise(many), unknown_noise(one)) == ("", ONE_PERSON)
    assert unknown_noise([run for run in one if run.seed == 0]) == ONE_SEED
