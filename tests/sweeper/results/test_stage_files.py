import json
from dataclasses import replace

import numpy as np
import pytest
from records import as_trial

from sweeper.results.stage_files import attack_folders, per_identity, per_image, rates_of_seeds
from sweeper.results.trial_record import Replicate


@pytest.fixture
def stored(tmp_path):
    """Return a maker of trials whose verdicts are in a store."""

    def verdict(attack, judge, rates):
        place = tmp_path / "verdict" / f"{attack}-{judge}"
        place.mkdir(parents=True)
        (place / "key.json").write_text(json.dumps({"attack": attack, "judge": judge, "version": 1}))
        (place / "result.json").write_text(json.dumps({"result": {"per_identity": list(rates)}}))

    def make(value, **attacks):
        """attacks: name -> (key, rates); the first is the one that the trial reports."""
        for key, rates in attacks.values():
            verdict(key, "judge0", rates)
        folders = {name: str(tmp_path / "attack" / key) for name, (key, _) in attacks.items()}
        several = {f"attack.{name}": folder for name, folder in folders.items()} if len(folders) > 1 else {}
        artifacts = {
            "attack": next(iter(folders.values())),
            "judge": str(tmp_path / "judge" / "judge0"),
            **several,
        }
        return as_trial({"values": {"attack_accuracy": value}, "artifacts": artifacts})

    return make


def test_the_verdict_of_the_attack_that_a_trial_reports(stored):
    one = stored(0.5, gmi=("k1", [0.0, 1.0, 0.5]))
    two = stored(0.75, kedmi=("k2", [0.5, 1.0]), gmi=("k3", [0.0, 0.0]))
    found = per_identity([one, two])
    assert [rates.tolist() for rates in found] == [[0.0, 1.0, 0.5], [0.5, 1.0]]
    assert attack_folders(one.artifacts).keys() == {""} and attack_folders(two.artifacts).keys() == {
        "kedmi",
        "gmi",
    }


def test_a_mean_over_attacks_is_the_mean_over_their_verdicts(stored):
    trial = stored(0.375, kedmi=("k2", [0.5, 1.0]), gmi=("k3", [0.0, 0.0]))
    assert per_identity([trial])[0].tolist() == [0.25, 0.5]


def test_seeds_are_averaged(stored):
    seeds = [
        Replicate(replicate=seed, values=trial.values, artifacts=trial.artifacts)
        for seed, trial in enumerate(
            (stored(0.5, gmi=("k1", [0.0, 1.0])), stored(1.0, gmi=("k2", [1.0, 1.0])))
        )
    ]
    trial = replace(as_trial({"values": {"attack_accuracy": 0.75}}), replicates=seeds)
    assert per_identity([trial])[0].tolist() == [0.5, 1.0]
    gone = replace(seeds[1], artifacts={})
    assert per_identity([replace(trial, replicates=[seeds[0], gone])]) == [None]


def test_every_seed_has_rates_of_its_own_by_the_rule_of_the_trial_and_by_each_attack(stored):
    seeds = [
        Replicate(
            replicate=number,
            values={**trial.values, "test_accuracy": number / 10},
            artifacts=trial.artifacts,
        )
        for number, trial in (
            (4, stored(0.75, kedmi=("k1", [0.5, 1.0]), gmi=("k2", [0.0, 0.0]))),
            (5, stored(0.25, kedmi=("k3", [0.0, 0.5]), gmi=("k4", [1.0, 0.0]))),
        )
    ]
    trial = as_trial({"values": {"attack_accuracy": 0.5}, "attacks": {"kedmi": {}, "gmi": {}}})
    rows = rates_of_seeds(replace(trial, replicates=seeds), {})
    assert [(row.replicate, row.test_accuracy) for row in rows] == [(4, 0.4), (5, 0.5)]
    assert [row.rates.tolist() for row in rows] == [[0.5, 1.0], [0.0, 0.5]]
    assert [rates.tolist() for rates in rows[1].attacks.values()] == [[0.0, 0.5], [1.0, 0.0]]
    assert list(rows[1].attacks) == ["kedmi", "gmi"]
    gone = replace(seeds[1], artifacts={})
    assert rates_of_seeds(replace(trial, replicates=[seeds[0], gone]), {}) is None
    only = stored(0.5, brep=("k5", [0.5, 0.5]))
    single = replace(
        only,
        attacks={"brep": {}},
        strongest="brep",
        values={"attack_accuracy": 0.5, "test_accuracy": 0.9},
    )
    (row,) = rates_of_seeds(single, {})
    assert (row.replicate, row.attacks["brep"].tolist()) == (0, [0.5, 0.5])


def test_nothing_is_known_of_other_figures_and_missing_files(stored, tmp_path):
    other = stored(0.6, gmi=("k1", [0.0, 1.0]))  # the store says 0.5
    elsewhere = {
        "values": {"attack_accuracy": 0.5},
        "artifacts": {"attack": "/gone/attack/k", "judge": "/gone/judge/j"},
    }
    bare = as_trial({"values": {"attack_accuracy": 0.5}})
    broken = stored(0.5, gmi=("k9", [0.5]))
    (tmp_path / "verdict" / "k9-judge0" / "result.json").write_text("{")
    assert per_identity([other, as_trial(elsewhere), bare, broken, as_trial({})]) == [None] * 5
    assert np.isclose(per_identity([stored(0.5, gmi=("k4", [0.5]))])[0].mean(), 0.5)


def test_the_images_that_a_target_gets_right_are_read_from_its_stage(tmp_path):
    def made(name, right):
        folder = tmp_path / "target" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"result": {"test_correct": right}}))
        return str(folder)

    def trial(accuracy, folder, **changes):
        document = {"number": 0, "values": {"test_accuracy": accuracy}, "artifacts": {"target": folder}}
        return as_trial({**document, **changes})

    first, second = made("a", "1101"), made("b", "1000")
    seeds = [
        {"replicate": n, "values": {"test_accuracy": accuracy}, "artifacts": {"target": folder}}
        for n, (accuracy, folder) in enumerate([(0.75, first), (0.25, second)])
    ]
    rows = per_image(
        [
            trial(0.75, first),
            trial(0.5, first, replicates=seeds),
            trial(0.5, first),  # it says something else than its target's stage
            trial(0.75, str(tmp_path / "gone")),
            trial(1.0, made("old", "")),
        ]
    )
    assert rows[0].tolist() == [1, 1, 0, 1]
    assert rows[1].tolist() == [1, 0.5, 0, 0.5]
    assert rows[2:] == [None, None, None]
