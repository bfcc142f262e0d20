"""Which stages are shared, who is started with how much, and what becomes of a failure; Ray is played."""

from types import SimpleNamespace

import pytest
import ray

from sweeper.engine import shared_stages as module
from sweeper.engine.progress import Silent
from sweeper.engine.shared_stages import INGREDIENTS, prepare, shared_stages
from trainables.config import load_trial
from trainables.errors import ConfigError, DiskError, TrialError
from trainables.runtime.background import JobStatus
from trainables.stages.judge import judge_parts
from trainables.stages.pretrained import pretrained_parts
from trainables.stages.prior import prior_parts
from trainables.storage.documents import merge
from trainables.trial import SHARED

READY = JobStatus("complete")

FACES = {"kind": "synthetic_faces", "identities": 4, "images_per_identity": 8}
TRIAL = {
    "image_size": 32,
    "private": {**FACES, "population": "private"},
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}},
    "target": {"architecture": "small_cnn", "epochs": 1},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi"},
    "attack": {"kind": "gmi"},
    "judge": {"kind": "classifier", "architecture": "small_cnn"},
}


class Ray:
    """Plays Ray on `cores` cores: actors live in the order they came, as many as fit; `script` says what
    each stage's polls return."""

    exceptions = ray.exceptions

    def __init__(self, cores: float, script: dict[str, list]):
        self.cores, self.script = cores, {stage: list(polls) for stage, polls in script.items()}
        self.ended, self.unstarted = {}, {}
        self.needs, self.alive, self.log, self.most = {}, [], [], 0

    def remote(self, **needs):
        self.needs = needs
        return lambda maker: SimpleNamespace(remote=self._actor)

    def _actor(self, threads):
        actor = SimpleNamespace(threads=threads, stage="")

        def start(make, trial, stage, store_root):
            actor.stage = stage
            return "start", stage

        actor.start = SimpleNamespace(remote=start)
        actor.poll = SimpleNamespace(remote=lambda: (actor.stage, object()))
        self.alive.append(actor)
        self.most = max(self.most, len(self.alive))
        return actor

    def wait(self, polls, num_returns):
        fitting = [actor.stage for actor in self.alive[: int(self.cores // self.needs["num_cpus"])]]
        ready = [poll for poll in polls if poll[0] in fitting]
        assert ready, "a stage waits for ever"
        return ready[:1], ready[1:]

    def get(self, poll):
        if poll[0] == "start":
            if poll[1] in self.unstarted:
                raise self.unstarted[poll[1]]
            return None
        said = self.script[poll[0]].pop(0)
        if isinstance(said, Exception):
            raise said
        if said.state == "complete":
            self.log.append(poll[0])
        return said

    def note(self, stage, seconds):
        self.ended[stage] = seconds

    def kill(self, actor):
        self.alive.remove(actor)


@pytest.fixture
def run(cheap, monkeypatch):
    def call(script, *, cpus=2.0, gpus=0.0, display=None, anyway=False, unstarted=None, **changes):
        played = Ray(cpus, {stage: [READY] for stage in INGREDIENTS} | script)
        played.unstarted = unstarted or {}
        monkeypatch.setattr(module, "ray", played)
        try:
            prepare(
                cheap(**changes),
                "store",
                display or Silent(),
                cpus=cpus,
                gpus=gpus,
                ended=played.note,
                anyway=anyway,
            )
        finally:
            assert played.alive == []  # nothing goes on, whatever happened
        return played

    return call


def one_of(path):
    return [{path: {"choice": [1, 2]}}]


@pytest.mark.parametrize(
    ("path", "left_to_trials"),
    [
        ("x", set()),
        ("private_extra", set()),  # begins like an ingredient and is none
        ("pretraining.data.identities", {"pretrained"}),
        ("public", {"prior"}),
        ("judge.kind", {"judge"}),
        ("judge.1.epochs", {"judge"}),
        ("seed", {"pretrained", "prior", "judge"}),
    ],
)
def test_what_the_space_varies_is_left_to_trials(cheap, path, left_to_trials):
    assert set(INGREDIENTS) == set(SHARED)
    varied = cheap(space=one_of(path), controls=False)
    assert set(shared_stages(varied)) == set(SHARED) - left_to_trials


def test_the_controls_need_the_templates_own_whatever_the_space_varies(cheap):
    stages = shared_stages(cheap(space=one_of("pretraining.data.identities"), controls=True))
    assert sorted(stages) == sorted(SHARED)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 64},
        {"seed": 1},
        {"replicate": 1},
        {"identities": 2},
        {"validation": 0.2},
        {"test": 0.3},
        {"private.identities": 5},
        {"public.identities": 5},
        {"pretraining.epochs": 2},
        {"target.architecture": "small_resnet"},
        {"target.normalization": "half"},
        {"target.epochs": 2},
        {"target.learning_rate": 0.5},
        {"target.freeze_point": "conv2"},
        {"defense.kind": "bido", "defense.lambda_x": 0.1},
        {"prior.epochs": 2},
        {"attack.iterations": 2},
        {"judge.epochs": 2},
    ],
    ids=str,
)
def test_ingredients_are_what_the_stages_keys_are_made_of(cheap, changes):
    before, after = load_trial(TRIAL), load_trial(merge(TRIAL, changes))
    parts = {
        "pretrained": pretrained_parts,
        "prior": lambda config: prior_parts(config, config.prior),
        "judge": judge_parts,
    }
    same = [stage for stage in INGREDIENTS if parts[stage](before) == parts[stage](after)]
    space = [{path: {"choice": [value]}} for path, value in changes.items()]
    assert shared_stages(cheap(space=space, controls=False)) == same


