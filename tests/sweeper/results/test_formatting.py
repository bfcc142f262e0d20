import pytest

from sweeper.results import formatting as words


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
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (999, "999"), (1234, "1.23 k"), (16_753_896, "16.8 M")]
)
def test_count(number, text):
    assert words.count(number) == text


def test_values_have_the_unit_of_their_name():
    assert words.value("test_accuracy", 0.8125) == "81.2 %"
    assert words.value("attack_accuracy_top5", 1) == "100.0 %"
    assert words.value("knn_distance", 1234.56) == "1235"
    assert words.value("attack_accuracy_std", None) == "–"


def trial(defense, point, **params):
    return {"defense": defense, "freeze_point": point, "params": params}


def test_a_trial_is_described_by_what_protects_it():
    bido = trial("bido", "block3", **{"defense.kind": "bido", "defense.measure": "hsic"})
    bido["params"]["defense.lambda_x"] = 0.05
    assert words.defense(bido) == "bido hsic, λx 0.05"
    assert words.short(bido) == "block3"
    assert not words.undefended(bido)
    bare = trial("none", "none")
    assert words.undefended(bare) and words.short(bare) == "undefended" and words.defense(bare) == "none"
    assert words.short(trial("mid", "none")) == "unfrozen"


def test_a_trial_without_results_is_described_by_its_parameters():
    failed = {"params": {"defense.kind": "mid", "defense.beta": 0.1, "target.freeze_point": "stem"}}
    assert words.family(failed) == "mid"
    assert words.defense(failed) == "mid, β 0.1"
    assert words.freeze_point(failed) == "stem"


def test_one_seed_is_not_seeds():
    assert [words.fresh_seeds(n) for n in (1, 3)] == ["1 fresh seed", "3 fresh seeds"]
