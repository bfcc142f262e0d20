"""What must not grow with the number of trials."""

import optuna

from sweeper.search.optuna_study import OptunaStudy


def waiting(home):
    storage = optuna.storages.RDBStorage(home.storage)
    study = optuna.load_study(study_name="cheap", storage=storage)
    return sum(t.state == optuna.trial.TrialState.WAITING for t in study.get_trials(deepcopy=False))


def test_a_large_grid_is_queued_as_it_is_walked_also_over_restarts(home, cheap, result):
    space = [{"a": {"ordered": list(range(12))}}, {"b": {"choice": [f"b{i}" for i in range(12)]}}]
    study = cheap(space=space, search={"sampler": "grid"})
    expected = [(a, f"b{i}") for a in range(12) for i in range(12)]
    found = []
    for count in (3, 7, 10):
        book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
        assert waiting(home) == 0
        for _ in range(count):
            asked = book.ask()
            found.append((asked.assignment["a"], asked.assignment["b"]))
            assert waiting(home) == 0
            book.tell(asked.number, result(0.5) | {"params": asked.assignment})
    assert found == expected[:20]


def test_a_grid_that_was_killed_while_it_was_queued_goes_on(home, cheap, result):
    study = cheap(space=[{"a": {"ordered": list(range(4))}}], search={"sampler": "grid"})
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    book._optuna.enqueue_trial({"a": 0})  # killed before it was handed out
    book = OptunaStudy(study, home.storage, home.study("cheap") / "history")
    found = []
    while (asked := book.ask()) is not None:
        found.append(asked.assignment["a"])
        book.tell(asked.number, result(0.5) | {"params": asked.assignment})
    assert found == [0, 1, 2, 3] and book.finished
