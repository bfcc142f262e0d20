"""Proposals of each sampler, over studies in memory."""

import json
import typing

import optuna
import pytest

from search_spaces.space import anchors, decode, parameters, paths
from sweeper.search.samplers import FLAT, make_sampler, propose
from sweeper.study.study import Sampler

SPACE = [{"x": {"float": [0, 1]}}, {"n": {"int": [1, 4]}}, "defenses"]
SAMPLERS = [name for name in typing.get_args(Sampler) if name != "grid"]


@pytest.fixture
def begin(cheap):
    """Return a maker of (study, Optuna study in memory with its sampler)."""

    def make(sampler, space=SPACE, trials=16, seed=0, told=None):
        study = cheap(
            trial={"target": {"architecture": "small_cnn"}},
            space=space,
            search={"sampler": sampler, "trials": trials, "seed": seed},
        )
        source = told or optuna.create_study(directions=["maximize", "minimize"])
        source.sampler = make_sampler(study, len(source.trials))
        return study, source

    return make


def values(assignment):
    x = assignment["x"]
    return x * (0.5 if assignment.get("defense.kind") == "mid" else 1.0), x * x


def run(study, source, count):
    found = []
    for _ in range(count):
        trial = source.ask()
        found.append(propose(study, trial))
        source.tell(trial, values(found[-1]))
    return found


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_conditional_space_gives_whole_assignments(begin, sampler):
    study, source = begin(sampler)
    for raw in anchors(study.domains)[:3]:
        source.enqueue_trial(raw)
    found = run(study, source, 11)  # one more than what the Gaussian process draws at random
    assert found[:3] == [decode(study.domains, raw) for raw in anchors(study.domains)[:3]]
    assert len({json.dumps(one) for one in found}) >= (11 if sampler != "nsga2" else 8)
    known = set(paths(study.domains))
    for trial, one in zip(source.trials, found, strict=True):
        assert set(one) <= known and one["defense.kind"] in ("none", "bido", "mid")
        assert ("defense.beta" in one) == (one["defense.kind"] == "mid")
        assert decode(study.domains, trial.params) == one  # what is stored means the same
        if sampler in FLAT:
            assert set(trial.params) == {name for name, _ in parameters(study.domains)}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_restart_goes_on_and_does_not_repeat(begin, sampler):
    study, source = begin(sampler)
    found = run(study, source, 6)
    for _ in range(3):
        study, source = begin(sampler, told=source)
        found += run(study, source, 1)
    # a child of NSGA-II may be the image of a parent; the ledger asks again for what was tried
    assert len({json.dumps(one) for one in found}) >= (9 if sampler != "nsga2" else 7)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_trial_taken_up_again_keeps_its_proposal(begin, sampler):
    study, source = begin(sampler)
    trial = source.ask()
    before = propose(study, trial)
    study, source = begin(sampler, told=source)
    assert propose(study, optuna.trial.Trial(source, trial._trial_id)) == before


def test_sobol_fills_the_space_evenly_whatever_came_before(begin):
    space = [{"x": {"float": [0, 1]}}, {"y": {"float": [0, 1]}}]
    study, source = begin("sobol", space)
    source.enqueue_trial({"x": 0.5, "y": 0.5})
    run(study, source, 5)
    study, source = begin("sobol", space, told=source)  # a restart in mid-sequence
    run(study, source, 4)
    points = [trial.params for trial in source.trials[1:]]
    for name in ("x", "y"):  # one of each eighth: what a Sobol sequence promises of its first 8 points
        assert sorted(int(8 * point[name]) for point in points) == list(range(8))


def test_the_first_generation_holds_the_anchors_and_the_next_descends_from_it(begin):
    study, source = begin("nsga2", trials=16)  # a population of 4
    for raw in anchors(study.domains)[:2]:
        source.enqueue_trial(raw)
    run(study, source, 12)
    generations = [
        next(v for k, v in trial.system_attrs.items() if k.endswith("generation")) for trial in source.trials
    ]
    assert generations == [0] * 4 + [1] * 4 + [2] * 4
    older = {(name, value) for trial in source.trials[:4] for name, value in trial.params.items()}
    children = [(name, value) for trial in source.trials[4:8] for name, value in trial.params.items()]
    assert sum(one in older for one in children) > len(children) / 2  # inherited, not drawn anew


def test_the_process_learns(begin):
    """After ten trials of a parabola, a Gaussian process proposes its peak."""
    source = optuna.create_study(directions=["maximize"])
    study, source = begin("gp", [{"x": {"float": [0, 1]}}], told=source)
    for _ in range(11):
        trial = source.ask()
        x = propose(study, trial)["x"]
        source.tell(trial, -((x - 0.7) ** 2))
    assert source.trials[10].params["x"] == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("anchored", [True, False])
def test_tpe_looks_at_results_as_soon_as_the_anchors_are_in(cheap, anchored):
    """What is proposed depends on what was told: from the first trial after the anchors, else the 11th."""
    space = [{"x": {"float": [0, 1]}}, "defenses"]
    trial = {"target": {"architecture": "small_cnn"}}
    study = cheap(trial=trial, space=space, search={"trials": 16, "anchors": anchored})
    first = anchors(study.domains) if anchored else []

    def proposed(sign, count):
        source = optuna.create_study(directions=["maximize", "minimize"])
        source.sampler = make_sampler(study, 0)
        for raw in first:
            source.enqueue_trial(raw)
        found = []
        for _ in range(count):
            one = source.ask()
            found.append(propose(study, one))
            told = values(found[-1])
            source.tell(one, (sign * told[0], sign * told[1]))
        return found

    count = len(first) if anchored else 10
    assert 1 < count <= 10
    up, down = proposed(1.0, count + 3), proposed(-1.0, count + 3)
    assert up[:count] == down[:count]
    assert up[count:] != down[count:]
