import json

import pytest

import sweeper
from sweeper.ledger import Ledger
from sweeper.records import study_names, study_records
from trainables.errors import ConfigError


@pytest.fixture
def filled(home, cheap, result):
    """A home with one study: three complete trials, one failed, one running."""
    book = Ledger(cheap(), home.storage, home.study("cheap") / "history")
    for x, extra in ((0.5, {}), (0.9, {}), (0.4, {"metrics": {"knn_distance": float("nan")}})):
        one = book.ask()
        values = {"test_accuracy": x, "attack_accuracy": 0.2 if x < 0.9 else 0.6}
        book.tell(one.number, result(x, values=values, **extra) | {"params": one.assignment})
    one = book.ask()
    book.fail(one.number, one.assignment, "out of memory")
    book.ask()
    return home


def test_records_have_the_shape_that_front_prints(filled):
    records = study_records(filled, "cheap")
    text = json.dumps(records, allow_nan=False)
    assert json.loads(text) == records
    assert list(records)[:5] == ["study", "objectives", "reference_point", "hypervolume", "trials"]
    assert records["reference_point"] == {"test_accuracy": 0.0, "attack_accuracy": 1.0}
    states = [t["state"] for t in records["trials"]]
    assert states == ["complete"] * 3 + ["failed", "running"]
    # (0.5, 0.2) and (0.9, 0.6) against (0, 1): 0.9 x 0.4 and 0.5 x (0.8 - 0.4)
    assert records["hypervolume"] == pytest.approx(0.9 * 0.4 + 0.5 * 0.4)
    assert [t["on_front"] for t in records["trials"]] == [True, True, False, False, False]
    first = records["trials"][0]
    assert first["params"] == {"x": 0.5, "k": "a"}
    assert (first["trained_params"], first["total_params"]) == (10, 20)
    assert first["seconds"] == {"target": 0.5, "attack": 0.25}
    assert first["interval"]["attack_accuracy"] == [0.125, 0.5]
    assert first["history"] == {"target": [{"loss": 2.0}, {"loss": 1.0}]}
    assert records["trials"][2]["metrics"] == {"knn_distance": None}
    assert records["trials"][3]["reason"] == "out of memory"


def test_a_notebook_gets_frames(filled):
    study = sweeper.open_study("cheap", str(filled.root))
    frame = study.trials()
    assert len(frame) == 5
    assert {"number", "state", "x", "k", "test_accuracy", "attack_accuracy_low", "seconds.target"} <= set(
        frame
    )
    assert list(study.front()["test_accuracy"]) == [0.9, 0.5]
    assert study.records()["study"] == "cheap"


def test_studies_that_do_not_exist_name_the_nearest(filled):
    assert study_names(filled) == ["cheap"]
    with pytest.raises(ConfigError, match=r"got 'cheep'; did you mean 'cheap'\?"):
        study_records(filled, "cheep")


def test_asking_an_empty_home_creates_nothing(home):
    with pytest.raises(ConfigError, match="none yet"):
        study_records(home, "cheap")
    assert list(home.root.iterdir()) == []
