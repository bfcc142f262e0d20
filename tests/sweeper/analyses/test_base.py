"""What every derived study takes over from the study that it is derived from."""

import pytest
from toy_study import TOY

from sweeper.analyses import STUDY_ANALYSES
from sweeper.engine.people import divide
from sweeper.study.loading import parse_study


def study(**search):
    return parse_study({**TOY, "search": {"trials": 2, **search}}, "toy")


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
