import csv
import io

import pandas
import pytest

from sweeper.results.comparing.compare import compare
from sweeper.results.comparing.comparison import Comparison, compare_studies, load, rows
from sweeper.results.comparing.published import points
from sweeper.results.record_types import StudyRecords
from sweeper.search.optuna_study import OptunaStudy
from trainables.errors import ConfigError

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


@pytest.fixture
def stored(home, cheap, result):
    """Return a maker of stored studies of three trials."""

    def make(name, xs, **changes):
        study = cheap(name=name, search={"trials": len(xs)}, **changes)
        book = OptunaStudy(study, home.storage, home.study(name) / "history")
        for x in xs:
            asked = book.ask()
            book.tell(asked.number, result(x) | {"params": asked.assignment})

    return make


def volume(xs):
    """Return the area under the steps of the front (x, x * x), against (0, 1)."""
    total, before = 0.0, 0.0
    for x in sorted(xs):
        total += (x - before) * (1 - x * x)
        before = x
    return total


def test_stored_studies_come_with_the_document_that_they_keep(home, stored):
    stored("one", [0.5])
    (record,) = load(home, ["one"])
    assert record.study == "one" and record.definition["trial"] == {}
    assert record.trials[0].history is None
    assert load(home, ["one"], history=True)[0].trials[0].history
    with pytest.raises(ConfigError, match="did you mean 'one'"):
        load(home, ["onn"])


def test_tables_for_pandas(home, stored):
    stored("a", [0.3, 0.6, 0.9])
    stored("b", [0.5, 0.7])
    found = compare_studies("a", "b", home=str(home.root), published=["attack=KEDMI,public=FFHQ"])
    table = found.studies()
    measured = table[table["kind"] == "measured"].set_index("study")
    for name, xs in (("a", [0.3, 0.6, 0.9]), ("b", [0.5, 0.7])):
        assert measured.loc[name, "hypervolume"] == pytest.approx(volume(xs))
        assert measured.loc[name, "seconds"] == pytest.approx(0.75 * len(xs))
        assert measured.loc[name, "hypervolume_low"] < measured.loc[name, "hypervolume_high"]
        per_hour = volume(xs) / (0.75 * len(xs) / 3600)
        assert measured.loc[name, "hypervolume_per_hour"] == pytest.approx(per_hour)
    assert measured.loc["a", "dominated_by_b"] == measured.loc["b", "dominated_by_a"] == 0
    published = points("attack=KEDMI,public=FFHQ")
    assert list(table[table["kind"] == "published"]["study"]) == [setup.study for setup in published]
    levels = found.attainment()
    at = levels[(levels["study"] == "a") & (levels["test_accuracy"] == 0.8)].iloc[0]
    assert at["attack_accuracy"] == pytest.approx(0.81) and at["trial"] == 2
    assert measured.loc["a", "attack_accuracy_at_0.8"] == pytest.approx(0.81)
    assert pandas.isna(measured.loc["b", "attack_accuracy_at_0.8"])
    (pair,) = found.pairs().to_dict("records")
    assert (pair["first"], pair["second"]) == ("a", "b")
    assert pair["lead"] == pytest.approx(volume([0.3, 0.6, 0.9]) - volume([0.5, 0.7]))
    assert pair["lead_low"] < pair["lead_corrected"] < pair["lead_high"]
    assert found.outcome.endswith(".")


def test_rows_survive_csv(home, stored):
    stored("a", [0.3, 0.6])
    stored("b", [0.5])
    table = rows(compare(load(home, ["a", "b"])))
    names = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(table)
    read = pandas.read_csv(io.StringIO(text.getvalue()))
    assert list(read["study"]) == ["a", "b"]
    assert read["hypervolume"].tolist() == pytest.approx([volume([0.3, 0.6]), volume([0.5])])


def test_studies_under_other_conditions_need_force(home, stored):
    stored("a", [0.3], trial={"seed": 0})
    stored("b", [0.5], trial={"seed": 1})
    with pytest.raises(ConfigError, match=r"seed: 0 in 'a', 1 in 'b'; --force"):
        compare_studies("a", "b", home=str(home.root))
    found = compare_studies("a", "b", home=str(home.root), force=True)
    assert any("different conditions: seed: 0 in 'a', 1 in 'b'" in note for note in found.found["notes"])


def test_nothing_measured_gives_tables_too():
    found = Comparison(compare([StudyRecords(study=name, objectives=OBJECTIVES) for name in "ab"]))
    assert found.studies()["hypervolume"].tolist() == [0, 0]
    assert found.attainment().empty and found.pairs()["lead"].tolist() == [0]