@pytest.mark.parametrize(
    ("cpus", "gpus", "needs"),
    [
        (16, 0, {"num_cpus": 5, "num_gpus": 0}),
        (16, 1, {"num_cpus": 5, "num_gpus": 0.33}),
        (2, 0, {"num_cpus": 1, "num_gpus": 0}),
        (0.5, 0, {"num_cpus": 0.5, "num_gpus": 0}),
    ],
)
def test_the_machine_is_divided_among_the_three(run, cpus, gpus, needs):
    played = run({}, cpus=cpus, gpus=gpus)
    assert played.needs == needs
    assert sorted(played.log) == sorted(SHARED)


def test_one_stage_alone_gets_the_machine(run):
    played = run({}, cpus=16, gpus=1, controls=False, space=one_of("private") + one_of("target.architecture"))
    assert played.needs == {"num_cpus": 16, "num_gpus": 1}
    assert played.log == ["prior"]


def test_nothing_shared_starts_nothing(run):
    assert run({}, controls=False, space=one_of("seed")).needs == {}


def test_on_one_core_a_stage_begins_where_another_ended(run):
    busy = JobStatus("running", "prior", 1, 2, 3.0)
    played = run({"prior": [busy, busy, READY]}, cpus=1)
    assert played.log == list(INGREDIENTS)


@pytest.mark.parametrize(
    ("cause", "error", "message"),
    [
        ("config", ConfigError, "^no such folder$"),
        ("disk", DiskError, "^no such folder$"),
        ("trial", TrialError, "^the shared stage 'prior' cannot be made: no such folder$"),
        ("memory", TrialError, "^the shared stage 'prior' cannot be made: no such folder$"),
        ("bug", TrialError, "(?s)'prior' cannot be made: no such folder\nTraceback"),
    ],
)
def test_a_failure_keeps_its_kind_and_only_a_bug_shows_its_trace(run, cause, error, message):
    broken = JobStatus("failed", reason="no such folder", cause=cause, trace="Traceback ...")
    with pytest.raises(error, match=message):
        run({"prior": [broken]})


