import pytest
from records import as_trial

from sweeper.results import formatting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_duration(seconds, text):
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (999, "999"), (1234, "1.23 k"), (16_753_896, "16.8 M")]
)
def test_count(number, text):
    assert formatting.count(number) == text


def test_values_have_the_unit_of_their_name():
    assert formatting.value("test_accuracy", 0.8125) == "81.2 %"
    assert formatting.value("attack_accuracy_top5", 1) == "100.0 %"
    assert formatting.value("knn_distance", 1234.56) == "1235"
    assert formatting.value("attack_accuracy_std", None) == "–"


def trial(defense, point, **params):
    return as_trial({"defense": defense, "freeze_point": point, "params": params})


def test_a_trial_is_described_by_what_protects_it():
    params = {"defense.kind": "bido", "defense.measure": "hsic", "defense.lambda_x": 0.05}
    bido = trial("bido", "block3", **params)
    assert formatting.defense(bido) == "bido hsic, λx 0.05"
    assert formatting.short(bido) == "block3"
    assert not formatting.undefended(bido)
    bare = trial("none", "none")
    assert (
        formatting.undefended(bare)
        and formatting.short(bare) == "undefended"
        and formatting.defense(bare) == "none"
    )
    assert formatting.short(trial("mid", "none")) == "unfrozen"


def test_a_trial_without_results_is_described_by_its_parameters():
    params = {"defense.kind": "mid", "defense.beta": 0.1, "target.freeze_point": "stem"}
    failed = as_trial({"state": "failed", "params": params})
    assert formatting.family(failed) == "mid"
    assert formatting.defense(failed) == "mid, β 0.1"
    assert formatting.freeze_point(failed) == "stem"


def test_one_seed_is_not_seeds():
    assert [formatting.fresh_seeds(n) for n in (1, 3)] == ["1 fresh seed", "3 fresh seeds"]
