"""Controls in a worker, and what a sweep keeps of them; Ray is played."""

from types import SimpleNamespace

import numpy as np
import pytest
import ray

from sweeper.engine import controls as module
from sweeper.engine.controls import (
    BesideTrials,
    ControlsWorker,
    controls_beside,
    measure_after,
    measure_stopped,
    rising,
    stopped_request,
)
from sweeper.engine.progress import Silent, Warner
from sweeper.engine.runner import _Runner, run_trials
from sweeper.results.records import study_records
from sweeper.results.trial_record import TrialRecord
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import CONTROLS, STOPPED, stored_notes
from sweeper.study.checks import control_options
from trainables.runtime.background import JobStatus
from trainables.tune import make_controls, make_stopped

TELLS = {"verdict": {"verdict": "tells", "reason": "clear", "remedies": []}, "power": None}
CANNOT = {"verdict": {"verdict": "cannot tell", "reason": "not clear", "remedies": ["people"]}, "power": None}


LATER = "a poll that is not answered yet"


class Played:
    """Plays Ray: one actor whose polls return `script`, an exception among them is raised."""

    exceptions = ray.exceptions

    def __init__(self, script):
        self.script, self.started, self.needs, self.killed = list(script), [], {}, 0
        self.waited = []

    def remote(self, **needs):
        self.needs = needs
        actor = SimpleNamespace(
            start=SimpleNamespace(remote=lambda *arguments: self.started.append(arguments)),
            poll=SimpleNamespace(remote=lambda: self.script.pop(0)),
        )
        return lambda maker: SimpleNamespace(remote=lambda threads: self._made(threads, actor))

    def _made(self, threads, actor):
        self.threads = threads
        return actor

    def wait(self, polls, timeout):
        self.waited.append(timeout)
        return ([], polls) if polls == [LATER] else (polls, [])

    def get(self, answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, _):
        self.killed += 1


class Shown(Silent):
    def __init__(self):
        self.lines, self.stages = [], []

    def say(self, text):
        self.lines.append(text)

    def stage(self, who, stage, done, total, seconds):
        self.stages.append((who, stage, done, total))


def play(monkeypatch, script):
    played = Played(script)
    monkeypatch.setattr(module, "ray", played)
    monkeypatch.setattr("sweeper.engine.shared_stages.ray", played)
    return played


def measure(worker, look=lambda: None):
    found = []
    BesideTrials([worker], found.append).wait(look)
    return found[0]


def test_what_the_controls_measured_comes_back_with_their_progress(monkeypatch, cheap):
    played = play(monkeypatch, [JobStatus("running", "null", 1, 4, 2.0), JobStatus("complete", result=TELLS)])
    study, shown, looks = cheap(), Shown(), []
    worker = ControlsWorker(study, {"sampler": False}, "store", shown, threads=4, gpus=0.5, make="make")
    found = measure(worker, lambda: looks.append(1))
    assert found == TELLS
    assert played.started == [("make", study.document({}), {"sampler": False}, "store")]
    assert played.needs == {"num_cpus": 4, "num_gpus": 0.5}
    assert played.threads == 4  # as of a trial: another number would train another undefended target
    assert shown.stages == [("controls", "null", 1, 4)]
    assert len(looks) == 2 and played.killed == 1


def test_controls_that_fail_say_why_and_end_their_worker(monkeypatch, cheap):
    played = play(monkeypatch, [JobStatus("failed", reason="the loss is not finite")])
    found = measure(ControlsWorker(cheap(), {}, "store", Silent(), threads=1, gpus=0))
    assert found == "the loss is not finite"
    assert played.killed == 1


def test_a_worker_of_controls_that_died_is_replaced_so_many_times(monkeypatch, cheap):
    dead, shown = ray.exceptions.RayActorError(), Shown()
    played = play(monkeypatch, [dead, dead, JobStatus("complete", result=TELLS)])
    assert measure(ControlsWorker(cheap(), {}, "store", shown, threads=1, gpus=0)) == TELLS
    assert len(played.started) == 3 and len(set(map(str, played.started))) == 1
    assert shown.lines == ["the worker of 'controls' died; another goes on with it"] * 2
    play(monkeypatch, [dead, dead, dead])
    found = measure(ControlsWorker(cheap(), {}, "store", shown, threads=1, gpus=0))
    assert "the worker died 3 times" in found


