from ray.tune.search import Searcher

from sweeper.engine.searcher import StudySearch
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_trials
from trainables.errors import DiskError
from trainables.runtime.background import JobStatus


def searcher(optuna_study, at_most=2, **more):
    events = []
    search = StudySearch(
        optuna_study,
        {"store_root": "store"},
        at_most=lambda: at_most,
        on_start=lambda request: events.append(("start", request.number)),
        on_step=lambda request, status: events.append((status.stage, request.number)),
        on_end=lambda request, record: events.append((record["state"], request.number)),
        **more,
    )
    return search, events


def test_trials_are_handed_out_told_and_ended(home, cheap, result):
    optuna_study = OptunaStudy(cheap(trial={"seed": 3}, search={"trials": 2}), home.storage, home.root)
    search, events = searcher(optuna_study)
    first, second = search.suggest("t0"), search.suggest("t1")
    assert first["trial"]["seed"] == 3 and 0 <= first["trial"]["x"] <= 1
    assert first["store_root"] == "store"
    assert search.suggest("t2") is None  # two at once
    search.on_trial_result("t0", {"done": False, "status": JobStatus("running", "target", 1, 2)})
    search.on_trial_complete("t0", {"status": JobStatus("complete", result=result(0.5))})
    search.on_trial_complete("t1", error=True)
    third = search.suggest("t3")
    search.on_trial_complete("t3", {"status": JobStatus("complete", result=result(0.6))})
    assert search.suggest("t4") == Searcher.FINISHED
    numbers = [first["number"], second["number"], third["number"]]
    assert events == [
        ("start", numbers[0]),
        ("start", numbers[1]),
        ("target", numbers[0]),
        ("complete", numbers[0]),
        ("failed", numbers[1]),
        ("start", numbers[2]),
        ("complete", numbers[2]),
    ]
    _, trials = stored_trials(home.storage, "cheap")
    assert [t["state"] for t in trials] == ["complete", "failed", "complete"]
    assert "worker died (killed, or out of memory)" in trials[1]["result"]["reason"]


def test_a_trial_whose_worker_died_is_handed_out_again_so_many_times(home, cheap, result):
    optuna_study = OptunaStudy(cheap(search={"trials": 2}), home.storage, home.root)
    search, _ = searcher(optuna_study, at_most=1, retries=2)
    first = search.suggest("t0")
    for death in range(2):
        search.on_trial_complete(f"t{death}", error=True)
        assert search.suggest(f"t{death + 1}") == first
    search.on_trial_complete("t2", {"status": JobStatus("complete", result=result(0.5))})
    second = search.suggest("t3")
    for death in range(3, 6):
        search.on_trial_complete(f"t{death}", error=True)
        third = search.suggest(f"t{death + 1}")
    assert third["number"] not in (first["number"], second["number"])
    _, trials = stored_trials(home.storage, "cheap")
    assert [t["state"] for t in trials] == ["complete", "failed", "running"]


def test_trials_whose_workers_are_lost_are_handed_out_again_and_one_alone_is_charged(home, cheap, result):
    optuna_study = OptunaStudy(cheap(search={"trials": 2}), home.storage, home.root)
    search, _ = searcher(optuna_study, retries=1)
    assert search.lost() == 0
    for _ in range(4):  # more often than a trial may die
        both = [search.suggest("t0"), search.suggest("t1")]
        assert search.lost() == 2
        assert [search.suggest("t0"), search.suggest("t1")] == both
        search.lost()
    first = search.suggest("t0")
    assert search.lost() == 1  # alone: its first death
    second = search.suggest("t1")
    search.on_trial_complete("t1", {"status": JobStatus("complete", result=result(0.5))})
    assert search.suggest("t2") == first and second["number"] != first["number"]
    assert search.lost() == 1
    _, trials = stored_trials(home.storage, "cheap")
    assert sorted(t["state"] for t in trials) == ["complete", "failed"]


def test_a_trial_whose_worker_died_stays_open_when_the_sweep_stops(home, cheap):
    search, _ = searcher(OptunaStudy(cheap(), home.storage, home.root), retries=2)
    first = search.suggest("t0")
    search.on_trial_complete("t0", error=True)
    search.stop()
    assert search.suggest("t1") == Searcher.FINISHED
    assert OptunaStudy(cheap(), home.storage, home.root).ask().number == first["number"]


def test_a_full_disk_ends_the_sweep_and_leaves_the_trial_open(home, cheap, result):
    optuna_study = OptunaStudy(cheap(), home.storage, home.root)
    search, _ = searcher(optuna_study)
    first, second = search.suggest("t0"), search.suggest("t1")
    full = JobStatus("failed", reason="no space left", cause="disk")
    search.on_trial_complete("t0", {"status": full})
    assert isinstance(search.failure, DiskError)
    assert search.suggest("t2") is None
    search.on_trial_complete("t1", {"status": JobStatus("complete", result=result(0.6))})
    assert search.suggest("t3") == Searcher.FINISHED
    again = OptunaStudy(cheap(), home.storage, home.root)
    assert again.ask().number == first["number"]
    assert second["number"] != first["number"]


def test_a_database_that_fails_ends_the_sweep(home, cheap, result, monkeypatch):
    optuna_study = OptunaStudy(cheap(), home.storage, home.root)
    search, _ = searcher(optuna_study)

    def fail():
        raise DiskError("database or disk is full")

    monkeypatch.setattr(optuna_study, "ask", fail)
    assert search.suggest("t0") == Searcher.FINISHED
    assert isinstance(search.failure, DiskError)


def test_what_a_trial_gets_beside_its_document_and_what_a_screened_one_gives(home, cheap, result):
    optuna_study = OptunaStudy(cheap(search={"trials": 2, "screening": True}), home.storage, home.root)
    search, _ = searcher(optuna_study, at_most=1)
    assert search.suggest("t0")["options"] == {"rivals": []}
    screening = {"reason": "trial 9 is better even so", "test_accuracy": 0.5, "attack_accuracy": 0.25}
    seen = []
    search._on_end = lambda request, record: seen.append(record)
    search.on_trial_complete("t0", {"status": JobStatus("complete", result=result(0.5, screening=screening))})
    (record,) = seen
    assert (record["state"], record["values"], record["reason"]) == ("screened", {}, "")
    plain, _ = searcher(OptunaStudy(cheap(name="plain"), home.storage, home.root))
    assert "options" not in plain.suggest("t0")
