"""Which undefended trial a trial, or a study, is held against."""

import pytest
from records import as_study

from sweeper.results.comparing.against_undefended import with_ratios
from sweeper.results.comparing.undefended import undefended_trial

KNOB = "pretraining.data.population"
TEMPLATE = {"trial": {"pretraining": {"kind": "dataset", "data": {"population": "far"}}}}


def trial(number, accuracy, attack, point="none", validation=None, **params):
    return {
        "number": number,
        "values": {"test_accuracy": accuracy, "attack_accuracy": attack},
        "metrics": {"validation_accuracy": accuracy if validation is None else validation},
        "freeze_point": point,
        "defense": "none",
        "params": {path.replace("__", "."): value for path, value in params.items()},
    }


def far(*arguments, **more):
    return trial(*arguments, pretraining__data__population="far", **more)


def near(*arguments, **more):
    return trial(*arguments, pretraining__data__population="near", **more)


def study(*trials, **changes):
    return as_study({"trials": trials, "definition": TEMPLATE, **changes})


def numbers(records):
    return [getattr(undefended_trial(records, trial), "number", None) for trial in records.trials]


def test_the_other_knobs_decide_and_the_template_does_for_the_study():
    records = study(
        far(0, 0.8, 0.5), near(1, 0.9, 0.7), near(2, 0.7, 0.4, "conv2"), far(3, 0.6, 0.1, "conv2")
    )
    assert numbers(records) == [None, None, 1, 0]
    assert undefended_trial(records).number == 0


def test_of_several_the_best_as_the_search_saw_it():
    alike = (far(0, 0.9, 0.5, validation=0.7), far(1, 0.8, 0.5, validation=0.8))
    rest = far(2, 0.7, 0.4, "conv2")
    alike = [each | {"searched": each["metrics"]} for each in alike]
    seen = study(*alike, rest, searched={"validation_accuracy": "maximize", "attack_accuracy": "minimize"})
    assert seen.on_validation and numbers(seen) == [None, None, 1]
    assert numbers(study(*alike, rest)) == [None, None, 0]  # searched by test accuracy


@pytest.mark.parametrize("by_validation", [True, False])
@pytest.mark.parametrize(
    ("first", "best"), [("test_accuracy", {True: 1, False: 2}), ("attack_accuracy", {True: 0, False: 0})]
)
def test_which_is_best_goes_by_the_first_objective_whichever_that_is(first, best, by_validation):
    way = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    objectives = {name: way[name] for name in (first, *way)}
    seen = {"test_accuracy": "validation_accuracy"} if by_validation else {}
    alike = [
        far(0, 0.7, 0.4, validation=0.6),
        far(1, 0.8, 0.6, validation=0.9),
        far(2, 0.9, 0.5, validation=0.5),
    ]
    for each in alike:
        figures = each["metrics"] | each["values"]
        each["searched"] = {seen.get(name, name): figures[seen.get(name, name)] for name in way}
    searched = {seen.get(name, name): direction for name, direction in objectives.items()}
    records = study(*alike, far(3, 0.7, 0.2, "conv2"), objectives=objectives, searched=searched)
    assert records.on_validation == by_validation
    assert undefended_trial(records).number == best[by_validation]
    assert undefended_trial(records, records.trials[3]).number == best[by_validation]


def test_without_an_undefended_trial_there_is_none():
    records = study(far(0, 0.8, 0.5, "conv2"), far(1, 0.9, 0.6) | {"state": "failed"})
    assert undefended_trial(records) is undefended_trial(records, records.trials[0]) is None


def test_ratios_are_against_the_undefended_target_of_the_same_pre_training():
    records = study(
        far(0, 0.8, 0.5), near(1, 0.9, 0.7), far(2, 0.7, 0.3, "conv2"), near(3, 0.7, 0.4, "conv2")
    )
    ratios = [trial.metrics.get("delta_ratio") for trial in with_ratios(records).trials]
    assert ratios == [None, None, pytest.approx(0.2 / 0.1), pytest.approx(0.3 / 0.2)]
