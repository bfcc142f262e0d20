import json

import optuna
import pytest
from small_trial import TRIAL

from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import open_storage, stored_trials
from sweeper.study.study import Search, Study
from trainables.config import document, load_trial
from trainables.errors import ConfigError


@pytest.fixture
def optuna_study(home, cheap):
    def make(**changes):
        study = cheap(**changes)
        return OptunaStudy(study, home.storage, home.study(study.name) / "history")

    return make


def run_all(optuna_study, result):
    request = []
    while (one := optuna_study.ask()) is not None:
        request.append(one)
        optuna_study.tell(one.number, result(one.assignment.get("x", 0.5)))
    return request


def test_anchors_come_first_and_the_budget_ends_it(optuna_study, result):
    source = optuna_study()
    request = run_all(source, result)
    assert len(request) == 6 and source.finished
    assert request[0].assignment == {"x": 0.5, "k": "a"}  # the anchor: middles and first choices
    assert len({json.dumps(a.assignment) for a in request}) == 6


def test_a_sampler_that_repeats_itself_wastes_no_trial(optuna_study, result, monkeypatch, home):
    """In a space with real numbers, too: what is drawn at random instead is new."""

    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            return {"x": 0.25, "k": "b"}[name]

    monkeypatch.setattr("sweeper.search.optuna_study.make_sampler", lambda *_: Stubborn())
    request = run_all(optuna_study(), result)
    assert request[1].assignment == {"x": 0.25, "k": "b"}
    assert len({json.dumps(a.assignment) for a in request}) == len(request) == 6
    assert [one.number for one in request] == list(range(6))  # the repeats took no number
    stored = optuna.load_study(study_name="cheap", storage=home.storage).trials
    assert [trial.state.name for trial in stored] == ["COMPLETE"] * 6


def test_a_repeat_that_a_person_queued_says_what_it_is(optuna_study, result, home):
    source = optuna_study()
    first = source.ask()
    source.tell(first.number, result(0.5))
    stored = optuna.load_study(study_name="cheap", storage=home.storage)
    stored.enqueue_trial({"x": 0.5, "k": "a"})
    second = source.ask()
    assert second.number == 2 and second.assignment != first.assignment
    repeat = stored.trials[1]
    assert repeat.user_attrs["result"]["reason"] == "not run: the same as trial 0"
    assert [trial["number"] for trial in stored_trials(home.storage, "cheap")[1]] == [0, 2]
    assert optuna_study().failed == 0


def test_what_ran_when_the_driver_died_is_handed_out_first_under_its_number(optuna_study, result):
    source = optuna_study()
    first, second = source.ask(), source.ask()
    source.tell(first.number, result(0.1))
    again = optuna_study()  # a new driver on the same database
    assert again.complete == 1
    assert again.ask() == second
    third = again.ask()
    assert third.number > second.number


def test_restarts_do_not_repeat_proposals(optuna_study, result):
    seen = []
    for _ in range(6):
        source = optuna_study()
        one = source.ask()
        source.tell(one.number, result(0.5))
        seen.append(json.dumps(one.assignment))
    assert len(set(seen)) == 6


def test_the_budget_counts_results_and_can_grow(optuna_study, result):
    source = optuna_study(search={"trials": 2})
    one, two = source.ask(), source.ask()
    assert source.ask() is None and not source.finished  # the running ones may still fill it
    source.fail(one.number, one.assignment, "loss is not finite")
    three = source.ask()
    assert three is not None
    source.tell(two.number, result(0.5))
    source.tell(three.number, result(0.6))
    assert source.finished
    assert optuna_study(search={"trials": 3}).ask() is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "high"])
def test_a_result_that_is_no_number_fails_the_trial(optuna_study, result, home, bad):
    source = optuna_study()
    one = source.ask()
    reason = source.tell(one.number, result(0.5, values={"test_accuracy": bad, "attack_accuracy": 0.1}))
    assert "objectives must be finite numbers" in reason
    _, trials = stored_trials(home.storage, "cheap")
    assert [t["state"] for t in trials] == ["failed"]
    assert trials[0]["result"]["reason"] == reason


