"""Controls in a worker, and what a sweep keeps of them; Ray is played."""

from types import SimpleNamespace

import pytest
import ray

from sweeper.engine import controls as module
from sweeper.engine import sweep as sweep_module
from sweeper.engine.controls import measure
from sweeper.engine.progress import Silent, Warner
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import CONTROLS, stored_notes
from trainables.runtime.background import JobStatus

TELLS = {"verdict": {"verdict": "tells", "reason": "clear", "remedies": []}, "power": None}
CANNOT = {"verdict": {"verdict": "cannot tell", "reason": "not clear", "remedies": ["people"]}, "power": None}


class Played:
    """Plays Ray: one actor whose polls return `script`, an exception among them is raised."""

    exceptions = ray.exceptions

    def __init__(self, script):
        self.script, self.started, self.needs, self.killed = list(script), [], {}, 0

    def remote(self, **needs):
        self.needs = needs
        actor = SimpleNamespace(
            start=SimpleNamespace(remote=lambda *arguments: self.started.append(arguments)),
            poll=SimpleNamespace(remote=lambda: None),
        )
        return lambda maker: SimpleNamespace(remote=lambda threads: self._made(threads, actor))

    def _made(self, threads, actor):
        self.threads = threads
        return actor

    def get(self, _):
        answer = self.script.pop(0)
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
    return played


def test_what_the_controls_measured_comes_back_with_their_progress(monkeypatch, cheap):
    played = play(monkeypatch, [JobStatus("running", "null", 1, 4, 2.0), JobStatus("complete", result=TELLS)])
    study, shown, looks = cheap(), Shown(), []
    found = measure(
        study,
        {"sampler": False},
        "store",
        shown,
        threads=4,
        gpus=0,
        make="make",
        look=lambda: looks.append(1),
    )
    assert found == TELLS
    assert played.started == [("make", study.document({}), {"sampler": False}, "store")]
    assert played.needs == {"num_cpus": 4, "num_gpus": 0}
    assert played.threads == 4  # as of a trial: another number would train another undefended target
    assert shown.stages == [("controls", "null", 1, 4)]
    assert len(looks) == 2 and played.killed == 1


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (JobStatus("failed", reason="the loss is not finite"), "the loss is not finite"),
        (ray.exceptions.RayActorError(), "their worker died"),
    ],
)
def test_controls_that_fail_say_why_and_end_their_worker(monkeypatch, cheap, end, reason):
    played = play(monkeypatch, [end])
    found = measure(cheap(), {}, "store", Silent(), threads=1, gpus=0)
    assert isinstance(found, str) and reason in found
    assert played.killed == 1


@pytest.fixture
def kept(home, cheap, monkeypatch):
    """Run the sweep's step over controls; return its warnings and how often they were measured."""
    home.prepare()
    allotment = SimpleNamespace(threads=1, node_gpus=0.0)

    def run(results, **changes):
        study = cheap(**changes)
        opened = OptunaStudy(study, home.storage, home.study(study.name) / "history")
        measured = []
        monkeypatch.setattr(
            "sweeper.engine.controls.measure",
            lambda study, options, *rest, **others: measured.append(options) or results,
        )
        shown = Shown()
        sweep_module._measure_controls(study, home, allotment, shown, opened, Warner(shown))
        return shown.lines, measured, stored_notes(home.storage, study.name).get(CONTROLS)

    return run


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
