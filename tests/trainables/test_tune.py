import pytest

from trainables.tune import TuneTrial


class Mine(TuneTrial):
    def setup(self, config):
        super().setup(config, run=run)


def run(trial, *, store_root, device, report):
    report("target", 1, 2)
    return {"x": trial["x"], "store": store_root, "device": device}


def test_one_actor_runs_trial_after_trial():
    actor = Mine({"trial": {"x": 1}, "store_root": "here", "threads": None})
    first = actor.train()
    while not first["done"]:
        first = actor.train()
    assert first["status"].result == {"x": 1, "store": "here", "device": "cpu"}
    assert actor.reset_config({"trial": {"x": 2}, "store_root": "here"})
    second = actor.train()
    while not second["done"]:
        second = actor.train()
    assert second["status"].result["x"] == 2


def test_options_reach_what_runs():
    got = []

    class Watched(TuneTrial):
        def setup(self, config):
            super().setup(config, run=lambda trial, *, rivals=None, **_: got.append(rivals) or {})

    actor = Watched({"trial": {}, "store_root": "here", "options": {"rivals": [1, 2]}})
    while not actor.train()["done"]:
        pass
    actor.reset_config({"trial": {}, "store_root": "here"})
    while not actor.train()["done"]:
        pass
    assert got == [[1, 2], None]


def test_an_actor_that_is_given_another_trial_before_its_first_step_runs_only_that_one():
    ran = []

    class Watched(TuneTrial):
        def setup(self, config):
            super().setup(config, run=lambda trial, **_: ran.append(trial["x"]) or {})

    actor = Watched({"trial": {"x": 1}, "store_root": "here", "threads": None})
    actor.reset_config({"trial": {"x": 2}, "store_root": "here"})
    while not actor.train()["done"]:
        pass
    assert ran == [2]


def test_it_needs_something_to_run():
    with pytest.raises(ValueError, match="with_parameters"):
        TuneTrial({})