@pytest.mark.parametrize("sampler", ["tpe", "grid", "nsga2", "random"])
def test_lists_of_a_choice_are_handed_out_and_survive_a_restart(optuna_study, home, result, sampler):
    sets = [None, ["conv1", "conv2"], ["conv3"]]
    space = [{"target.trained": {"choice": sets}}]
    source = optuna_study(space=space, search={"trials": 3, "sampler": sampler})
    first = source.ask()
    source.tell(first.number, result(0.1) | {"params": first.assignment})
    running = source.ask()
    again = optuna_study(space=space, search={"trials": 3, "sampler": sampler})
    assert again.ask() == running
    again.tell(running.number, result(0.2) | {"params": running.assignment})
    last = again.ask()
    found = [one.assignment["target.trained"] for one in (first, running, last)]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, sets))
    assert [one.document["target"]["trained"] for one in (first, running, last)] == found
    stored = [
        trial["result"]["params"]["target.trained"] for trial in stored_trials(home.storage, "cheap")[1][:2]
    ]
    assert stored == found[:2]


def test_a_grid_runs_every_assignment_once_in_order(optuna_study, result):
    space = [{"a": {"choice": [1, 2, 3]}}, {"b": {"ordered": ["u", "v"]}}]
    source = optuna_study(space=space, search={"sampler": "grid"})
    request = run_all(source, result)
    expected = [{"a": a, "b": b} for a in (1, 2, 3) for b in ("u", "v")]
    assert [one.assignment for one in request] == expected


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_finite_space_is_used_up_without_repeats(optuna_study, result, sampler):
    space = [{"a": {"choice": [1, 2, 3, 4]}}]
    source = optuna_study(space=space, search={"sampler": sampler, "trials": 50})
    request = run_all(source, result)
    assert sorted(one.assignment["a"] for one in request) == [1, 2, 3, 4]
    assert source.finished


def test_a_used_up_space_is_finished_at_the_next_start_too(optuna_study, result):
    """What has no effect is not offered, so there are fewer results than assignments."""
    trial = {"target": {"architecture": "small_cnn"}, "image_size": 32, "defense": {"kind": "none"}}
    space = [
        {"defense.kind": {"choice": ["none", "bido"]}},
        {"target.freeze_point": {"choice": ["none", "conv6"]}},
    ]
    changes = {"trial": trial, "space": space, "search": {"trials": 50}}
    source = optuna_study(**changes)
    assert len(run_all(source, result)) == 3 and source.budget == 4
    again = optuna_study(**changes)
    assert again.finished and again.ask() is None


def test_a_finite_space_with_a_failure_ends_and_the_next_start_tries_it_again(optuna_study, result):
    space = [{"a": {"choice": [1, 2]}}]
    source = optuna_study(space=space)
    one = source.ask()
    source.fail(one.number, one.assignment, "out of memory")
    two = source.ask()
    assert source.ask() is None and not source.finished  # two is still running
    source.tell(two.number, result(0.5))
    assert source.ask() is None and source.finished
    again = optuna_study(space=space)
    assert again.ask().assignment == one.assignment


@pytest.mark.parametrize("sampler", ["nsga2", "sobol"])
def test_flat_samplers_ask_again_for_what_was_tried(optuna_study, result, sampler):
    space = [{"k": {"choice": ["a", "b"]}}, {"m": {"choice": [1, 2, 3]}}]
    request = run_all(optuna_study(space=space, search={"sampler": sampler}), result)
    assert len({json.dumps(one.assignment) for one in request}) == len(request) == 6


def test_a_driver_killed_in_the_midst_of_a_proposal_goes_on(optuna_study, home, result):
    source = optuna_study(search={"trials": 2, "anchors": False})
    trial = source._optuna.ask()
    trial.suggest_float("x", 0, 1)  # and never came to "k"
    again = optuna_study(search={"trials": 2, "anchors": False})
    first = again.ask()
    assert first.number == trial.number
    assert first.assignment["x"] == trial.params["x"] and first.assignment["k"] in ("a", "b")


