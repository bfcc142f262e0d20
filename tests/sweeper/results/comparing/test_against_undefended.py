import csv
import math
from pathlib import Path

import pytest
from records import as_study, as_trial

from sweeper.results.comparing.against_undefended import NO_COST, against, with_ratios

PUBLISHED = Path(__file__).parents[5] / "shared" / "published" / "results.csv"


def trial(number, accuracy, attack, *, seconds=None, **more):
    values = {"test_accuracy": accuracy, "attack_accuracy": attack}
    return {
        "number": number,
        "values": values,
        "freeze_point": "none",
        "defense": "none",
        "seconds": {} if seconds is None else {"target": seconds},
        **more,
    }


PLAIN = trial(0, 0.89, 0.9567, seconds=2122.0)


def test_the_published_example():
    defended = as_trial(trial(1, 0.8341, 0.7567, seconds=1460.0, freeze_point="conv4"))
    compared = against(as_trial(PLAIN), defended)
    assert compared.delta_ratio == pytest.approx((95.67 - 75.67) / (89.00 - 83.41))
    assert compared.delta_text == "3.58"
    assert f"{compared.training_time_ratio:.2f}" == "0.69"


@pytest.mark.parametrize("accuracy", [0.89, 0.93, 0.89 - 1e-13])
def test_without_a_cost_there_is_no_ratio(accuracy):
    compared = against(as_trial(PLAIN), as_trial(trial(1, accuracy, 0.5, defense="bido")))
    assert compared.delta_ratio is None and compared.delta_text == NO_COST == "n/a (no accuracy cost)"
    assert compared.training_time_ratio is None


def test_a_defense_that_helps_the_attack_has_a_ratio_below_zero():
    compared = against(as_trial(PLAIN), as_trial(trial(1, 0.88, 0.9667, defense="mid")))
    assert compared.delta_ratio == pytest.approx(-1)


@pytest.mark.parametrize(
    ("plain", "defended"),
    [
        (None, trial(1, 0.8, 0.5, defense="bido")),
        (PLAIN, trial(1, 0.8, 0.5)),  # undefended itself
        (PLAIN, trial(1, 0.8, 0.5, defense="bido", state="failed")),
        (PLAIN, {**trial(1, 0.8, 0.5, defense="bido"), "values": {"test_accuracy": 0.8}}),
        ({**PLAIN, "values": {"attack_accuracy": 0.9}}, trial(1, 0.8, 0.5, defense="bido")),
    ],
)
def test_without_both_there_is_nothing_to_compare(plain, defended):
    assert against(None if plain is None else as_trial(plain), as_trial(defended)) is None


def test_records_have_it_among_the_metrics_of_defended_trials_where_it_is_defined():
    rows = [
        PLAIN,
        trial(1, 0.8341, 0.7567, seconds=1460.0, defense="bido", metrics={"chance": 0.1}),
        trial(2, 0.91, 0.7, seconds=2122.0, freeze_point="conv1"),
    ]
    plain, paid, free = with_ratios(as_study({"trials": rows})).trials
    assert plain.metrics == {}
    assert paid.metrics["chance"] == 0.1 and round(paid.metrics["delta_ratio"], 2) == 3.58
    assert free.metrics == {"training_time_ratio": 1.0}


def test_published_ratios_follow_from_the_accuracies_beside_them():
    if not PUBLISHED.is_file():
        pytest.skip("the published tables are not here")
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    compared = 0
    columns = ("source_table", "attack", "private", "public", "architecture")
    for row in rows:
        if not row["delta_ratio"] or "recomputed" in row["notes"]:  # printed otherwise than it follows
            continue
        same = [r for r in rows if all(r[c] == row[c] for c in columns) and r["defense"] == "NoDef"]
        plain, defended = (
            as_trial(trial(n, float(r["acc"]) / 100, float(r["att_acc_top1"]) / 100, defense=d))
            for n, (r, d) in enumerate([(same[0], "none"), (row, "bido")])
        )
        assert math.isclose(against(plain, defended).delta_ratio, float(row["delta_ratio"]), abs_tol=0.0061)
        compared += 1
    assert compared == 36
