"""How trials are handed out to be analyzed, and kept; on Ray: ``tests/sweeper/cli``."""

from dataclasses import replace

import pytest

from sweeper.engine.analyses import AnalysisSource, Target, allot_analyses, analyze_trials, measured_on
from sweeper.engine.machines.resources import Node
from sweeper.engine.progress import Silent
from sweeper.results.records import study_records
from sweeper.search.analysis_notes import WRITTEN, AnalysisNote, digest, kept
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_notes
from trainables.analyses.evaluator_confidence import EvaluatorConfidence
from trainables.analyses.layers import Layers
from trainables.errors import ConfigError, TrialError


def target(number, **changes):
    stages = {"target": "t", "attacks": {"gmi": "a", "map": "b"}, "judges": ["j"]}
    return Target(**{"trial": number, "document": {"seed": 3}, **stages, **changes})


@pytest.fixture
def begun(home, cheap):
    """Return a study with four finished trials, numbered from 0."""
    study = cheap()
    book = OptunaStudy(study, home.storage, home.study(study.name) / "history")
    for _ in range(4):
        asked = book.ask()
        result = {"values": {"test_accuracy": 0.5, "attack_accuracy": 0.25}, "params": asked.assignment}
        book.tell(asked.number, {**result, "metrics": {"validation_accuracy": 0.5}})
    return study


def test_a_source_hands_out_each_trial_once_and_keeps_what_it_gave(home, begun):
    source = AnalysisSource(begun.name, home.storage, Layers(), [target(3), target(1), target(2)])
    asked = [source.ask() for _ in range(4)]
    assert asked.pop() is None and [request.name for request in asked] == ["trial 3", "trial 1", "trial 2"]
    assert asked[0].options == {
        "analysis": "layers",
        "target": "t",
        "attacks": {"gmi": "a", "map": "b"},
        "judges": ["j"],
    }
    assert asked[0].document == {"seed": 3} and not asked[0].is_trial
    assert (source.budget, source.complete, source.finished, source.extra) == (3, 0, False, 0)
    rows = [{"attack": "gmi", "layer": ["a"]}]
    assert source.tell(asked[1].number, {"rows": rows}) == ""
    notes = stored_notes(home.storage, begun.name)
    assert kept(notes) == {"layers": {1: AnalysisNote(measured_on(Layers(), target(1)), rows)}}
    source.fail(asked[0].number, {}, "out of memory")
    assert not source.finished and source.failures == ["trial 3 was not analyzed: out of memory"]
    with pytest.raises(ConfigError, match="no private test image"):
        source.tell(asked[2].number, {"refused": "no private test image"})
    assert source.rows == {1: rows} and source.values({}) == {}


def test_whatever_decides_the_figures_decides_whether_they_are_measured_again():
    others = [
        target(1, document={"seed": 4}),
        target(1, target="other"),
        target(1, attacks={"gmi": "a", "map": "c"}),
        target(1, judges=["j", "k"]),
    ]
    keys = {measured_on(Layers(), each) for each in (target(1), *others)}
    keys |= {measured_on(EvaluatorConfidence(threshold=x), target(1)) for x in (0.9, 0.8)}
    assert len(keys) == 7
    assert measured_on(Layers(), target(2, warnings=["a"])) == measured_on(Layers(), target(1))


@pytest.mark.parametrize(
    ("resources", "count", "alone", "expected"),
    [
        ({}, 9, False, (4, 4.0, 0.0)),  # as trials: four on a machine
        ({}, 2, False, (2, 8.0, 0.0)),  # fewer divide it among them
        ({}, 9, True, (1, 16.0, 0.0)),
        ({"cpus_per_trial": 3.0}, 2, False, (2, 3.0, 0.0)),
        ({"concurrent": 3, "attack_shards": 2}, 9, False, (3, 5.0, 0.0)),
    ],
)
def test_resources_are_those_of_trials(cheap, resources, count, alone, expected):
    study = cheap(resources=resources)
    allotment = allot_analyses(study, [Node(16.0, 0.0)], count, alone=alone)
    assert (allotment.concurrent, allotment.cpus, allotment.gpus) == expected
    assert allotment.shards == 1