def test_a_constraint_steers_the_sampler_and_marks_the_trial(optuna_study, home, result):
    """Both objectives are best at x = 0, which the constraint forbids."""

    def tell(source, count):
        told = []
        for _ in range(count):
            one = source.ask()
            x = told.append(one.assignment["x"]) or one.assignment["x"]
            values = {"test_accuracy": 1 - x, "attack_accuracy": x}
            source.tell(one.number, result(x, values=values, metrics={"knn_distance": x}))
        return told

    search = {"trials": 60, "anchors": False}
    space = [{"x": {"float": [0, 1]}}]
    free = tell(optuna_study(name="free", space=space, search=search), 24)
    bound = tell(optuna_study(space=space, search=search, constraints=["knn_distance >= 0.7"]), 24)
    assert sum(x < 0.3 for x in free[12:]) > 6  # without the constraint it goes where both are best
    assert sum(x > 0.6 for x in bound[12:]) > 6
    _, trials = stored_trials(home.storage, "cheap")
    violations = [trial["violations"]["knn_distance >= 0.7"] for trial in trials]
    assert violations == pytest.approx([0.7 - x for x in bound])


def test_a_constraint_on_what_a_trial_does_not_measure_fails_it(optuna_study, result):
    source = optuna_study(constraints=["knn_distance >= 1"])
    one = source.ask()
    assert "gave none for 'knn_distance >= 1'" in source.tell(one.number, result(0.5, metrics={}))
    assert source.failed == 1


def test_objectives_come_from_wherever_a_trial_measures_them(optuna_study, home, result):
    objectives = {"test_accuracy": "maximize", "knn_distance": "maximize", "train_seconds": "minimize"}
    source = optuna_study(objectives=objectives)
    one = source.ask()
    assert source.tell(one.number, result(0.5)) == ""
    assert stored_trials(home.storage, "cheap")[1][0]["values"] == [0.5, 2.0, 0.5]


def test_endless_failures_end_the_sweep(optuna_study):
    source = optuna_study()
    attempts = 0
    while (one := source.ask()) is not None:
        source.fail(one.number, one.assignment, "it always fails")
        attempts += 1
    assert attempts == 10 and source.gave_up and source.finished


def test_a_study_that_never_began_can_be_changed(optuna_study):
    optuna_study()  # created and its anchors queued, but no trial was handed out
    source = optuna_study(space=[{"x": {"float": [0.0, 2.0]}}])
    assert source.ask().assignment == {"x": 1.0}


def test_a_changed_study_is_refused_and_the_differing_keys_are_named(optuna_study):
    optuna_study(trial={"target": {"epochs": 3}}).ask()
    with pytest.raises(ConfigError, match=r"trial\.target\.epochs: 3 -> 4"):
        optuna_study(trial={"target": {"epochs": 4}})
    with pytest.raises(ConfigError, match=r"space\.x"):
        optuna_study(
            trial={"target": {"epochs": 3}}, space=[{"x": {"float": [0, 2]}}, {"k": {"choice": ["a", "b"]}}]
        )
    with pytest.raises(ConfigError, match="objectives"):
        optuna_study(trial={"target": {"epochs": 3}}, objectives={"test_accuracy": "maximize"})
    optuna_study(trial={"target": {"epochs": 3}}, search={"trials": 99, "seed": 4})  # this may change