def test_beside_trials_nobody_waits_and_what_was_measured_is_kept_once(monkeypatch, cheap):
    played = play(monkeypatch, [LATER])
    shown, told = Shown(), []
    worker = ControlsWorker(cheap(), {}, "store", shown, threads=1, gpus=0)
    beside = BesideTrials([worker], told.append)
    beside.look()
    assert (beside.places, told, played.waited, shown.stages) == (1, [], [0.0], [])
    played.script = [JobStatus("complete", result=TELLS)]
    worker._worker.news = JobStatus("running", "null", 1, 4, 2.0)
    beside.look()
    assert (beside.places, told, shown.stages) == (1, [], [("controls", "null", 1, 4)])
    beside.look()
    assert (beside.places, told, played.killed) == (0, [TELLS], 1)
    beside.look()
    beside.wait(lambda: pytest.fail("there is nothing to wait for"))
    beside.end()
    assert told == [TELLS] and played.killed == 1


def test_a_worker_whose_trials_ended_badly_ends_too(monkeypatch, cheap):
    played = play(monkeypatch, [LATER])
    beside = BesideTrials([ControlsWorker(cheap(), {}, "store", Silent(), threads=1, gpus=0)], pytest.fail)
    beside.end()
    assert (beside.places, played.killed) == (0, 1)


class Worker:
    """Plays the worker of controls: the first `silent` looks find nothing."""

    def __init__(self, results, silent=1):
        self.results, self.silent, self.ended = results, silent, 0

    def look(self, seconds=0.0):
        self.silent -= 1
        return None if self.silent >= 0 else self.results

    def end(self):
        self.ended += 1


@pytest.fixture
def kept(home, cheap, monkeypatch):
    """Run the sweep's step over controls; return its warnings and how often they were measured."""
    home.prepare()

    def run(results, concurrent=2, gpus=0.0, trials=lambda beside: None, **changes):
        study = cheap(**changes)
        opened = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        measured = []
        allotment = SimpleNamespace(threads=3, gpus=gpus, node_gpus=2.0 * (gpus > 0), concurrent=concurrent)

        def worker(study, options, root, display, *, threads, gpus, make, name):
            assert make is make_controls and name == "controls"
            measured.append(options)
            run.needs = (threads, gpus)
            return Worker(results)

        monkeypatch.setattr("sweeper.engine.controls.ControlsWorker", worker)
        shown = Shown()
        options = control_options(study)
        with controls_beside(study, home, options, allotment, shown, opened, Warner(shown)) as beside:
            trials(beside)
        return shown.lines, measured, stored_notes(home.storage, study.name).get(CONTROLS)

    return run


@pytest.mark.parametrize(
    ("concurrent", "places", "gpus"),
    [(1, 0, 1), (2, 1, 0.5)],  # alone on the machine before all trials, or as one of two at a time
)
def test_controls_take_the_place_of_a_trial_where_there_is_more_than_one(kept, concurrent, places, gpus):
    seen = []
    kept(TELLS, concurrent=concurrent, gpus=0.5, trials=lambda beside: seen.append(beside.places))
    assert seen == [places] and kept.needs == (3, gpus)


def test_trials_that_are_interrupted_end_the_controls_too(kept):
    held = []

    def interrupted(beside):
        held.append(beside)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(TELLS, trials=interrupted)
    assert held[0].places == 0
    assert kept(TELLS)[1] == [{}]  # nothing was kept, so the next start measures them


def test_controls_are_measured_once_and_kept_with_the_study(kept):
    assert kept(TELLS) == ([], [{}], {"options": {}, **TELLS})
    assert kept(TELLS)[1] == []
    lines, measured, stored = kept(CANNOT, controls={"sampler": False})  # others are asked for now
    assert measured == [{"sampler": False}]
    assert stored == {"options": {"sampler": False}, **CANNOT}
    assert lines == ["WARNING: this study cannot tell: not clear"]


def test_a_study_may_have_no_controls(kept):
    assert kept(TELLS, controls=False) == ([], [], None)


def test_controls_that_fail_are_a_warning_and_nothing_is_kept(kept):
    lines, _, stored = kept("the disk went away")
    assert stored is None
    (line,) = lines
    assert line.startswith("WARNING: no controls") and "the disk went away" in line


def test_an_empty_result_is_never_kept_as_the_controls(kept, home, cheap):
    with pytest.raises(KeyError, match="verdict"):
        kept({})
    assert CONTROLS not in stored_notes(home.storage, cheap().name)


