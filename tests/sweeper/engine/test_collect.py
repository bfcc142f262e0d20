from records import as_study

from sweeper.engine.collect import collect
from trainables.storage.remote import RemoteStore
from trainables.storage.store import Store


def test_the_driver_gets_what_reports_read_and_no_more(tmp_path):
    mirror = RemoteStore(str(tmp_path / "shared"))
    worker, driver = Store(tmp_path / "worker", mirror), Store(tmp_path / "driver", mirror)
    made = {
        (stage, seed): worker.get(stage, {"seed": seed}, lambda folder: {}).path
        for stage in ("target", "attack", "judge", "verdict", "opinion")
        for seed in (0, 1, 2)
    }

    def trial(seed, on_front, **more):
        return {
            "on_front": on_front,
            "artifacts": {stage: str(made[stage, seed]) for stage in ("target", "attack", "judge")},
            **more,
        }

    again = {"replicate": 1, "artifacts": {"target": str(made["target", 2])}}
    records = as_study({"trials": [trial(0, True, replicates=[again]), trial(1, False)]})
    collect(records, driver)
    here = {(stage, seed) for (stage, seed), path in made.items() if driver.find(stage, path.name)}
    assert here == {
        ("target", 0),
        ("attack", 0),
        ("target", 2),
        *((stage, seed) for stage in ("judge", "verdict", "opinion") for seed in (0, 1, 2)),
    }
    collect(records, Store(tmp_path / "alone", None))
    assert not (tmp_path / "alone").exists()