def test_a_driver_killed_between_create_and_enqueue_loses_no_anchor(optuna_study, home, cheap, monkeypatch):
    calls = []
    study = cheap(space=[{"a": {"ordered": [1, 2, 3, 4, 5]}}])

    def die(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    import optuna

    real = optuna.Study.enqueue_trial
    monkeypatch.setattr(optuna.Study, "enqueue_trial", die)
    with pytest.raises(KeyboardInterrupt):
        OptunaStudy(study, home.storage, home.root)
    monkeypatch.undo()
    source = OptunaStudy(study, home.storage, home.root)
    assert [source.ask().assignment["a"] for _ in range(3)] == [1, 5, 3]  # both ends and the middle, once


@pytest.mark.parametrize(
    ("directions", "trials", "problem"),
    [
        (["maximize"], 0, "has the directions maximize instead of test_accuracy maximize, attack_accuracy"),
        (["maximize", "maximize"], 0, "has the directions maximize, maximize instead of"),
        (["maximize", "minimize"], 1, "has trials already"),
        (["maximize", "minimize"], 0, ""),
    ],
)
def test_a_study_of_another_program_is_taken_up_if_it_is_empty_and_fits(
    optuna_study, home, result, directions, trials, problem
):
    foreign = optuna.create_study(
        study_name="cheap", storage=open_storage(home.storage), directions=directions
    )
    for _ in range(trials):
        foreign.tell(foreign.ask(), [0.5] * len(directions))
    with pytest.raises(ConfigError, match="which another program made"):
        stored_trials(home.storage, "cheap")
    if problem:
        with pytest.raises(ConfigError, match=problem) as caught:
            optuna_study()
        assert "optuna delete-study --study-name cheap --storage sqlite:///" in str(caught.value)
        return
    assert len(run_all(optuna_study(), result)) == 6
    assert len(stored_trials(home.storage, "cheap")[1]) == 6


def test_histories_are_files_and_not_in_the_database(optuna_study, home, result):
    source = optuna_study()
    one = source.ask()
    source.tell(one.number, result(0.5))
    written = json.loads((home.study("cheap") / "history" / f"{one.number}.json").read_text())
    assert written == {"target": [{"loss": 2.0}, {"loss": 1.0}]}
    assert "history" not in stored_trials(home.storage, "cheap")[1][0]["result"]


def test_sqlite_is_in_wal_mode_and_bad_databases_are_named(home, tmp_path):
    storage = open_storage(home.storage)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    (tmp_path / "text.db").write_text("this is no database" * 100)
    for url in (f"sqlite:///{tmp_path}/text.db", f"sqlite:///{tmp_path}/no/folder.db", "nosuch://x"):
        with pytest.raises(ConfigError, match=r"expected a (database|folder for the database)"):
            open_storage(url)


def test_trials_are_screened_against_the_front_so_far_and_count_as_tried(optuna_study, home, result):
    search = {"trials": 5, "screening": True}
    constraints = ["test_accuracy >= 0.3"]
    source = optuna_study(search=search, constraints=constraints)
    first = source.ask()
    assert first.options == {"rivals": []}
    told = [(0.5, 0.4), (0.6, 0.3), (0.2, 0.0)]  # the second beats the first, the last is infeasible
    for accuracy, attack in told:
        one = first if accuracy == 0.5 else source.ask()
        values = {"test_accuracy": accuracy, "attack_accuracy": attack}
        source.tell(one.number, result(accuracy, values=values))
    rival = {"number": 1, "values": {"validation_accuracy": 0.6, "attack_accuracy": 0.3}}
    fourth = source.ask()
    assert fourth.options == {"rivals": [rival]}
    screening = {"reason": "trial 1 is better even so", "test_accuracy": 0.4, "attack_accuracy": 0.5}
    values = {"test_accuracy": 0.4, "attack_accuracy": 0.5}
    assert source.tell(fourth.number, result(0.4, values=values, screening=screening)) == ""
    again = optuna_study(search=search, constraints=constraints)  # a new driver knows the same
    assert again.complete == 4
    assert again.ask().options == {"rivals": [rival]}
    _, trials = stored_trials(home.storage, "cheap")
    assert [t["state"] for t in trials] == ["complete"] * 3 + ["screened", "running"]
    plain = optuna_study(name="plain")
    assert plain.ask().options == {}


def test_a_screened_trial_needs_no_figure_of_the_attack_that_it_was_spared(optuna_study, home, result):
    limits = ["attack_accuracy_verified <= 0.5", "test_accuracy >= 0.3"]
    source = optuna_study(search={"trials": 4, "screening": True}, constraints=limits)
    lacking = result(0.6)
    assert "gave none for 'attack_accuracy_verified <= 0.5'" in source.tell(source.ask().number, lacking)
    screened = result(0.4, screening={"reason": "trial 0 dominates it even so"})
    assert source.tell(source.ask().number, screened) == ""
    again = optuna_study(search={"trials": 4, "screening": True}, constraints=limits)
    assert (again.complete, again.failed) == (1, 1)
    _, trials = stored_trials(home.storage, "cheap")
    assert [trial["state"] for trial in trials] == ["failed", "screened"]
    assert trials[1]["violations"] == pytest.approx({limits[0]: 0.0, "validation_accuracy >= 0.3": -0.1})


def test_screened_trials_leave_the_gp_sampler_a_number_for_each_limit(optuna_study, result):
    """Optuna's GP reads the limits of all trials as one table."""
    search = {"trials": 14, "screening": True, "sampler": "gp", "anchors": False}
    source = optuna_study(search=search, constraints=["attack_accuracy_verified <= 0.5"])
    for number in range(12):
        figures = {"validation_accuracy": number / 20, "attack_accuracy_verified": 0.1}
        screening = {"reason": "trial 0 dominates it even so"} if number % 2 else None
        metrics = {"validation_accuracy": number / 20} if screening else figures
        told = result(0.5, metrics=metrics, screening=screening)
        assert source.tell(source.ask().number, told) == ""
    assert source.ask().number == 12


def test_a_knob_that_the_stored_study_lacks_is_no_change_at_its_default(optuna_study):
    knobs = TRIAL | {"target": {"architecture": "small_cnn"}}
    trial = document(load_trial(knobs))
    source = optuna_study(trial=trial)
    source.ask()
    stored = source._optuna.user_attrs["identity"]
    assert stored["trial"]["target"].pop("momentum") == 0.9
    source._optuna.set_user_attr("identity", stored)
    optuna_study(trial=trial)
    other = {**trial, "target": {**trial["target"], "momentum": 0.5}}
    with pytest.raises(ConfigError, match=r"since it began: trial\.target\.momentum: 0\.9 -> 0\.5; undo"):
        optuna_study(trial=other)
    stored["trial"]["target"]["unknown"] = 1  # written by a newer version: compared as it stands
    source._optuna.set_user_attr("identity", stored)
    with pytest.raises(ConfigError, match=r"trial\.target\.unknown: 1 -> nothing"):
        optuna_study(trial=trial)


def test_a_judge_more_or_another_one_is_a_changed_study_that_names_it(optuna_study):
    def trial(*judges):
        return {"judge": judges[0] if len(judges) == 1 else list(judges)}

    first, other = {"kind": "classifier", "epochs": 5}, {"kind": "onnx", "path": "e.onnx"}
    optuna_study(trial=trial(first, other)).ask()
    optuna_study(trial=trial(first, other))
    for changed, said in (
        (trial(first), r"began: trial\.judge\.1: 'onnx' -> nothing; undo"),
        (
            trial(first, {**other, "path": "f.onnx"}),
            r"began: trial\.judge\.1\.path: 'e\.onnx' -> 'f\.onnx'; undo",
        ),
        (trial({**first, "epochs": 6}, other), r"began: trial\.judge\.epochs: 5 -> 6; undo"),
    ):
        with pytest.raises(ConfigError, match=said):
            optuna_study(trial=changed)


FROZEN = {
    "trial": {"image_size": 32, "target": {"architecture": "small_cnn"}, "defense": {"kind": "none"}},
    "space": [
        {"target.freeze_point": {"choice": ["none", "conv3", "conv6"]}},
        {"defense.kind": {"choice": ["none", "bido"]}},
    ],
}


def measured(attacked):
    accuracies = {"test_accuracy": 0.5, "validation_accuracy": 0.5}
    return {"values": {"test_accuracy": 0.5, "attack_accuracy": attacked}, "metrics": accuracies}


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "nsga2"])
def test_a_defense_without_effect_is_not_tried(tmp_path, sampler):
    """BiDO has no term where all of small_cnn is frozen: five assignments are left of six."""
    study = Study(name="frozen", **FROZEN, search=Search(sampler=sampler, trials=20))
    opened = OptunaStudy(study, f"sqlite:///{tmp_path / 'optuna.db'}", tmp_path)
    tried = []
    while request := opened.ask():
        tried.append(request.assignment)
        opened.tell(request.number, measured(0.1 * len(tried)))
    assert len(tried) == 5
    assert {"target.freeze_point": "conv6", "defense.kind": "bido"} not in tried
    assert [trial["number"] for trial in stored_trials(opened._url, "frozen")[1]] == [0, 1, 2, 3, 4]