def test_controls_that_could_not_even_begin_say_why(monkeypatch, cheap):
    played = play(monkeypatch, [JobStatus("complete")])
    error = ray.exceptions.RayTaskError("start", "the trace", ImportError("no module"))
    worker = ControlsWorker(cheap(), {}, "store", Silent(), threads=1, gpus=0)
    worker._worker._started = error
    assert measure(worker) == "ImportError: no module"
    assert played.killed == 1


def curve(*people):
    """Return a control with a budget curve: who is found with half of the steps, then with all."""
    half, whole = ([1.0] * hits + [0.0] * (20 - hits) for hits in people)
    return {"budget": [{"share": 0.5, "per_identity": half}], "per_identity": whole}


def test_controls_with_a_curve_say_whether_the_attack_still_rises():
    controls = {"undefended": curve(5, 15), "positive": curve(15, 15), "sampler": curve(5, 15)}
    assert rising(controls) == {"undefended": True, "positive": False}
    assert rising({"undefended": {"budget": None}, "positive": None}) == {}


def test_the_sweep_keeps_whether_the_attack_still_rises(kept):
    results = {**TELLS, "undefended": curve(5, 15)}
    assert kept(results)[2] == {"options": {}, **results, "still_rising": {"undefended": True}}


def member(number, defense="mid", accuracy=0.7):
    metrics = {} if accuracy is None else {"validation_accuracy": accuracy}
    return TrialRecord(number=number, state="complete", params={"x": 0.5}, defense=defense, metrics=metrics)


def test_stopped_targets_are_asked_for_beside_defended_trials_of_the_front(cheap):
    study = cheap()
    members = [member(1), member(2, defense="none"), member(3, accuracy=None), member(4, accuracy=0.4)]
    request = stopped_request(study, members)
    assert request == {
        "most": 4,
        "alike": False,
        "trials": [
            {"number": number, "trial": study.document({"x": 0.5}), "validation_accuracy": accuracy}
            for number, accuracy in ((1, 0.7), (4, 0.4))
        ],
    }
    assert stopped_request(cheap(controls={"stopped": 2}), members)["most"] == 2
    assert stopped_request(cheap(controls={"stopped_alike": True}), members)["alike"]
    for none in (False, {"stopped": 0}):
        assert stopped_request(cheap(controls=none), members) is None
    assert stopped_request(study, members[1:3]) is None


STOPPED_TARGET = {
    "epoch": 3,
    "attack_accuracy": 0.5,
    "interval": [0.3, 0.7],
    "per_identity": [1.0] * 10 + [0.0] * 10,
}


def test_stopped_targets_are_kept_beside_trials_and_asked_for_once(cheap, monkeypatch):
    rates = {1: [0.0] * 20, 4: None}
    monkeypatch.setattr(
        "sweeper.engine.controls.per_identity",
        lambda trials: [None if rates[t.number] is None else np.array(rates[t.number]) for t in trials],
    )
    asked = []

    def ask(request, make):
        asked.append((request["most"], [trial["number"] for trial in request["trials"]], make))
        return {"1": STOPPED_TARGET, "4": STOPPED_TARGET}

    members = [member(1), member(4)]
    stored = measure_stopped(cheap(), members, {}, None, ask)
    assert asked == [(4, [1, 4], make_stopped)]
    assert stored["trials"]["1"]["verdict"] == "leaks less" and stored["trials"]["1"]["difference"] == 0.5
    assert stored["trials"]["4"]["verdict"] == "cannot tell"  # nobody knows who was found there
    assert measure_stopped(cheap(), members, stored, None, ask) is None
    assert len(asked) == 1
    alike = cheap(controls={"stopped_alike": True})
    again = measure_stopped(alike, members, stored, None, ask)
    assert len(asked) == 2 and measure_stopped(alike, members, again, None, ask) is None
    rates[1] = [1.0] * 20
    for high, verdict in (
        (0.2, "leaks no less"),
        (0.4, "cannot tell"),
    ):  # the floor's end, below 0.3 and above
        floored = measure_stopped(cheap(), members, {}, {"interval": [0.0, high]}, ask)
        assert floored["trials"]["1"]["verdict"] == verdict
    later = measure_stopped(cheap(), members[:1], stored, None, lambda *_: {"1": None})  # the front has moved
    assert later["trials"] == {"1": None, "4": stored["trials"]["4"]}
    assert measure_stopped(cheap(), members, {}, None, lambda *_: "no room") == "no room"


