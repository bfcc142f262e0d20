import pytest
import torch
from records import as_study, as_trial

from sweeper.results import formatting
from sweeper.results.record_types import StudyRecords


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
    ("number", "text"),
    [
        (None, "–"),
        (999, "999"),
        (1234, "1.23 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (16_753_896, "16.8 M"),
    ],
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
    part = trial("none", "all but conv1")
    assert not formatting.undefended(part) and formatting.short(part) == "all but conv1"


def test_a_list_is_named_by_its_members():
    assert formatting.format_number(["conv1", 0.123456]) == "conv1, 0.1235"
    assert formatting.format_number(()) == "nothing"


def test_what_else_was_varied_is_named_by_its_last_word_where_that_is_enough():
    assert formatting.other_knobs(trial("bido", "block3", **{"defense.lambda_x": 0.05})) == ""
    two = {"pretraining.epochs": 3, "target.epochs": 12, "pretraining.data.population": "near"}
    described = formatting.other_knobs(trial("none", "none", **two, **{"target.learning_rate": 0.12345}))
    assert described == "pretraining.epochs 3, target.epochs 12, population near, learning_rate 0.123"
    assert formatting.other_knobs(trial("none", "none", **{"target.trained": ("a",)})) == ""


def test_a_trial_without_results_is_described_by_its_parameters():
    params = {"defense.kind": "mid", "defense.beta": 0.1, "target.freeze_point": "stem"}
    failed = as_trial({"state": "failed", "params": params})
    assert formatting.family(failed) == "mid"
    assert formatting.defense(failed) == "mid, β 0.1"
    assert formatting.freeze_point(failed) == "stem"
    part = as_trial({"state": "failed", "params": {"target.trained": ["stem", "last"]}})
    assert formatting.freeze_point(part) == "all but stem, last" and not formatting.undefended(part)
    assert formatting.undefended(as_trial({"state": "failed", "params": {"target.trained": None}}))


def test_a_defended_trial_says_whether_an_adaptive_attack_ran():
    document = {"attack": {"kind": "gmi"}, "defense": {"kind": "none"}}
    record = as_study({"definition": {"trial": document}})
    defended, frozen = trial("bido", "none"), trial("none", "stem")
    assert formatting.non_adaptive(record, trial("none", "none")) == ""
    assert formatting.non_adaptive(record, defended).startswith("non-adaptive: one who knows of 'bido'")
    assert formatting.non_adaptive(record, frozen).startswith("non-adaptive: one who knows of freezing")
    part = formatting.non_adaptive(record, trial("none", "all but stem"))
    assert part.startswith("non-adaptive: one who knows of freezing")
    searched = trial("bido", "none", **{"attack.kind": "lomma_gmi"})
    assert formatting.non_adaptive(record, searched) == ""
    assert formatting.non_adaptive(record, defended, {"attack": [{"attack": {"kind": "lomma_gmi"}}]}) == ""
    assert formatting.non_adaptive(as_study({}), defended) == ""  # nobody knows what attacked it


def test_one_seed_is_not_seeds():
    assert [formatting.fresh_seeds(n) for n in (1, 3)] == ["1 fresh seed", "3 fresh seeds"]


CONTROLS = {
    "null": {"rate": 0.025, "interval": [0.01, 0.05]},
    "undefended": {"attack_accuracy": 0.6, "interval": [0.5, 0.7], "test_accuracy": 0.9},
    "ceiling": {"attack_accuracy": 0.8, "interval": [0.7, 0.9], "test_accuracy": 0.95},
    "positive": None,
    "power": {"null": 0.025, "undefended": 0.6, "ceiling": 0.8, "power": 0.742, "interval": [0.6, 0.9]},
    "verdict": {"verdict": "tells", "reason": "0.600 is clear of 0.025", "remedies": []},
}


def test_controls_are_rows_from_the_floor_on():
    rows = formatting.controls(CONTROLS)
    assert [(name, accuracy, rate, ends) for name, _, accuracy, rate, ends in rows] == [
        ("floor", None, 0.025, [0.01, 0.05]),
        ("undefended", 0.9, 0.6, [0.5, 0.7]),
        ("ceiling", 0.95, 0.8, [0.7, 0.9]),
    ]
    assert formatting.controls(None) == []


def test_intervals_of_controls_hold_the_noise_of_seeds_but_for_the_floor():
    """They are those that the verdict is by."""
    wide = formatting.controls({**CONTROLS, "with_seeds": {"undefended": [0.1, 0.95]}})
    assert [row[:4] for row in wide] == [row[:4] for row in formatting.controls(CONTROLS)]
    assert [row[4] for row in wide] == [[0.01, 0.05], [0.1, 0.95], [0.7, 0.9]]


def test_a_verdict_is_a_sentence_with_power_or_remedies():
    study = StudyRecords(study="s", objectives={}, controls=CONTROLS)
    assert formatting.verdict(study) == (
        "This study tells: 0.600 is clear of 0.025; its attack gets 0.74 (0.60 to 0.90) of the way from "
        "floor to ceiling."
    )
    unclear = {"verdict": "cannot tell", "reason": "at its floor", "remedies": ["people", "prior"]}
    study = StudyRecords(study="s", objectives={}, controls={"verdict": unclear, "power": None})
    assert formatting.verdict(study) == (
        "This study cannot tell: at its floor; what would help: attack more people, a prior that can show "
        "the people."
    )
    assert formatting.verdict(StudyRecords(study="s", objectives={})) == ""


@pytest.mark.parametrize("people", [1, 40, 60, 214])
def test_zero_of_some_people_is_a_bound_however_their_number_is_known(people):
    from trainables.metrics.attack_accuracy import interval95

    bound = 1 - 0.05 ** (1 / people)
    ends = interval95(torch.zeros(people), restarts=3)  # of nobody found
    percent, decimal = f"below {100 * bound:.1f} % at 95 %", f"below {bound:.3f} at 95 %"
    for name in (
        "attack_accuracy",
        "attack_accuracy_top1",
        "attack_accuracy_top5",
        "gmi.attack_accuracy_top1",
    ):
        assert formatting.value(name, 0.0, people) == percent
        assert formatting.value(name, 0.0, None, ends) == percent
        assert formatting.ranged(name, 0.0, ends) == percent
        assert formatting.decimals(name, 0.0, ends) == decimal
        assert formatting.decimals(name, 0.0, people=people) == decimal
        assert formatting.spread(name, 0.0, ends) is None


def test_zero_of_something_else_stays_a_number():
    ends = [0.0, 0.1]
    assert formatting.value("test_accuracy", 0.0, 40, ends) == "0.0 %"
    assert formatting.value("attack_accuracy_std", 0.0, 40, ends) == "0.0 %"
    assert formatting.value("knn_distance", 0.0, 40) == "0"
    assert formatting.value("attack_accuracy", 0.0) == "0.0 %"  # a limit, a level, a tick
    assert formatting.decimals("test_accuracy", 0.0, ends, 40) == "0.000 [0.000, 0.100]"
    assert formatting.decimals("attack_accuracy", 0.25, [0.1, 0.4], 40) == "0.250 [0.100, 0.400]"
    assert formatting.ranged("attack_accuracy", 0.25, [0.1, 0.4], 40) == "25.0 % [10.0 %, 40.0 %]"
    assert formatting.ranged("attack_accuracy", None, None, 40) == "–"
    assert formatting.spread("attack_accuracy", 0.25, [0.1, 0.4], 40) == [0.1, 0.4]


def test_a_wider_interval_of_nobody_counts_as_fewer_people():
    from trainables.metrics.attack_accuracy import interval95

    low, high = interval95(torch.zeros(60), restarts=1)
    wider = formatting.bound_of_nobody("attack_accuracy", 0.0, None, [low, high * 1.5])
    assert 1 - 0.05 ** (1 / 60) < wider < high * 1.5
    assert formatting.bound_of_nobody("attack_accuracy", 0.0, None, [0.1, 0.2]) is None  # of another rate


def test_judges_are_rows_with_what_the_others_say_of_the_first():
    metrics = {
        "attack_accuracy_top1": 0.5,
        "judge_test_accuracy": 0.9625,
        "judge_equal_error_rate": 0.02,
        "judge_true_acceptance": 0.925,
        "judge_false_acceptance": 0.001,
        "judge_2.test_accuracy": 0.94,
        "judge_2.agreement": 0.7,
        "judge_2.false_positive_rate": 0.25,
    }
    classifier = {"kind": "classifier", "architecture": "small_cnn"}
    definition = {"trial": {"judge": [classifier, {"kind": "onnx"}]}}
    study = as_study({"trials": [{"metrics": metrics}], "definition": definition})
    assert formatting.judges(study) == [
        ["1: classifier small_cnn", "96.2 %", "2.0 %", "92.5 % at 1 in 1000", "–", "–"],
        ["2: onnx", "94.0 %", "–", "–", "70.0 %", "25.0 %"],
    ]
    assert all(len(row) == len(formatting.JUDGE_COLUMNS) for row in formatting.judges(study))
    old = as_study({"trials": [{"metrics": {"judge_test_accuracy": 0.9}}]})
    assert formatting.judges(old) == []  # one accuracy is no table


def test_a_judge_beside_the_first_is_a_sentence_of_a_trial():
    figures = {"judge_2.test_accuracy": 0.94, "judge_2.agreement": 0.7}
    rejected = {"judge_2.false_positive_rate": 0.25}
    (plain,) = formatting.judge_remarks(figures)
    (both,) = formatting.judge_remarks(figures | rejected)
    assert plain == "Judge 2, test accuracy 94.0 %, names whom the first names in 70.0 % of reconstructions."
    assert both.endswith("and rejects 25.0 % of those that the first accepts.")
    assert formatting.judge_remarks({"judge_test_accuracy": 0.9}) == []