def test_one_without_effect_that_a_person_queued_says_why_it_was_not_run(tmp_path):
    study = Study(name="frozen", **FROZEN, search=Search(sampler="random", trials=20))
    opened = OptunaStudy(study, f"sqlite:///{tmp_path / 'optuna.db'}", tmp_path)
    first = opened.ask()
    opened.tell(first.number, measured(0.1))
    queued = {"target.freeze_point": "conv6", "defense.kind": "bido"}
    optuna.load_study(study_name="frozen", storage=opened._url).enqueue_trial(queued)
    opened.ask()
    reasons = [
        trial.user_attrs["result"]["reason"]
        for trial in optuna.load_study(study_name="frozen", storage=opened._url).get_trials()
        if trial.state == optuna.trial.TrialState.FAIL
    ]
    assert reasons == ["not run: its defense has no effect there"]


def sources_of(fingerprint, value="people", **more):
    source = {"value": value, "path": f"/{value}", "fingerprint": fingerprint, "people": 3, "images": 9}
    return {"private.root": [source | more]}


def test_a_study_keeps_its_data(cheap, home, result):
    """Before it began they may change; then others are refused, and what was moved is the same."""

    def opened(sources=None, root="people"):
        study = cheap(trial={"private": {"root": root}})
        return OptunaStudy(study, home.storage, home.root, sources=sources)

    opened(sources_of("a"))
    first = opened(sources_of("b"))
    asked = first.ask()
    with pytest.raises(
        ConfigError, match=r"private data \(private.root\): recorded 3 people with 9 images in"
    ):
        opened(sources_of("a"))
    first.tell(asked.number, result(0.5))
    assert opened(sources_of("b")).complete == 1
    assert opened(sources_of("b", "elsewhere"), "elsewhere").complete == 1
    with pytest.raises(ConfigError, match=r"trial\.private\.root: 'people' -> 'elsewhere'"):
        opened(sources_of("c", "elsewhere"), "elsewhere")
    with pytest.raises(ConfigError, match="now nothing at /people"):
        opened(sources_of(None))
    assert opened().complete == 1  # whoever does not look at the data