@pytest.mark.parametrize(
    ("cause", "error", "message"),
    [
        (ConfigError("no such GPU"), ConfigError, "^no such GPU$"),
        (ImportError("no module"), TrialError, "'prior' cannot be made: ImportError: no module\n.*ray::"),
    ],
)
def test_what_could_not_even_begin_has_failed_and_is_not_complete(run, cause, error, message):
    never = ray.exceptions.RayTaskError("start", "the trace ray::start", cause)
    with pytest.raises(error, match=message):
        run({}, unstarted={"prior": never})


def test_a_worker_that_died_is_replaced_so_many_times(run):
    dead, told = ray.exceptions.RayActorError(), Told()
    assert "judge" in run({"judge": [dead, dead, READY]}, display=told).log
    assert [text for text, _ in told.said] == ["the worker of 'judge' died; another goes on with it"] * 2
    with pytest.raises(TrialError, match="'judge' cannot be made: the worker died 3 times"):
        run({"judge": [dead, dead, dead, READY]})


class Told(Silent):
    def __init__(self):
        self.lines, self.said = {}, []

    def ended(self, who, text):
        self.lines[who] = text

    def say(self, text):
        self.said.append((text, list(self.lines)))


def test_a_stage_of_an_earlier_sweep_is_reused_and_one_made_now_says_how_long_it_took(run):
    told = Told()
    old = JobStatus("complete", result={"path": "p", "seconds": 84.0, "made_now": False})
    new = JobStatus("complete", result={"path": "p", "seconds": 84.0, "made_now": True})
    played = run({"prior": [old], "judge": [new]}, display=told)
    assert told.lines["prior"] == "reused"
    assert told.lines["judge"] == "ready after 1 min 24 s"
    assert played.ended["prior"] is None
    assert played.ended["judge"] == 84.0


@pytest.mark.parametrize(
    ("concurrent", "cpus", "most", "needs"),
    [
        (1, 16, 1, {"num_cpus": 16, "num_gpus": 1}),
        (2, 16, 2, {"num_cpus": 8, "num_gpus": 0.5}),
        (8, 16, 3, {"num_cpus": 5, "num_gpus": 0.33}),
        ("auto", 16, 3, {"num_cpus": 5, "num_gpus": 0.33}),
    ],
)
def test_no_more_is_prepared_at_once_than_trials_may_run(run, concurrent, cpus, most, needs):
    played = run({}, cpus=cpus, gpus=1, resources={"concurrent": concurrent})
    assert played.most == most
    assert played.needs == needs
    assert sorted(played.log) == sorted(SHARED)


def test_a_warning_is_told_as_soon_as_its_stage_is_ready(run):
    told = Told()
    busy = JobStatus("running", "pretrained", 1, 2, 3.0)
    noise = JobStatus("complete", result={"made_now": True, "seconds": 1.0, "warnings": ["it draws noise"]})
    run({"prior": [noise], "pretrained": [busy, busy, READY]}, cpus=3, display=told)
    ((text, ready),) = told.said
    assert text == "WARNING: it draws noise (prior)"
    assert "pretrained" not in ready


@pytest.mark.parametrize("anyway", [False, True])
def test_a_useless_judge_stops_the_sweep_once_the_rest_is_kept(run, anyway):
    told = Told()
    useless = {"warnings": ["useless judge: 0.1"], "useless": "useless judge: 0.1"}
    judged = JobStatus("complete", result={"made_now": True, "seconds": 1.0, **useless})
    if anyway:
        run({"judge": [judged]}, display=told, anyway=True)
    else:
        with pytest.raises(TrialError, match=r"useless judge: 0\.1; train the judge longer.*--anyway"):
            run({"judge": [judged]}, display=told)
    assert [text for text, _ in told.said] == ["WARNING: useless judge: 0.1 (judge)"]
    assert sorted(told.lines) == sorted(SHARED)  # what was being made is kept for the next start