def test_an_analysis_takes_one_gpu_at_most(cheap):
    nodes = [Node(16.0, 4.0)]
    many = cheap(resources={"gpus_per_trial": 2, "attack_shards": "auto"})
    assert allot_analyses(many, nodes, 9, alone=False).gpus == 1
    few = replace(many, resources=replace(many.resources, gpus_per_trial=0.5))
    assert allot_analyses(few, nodes, 9, alone=False).gpus == 0.5


def test_one_trial_is_measured_here_and_written_until_everything_has_it(home, begun, monkeypatch):
    measured, pages = [], []

    def analyze_document(document, *, analysis, target, attacks, judges, store_root, device, report):
        measured.append((document, analysis, target))
        return {"rows": [{"attack": "gmi", "sure": 0.5}]}

    def write_report(records, path, *, images):
        pages.append(records[0].analyses)
        if len(pages) == 1:
            raise TrialError("stopped here")

    monkeypatch.setattr("trainables.analyzed.analyze_document", analyze_document)
    monkeypatch.setattr("sweeper.report.report.write_report", write_report)
    monkeypatch.setattr("sweeper.engine.analyses.cluster", None)  # no Ray

    def analyze():
        return analyze_trials(begun, home, EvaluatorConfidence(), [target(2)], Silent())

    row = {"trial": 2, "attack": "gmi", "sure": 0.5}
    with pytest.raises(TrialError, match="stopped here"):
        analyze()
    assert analyze() == ([row], []) == analyze()
    assert measured == [({"seed": 3}, "evaluator_confidence", "t")]
    assert pages == [{"evaluator_confidence": [row]}] * 2  # the third time nothing was new
    notes = stored_notes(home.storage, begun.name)
    assert notes[WRITTEN] == digest(notes)
    assert study_records(home, begun.name).analyses_of(2) == {"evaluator_confidence": [row]}
    assert study_records(home, begun.name).analyses_of(1) == {}


def test_what_could_not_be_written_is_told_and_tried_again(home, begun, monkeypatch):
    tries = []

    def collect(records, store):
        tries.append(records.analyses)
        if len(tries) == 1:
            raise TrialError("s3 does not answer")

    rows = {"rows": [{"attack": "gmi", "judge_confidence": 0.5}]}
    monkeypatch.setattr("trainables.analyzed.analyze_document", lambda *a, **k: rows)
    monkeypatch.setattr("sweeper.engine.analyses.collect", collect)
    found = [analyze_trials(begun, home, EvaluatorConfidence(), [target(2)], Silent()) for _ in range(3)]
    kept_row = {"trial": 2, "attack": "gmi", "judge_confidence": 0.5}
    assert [row for row, _ in found] == [[kept_row]] * 3
    assert [problems for _, problems in found] == [
        ["the report lacks what other machines made: s3 does not answer"],
        [],
        [],
    ]
    assert len(tries) == 2 and home.report(begun.name).is_file()


def test_a_cluster_that_cannot_be_used_is_a_mistake_before_any_work(home, begun):
    with pytest.raises(ConfigError, match="expected host:port or auto"):
        analyze_trials(begun, home, Layers(), [target(1)], Silent(), address="ray://127.0.0.1:9")
    assert kept(stored_notes(home.storage, begun.name)) == {}


def test_a_trial_that_fails_leaves_the_others_and_all_that_fail_are_an_error(home, begun, monkeypatch):
    """Each worker's end is told to the source, as Ray's searcher tells it."""

    def run_trials(study, home, source, *rest, **options):
        while request := source.ask():
            if request.name == "trial 2":
                source.fail(request.number, {}, "out of memory")
            else:
                source.tell(request.number, {"rows": [{"attack": "gmi", "sure": 0.5}]})

    class Cluster:
        def __init__(self, address):
            assert address == "auto"

        def __enter__(self):
            return [Node(4.0, 0.0)]

        def __exit__(self, *error):
            return None

    monkeypatch.setattr("sweeper.engine.analyses.run_trials", run_trials)
    monkeypatch.setattr("sweeper.engine.analyses.cluster", Cluster)
    analysis = EvaluatorConfidence()
    found = analyze_trials(begun, home, analysis, [target(2), target(1)], Silent(), address="auto")
    assert found == (
        [{"trial": 1, "attack": "gmi", "sure": 0.5}],
        ["trial 2 was not analyzed: out of memory"],
    )
    with pytest.raises(TrialError, match="trial 2 was not analyzed: out of memory"):
        analyze_trials(begun, home, analysis, [target(2)], Silent(), address="auto")