def test_a_complete_study_opens_without_its_data(cheap, home, result):
    study = cheap(search={"trials": 1})
    source = OptunaStudy(study, home.storage, home.root, sources=sources_of("a"))
    source.tell(source.ask().number, result(0.5))
    assert OptunaStudy(study, home.storage, home.root, sources=sources_of(None)).finished
    with pytest.raises(ConfigError, match="must keep its data"):
        OptunaStudy(study, home.storage, home.root, sources=sources_of("b"))


def test_an_older_study_knows_no_data_until_they_are_recorded(cheap, home):
    study = cheap()
    OptunaStudy(study, home.storage, home.root).ask()
    source = OptunaStudy(study, home.storage, home.root, sources=sources_of("a"))
    assert not source.sources_recorded
    source.record_sources()
    assert source.sources_recorded
    with pytest.raises(ConfigError, match="must keep its data"):
        OptunaStudy(study, home.storage, home.root, sources=sources_of("b"))


def apart(tested, checked, attacked):
    """Return the changes of a result whose accuracies on test and validation images differ."""
    return {
        "values": {"test_accuracy": tested, "attack_accuracy": attacked},
        "metrics": {"validation_accuracy": checked, "knn_distance": 2.0},
    }


def test_the_search_sees_validation_images_alone(optuna_study, home, result):
    limits = {"constraints": ["test_accuracy >= 0.7"], "search": {"trials": 6, "screening": True}}
    source = optuna_study(**limits)
    for tested, checked in ((0.9, 0.6), (0.6, 0.8)):
        request = source.ask()
        assert source.values(result(0.5, **apart(tested, checked, 0.3)))["test_accuracy"] == tested
        assert source.tell(request.number, result(0.5, **apart(tested, checked, 0.3))) == ""
    _, trials = stored_trials(home.storage, "cheap")
    assert [trial["values"] for trial in trials] == [[0.6, 0.3], [0.8, 0.3]]
    violations = [trial["violations"] for trial in trials]
    assert [list(violation) for violation in violations] == [["validation_accuracy >= 0.7"]] * 2
    assert [violation["validation_accuracy >= 0.7"] for violation in violations] == pytest.approx([0.1, -0.1])
    rival = {"number": 1, "values": {"validation_accuracy": 0.8, "attack_accuracy": 0.3}}
    assert source.ask().options == {"rivals": [rival]}
    assert source._optuna.metric_names == ["validation_accuracy", "attack_accuracy"]
    assert source.notes["identity"]["accuracy"] == "validation"