@pytest.fixture
def ended(home, cheap, monkeypatch, result):
    """End a study of one defended trial; return its warnings, what was asked for, its notes and records."""
    allotment = SimpleNamespace(threads=1, gpus=0.0, node_gpus=0.0, concurrent=3)

    def run(results, trials=1, **changes):
        study = cheap(search={"trials": trials}, **changes)
        opened = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        if not opened.complete:
            request = opened.ask()
            figures = result(0.7, defense="mid", metrics={"validation_accuracy": 0.6})
            opened.tell(request.number, {**figures, "params": request.assignment})
        asked = []
        monkeypatch.setattr(
            "sweeper.engine.controls.ControlsWorker",
            lambda study, request, *rest, **others: asked.append(request) or Worker(results),
        )
        shown = Shown()
        measure_after(study, home, allotment, shown, opened, Warner(shown))
        return shown.lines, asked, stored_notes(home.storage, study.name), study_records(home, study.name)

    return run


def test_at_the_end_the_front_gets_its_stopped_targets_once(ended):
    lines, asked, notes, records = ended({"0": STOPPED_TARGET})
    (request,) = asked  # one trial is no work for three
    assert lines == [] and [trial["number"] for trial in request["trials"]] == [0]
    assert request["share"] == [0, 1]
    assert notes[STOPPED]["due"] is False
    (trial,) = records.trials
    assert (trial.stopped["epoch"], trial.stopped["verdict"]) == (3, "cannot tell")
    assert records.to_json()["trials"][0]["stopped"]["attack_accuracy"] == 0.5
    assert ended({"0": STOPPED_TARGET})[1] == []


@pytest.mark.parametrize(("concurrent", "gpus"), [(1, 2), (2, 0.5), (9, 0.5)])
def test_stopped_targets_are_shared_out_among_as_many_as_run_at_once(
    monkeypatch, home, cheap, concurrent, gpus
):
    made, ended = [], []

    class Part(Worker):
        def __init__(self, study, request, root, display, *, threads, gpus, make, name):
            number, _ = request["share"]
            made.append((request["share"], threads, gpus, name))
            super().__init__({str(n): STOPPED_TARGET if n == number else None for n in range(3)}, 2 - number)

        def end(self):
            ended.append(self)

    monkeypatch.setattr(module, "ControlsWorker", Part)
    allotment = SimpleNamespace(threads=2, gpus=0.5, node_gpus=2.0, concurrent=concurrent)
    request = {"most": 3, "trials": [{"number": number} for number in range(3)]}
    found = module._shared(cheap(), home, allotment, Silent(), request, make_stopped)
    count = min(3, concurrent)
    names = ["controls", "controls 2", "controls 3"]
    assert made == [([n, count], 2, min(gpus, 1), names[n]) for n in range(count)]
    assert found == {str(n): STOPPED_TARGET if n < count else None for n in range(3)}
    assert len(ended) == count


def test_before_the_end_no_target_is_stopped(ended):
    lines, asked, notes, records = ended({"0": STOPPED_TARGET}, trials=2)
    assert (lines, asked) == ([], []) and STOPPED not in notes and records.trials[0].stopped is None


def test_stopped_targets_that_fail_are_a_warning_and_nothing_is_kept(ended):
    lines, _, notes, records = ended("the disk went away")
    assert len(lines) == 1 and "no undefended target was stopped" in lines[0]
    assert notes[STOPPED] == {"due": True} and records.trials[0].stopped is None  # the next start tries


def test_a_sweep_that_was_cut_off_before_its_stopped_targets_runs_no_trial_for_them():
    finished = SimpleNamespace(finished=True)
    run_trials(None, None, finished, None, None, None)  # no Ray, no study is touched


def test_while_controls_are_measured_one_trial_less_may_run(cheap):
    worker = Worker(TELLS)
    beside = BesideTrials([worker], lambda found: None)
    allotment = SimpleNamespace(concurrent=3)
    runner = _Runner(cheap(), None, None, allotment, Silent(), None, None, None, None, beside)
    assert runner._places() == 2
    beside.look()
    assert runner._places() == 2
    beside.look()
    assert runner._places() == 3 and worker.ended == 1