def test_a_trial_without_a_validation_accuracy_has_no_result(optuna_study, result):
    source = optuna_study()
    bare = result(0.5, metrics={"validation_accuracy": None})
    assert "'validation_accuracy': None" in source.tell(source.ask().number, bare)
    source = optuna_study(name="on_test", search={"accuracy": "test"})
    assert source.tell(source.ask().number, bare) == ""


def test_a_study_of_an_older_version_goes_on_as_it_began(optuna_study, home, result):
    """Its definition names no accuracy: it searched on test images."""
    older = optuna_study(search={"trials": 6, "accuracy": "test"})
    older.tell(older.ask().number, result(0.5, **apart(0.9, 0.6, 0.3)))
    assert "accuracy" not in older.notes["identity"]
    again = optuna_study()  # the study file says nothing of it
    assert again.study.search.accuracy == "test"
    again.tell(again.ask().number, result(0.5, **apart(0.8, 0.5, 0.3)))
    assert [trial["values"][0] for trial in stored_trials(home.storage, "cheap")[1]] == [0.9, 0.8]
    with pytest.raises(
        ConfigError, match=r"changed since it began: search\.accuracy: 'test' -> 'validation'"
    ):
        optuna_study(search={"trials": 6, "accuracy": "validation"})


def test_a_study_on_validation_images_stays_one(optuna_study, result):
    source = optuna_study()
    source.tell(source.ask().number, result(0.5))
    assert optuna_study().study.search.accuracy == "validation"
    with pytest.raises(
        ConfigError, match=r"changed since it began: search\.accuracy: 'validation' -> 'test'"
    ):
        optuna_study(search={"trials": 6, "accuracy": "test"})


def test_objectives_in_another_order_are_the_same_study_and_each_value_keeps_its_place(
    optuna_study, home, result
):
    """Optuna knows directions and values by place alone."""
    objectives = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
    turned = dict(reversed(objectives.items()))
    search = {"trials": 6, "screening": True}
    first = optuna_study(objectives=objectives, search=search)
    assert first.tell(first.ask().number, result(0.5, **apart(0.9, 0.8, 0.3))) == ""
    again = optuna_study(objectives=turned, search=search)
    assert list(again.study.objectives.items()) == list(objectives.items())
    for checked, attacked in ((0.7, 0.2), (0.6, 0.4)):  # the second is beaten by both
        assert again.tell(again.ask().number, result(0.5, **apart(0.5, checked, attacked))) == ""
    names, trials = stored_trials(home.storage, "cheap")
    assert list(names) == list(objectives)
    assert [trial["values"] for trial in trials] == [[0.8, 0.3], [0.7, 0.2], [0.6, 0.4]]
    records = study_records(home, "cheap")
    assert [trial.on_front for trial in records.trials] == [True, True, False]
    rivals = [
        {"number": number, "values": {"validation_accuracy": checked, "attack_accuracy": attacked}}
        for number, checked, attacked in ((0, 0.8, 0.3), (1, 0.7, 0.2))
    ]
    for source in (again, optuna_study(objectives=turned, search=search)):
        assert source.ask().options == {"rivals": rivals}
    with pytest.raises(ConfigError, match=r"objectives.test_accuracy: 'maximize' -> 'minimize'"):
        optuna_study(objectives={**turned, "test_accuracy": "minimize"}, search=search)
