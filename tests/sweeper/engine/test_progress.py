import pytest

from sweeper.engine import progress
from sweeper.engine.progress import Lines, Warner, left, spell, spell_range
from trainables.runtime.duration import Duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (8.2, "8 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_are_spelt_for_people(seconds, text):
    assert spell(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0.3, "about 0 s"),
        (0.2, 12, "up to 12 s"),
        (3, 8.2, "3 to 8 s"),
        (40, 90, "40 s to 1.5 min"),
        (59.6, 100, "1 to 1.5 min"),
        (200, 350, "3.5 to 6 min"),
        (355, 365, "about 6 min"),
        (725, 1712, "12 to 29 min"),
        (3600, 9000, "60 min to 2.5 h"),
        (40000, 90000, "11 to 25 h"),
    ],
)
def test_ranges_are_spelt_to_two_digits(low, high, text):
    assert spell_range(Duration(low=low, high=high)) == text


def test_time_left_follows_from_the_part_done():
    assert left(2, 10, 4.0) == pytest.approx(16.0)
    assert left(0, 10, 4.0) is None


def test_lines_say_where_a_stage_is_without_flooding(capsys):
    lines = Lines()
    for done in range(1, 101):
        lines.stage("trial 3", "target", done, 100, float(done))
    lines.stage("trial 3", "attack", 1, 4, 1.0)
    lines.ended("trial 3", "accuracy 0.9")
    lines.total(4, 12, Duration(low=80, high=170))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "trial 3: target 1 %, 1 min 39 s left",
        "trial 3: attack 25 %, 3 s left",
        "trial 3: accuracy 0.9",
        "4 of 12 trials, 1.5 to 3 min left",
    ]


def test_corrections_of_the_time_left_do_not_flood(capsys, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    lines = Lines()
    lines.total(0, 9, None)
    lines.total(0, 9, Duration(low=50, high=60))
    clock[0] += progress.LINE_SECONDS
    lines.total(0, 9, Duration(low=40, high=50))
    lines.total(1, 9, Duration(low=30, high=40))
    assert capsys.readouterr().err.splitlines() == [
        "0 of 9 trials",
        "0 of 9 trials, 40 to 50 s left",
        "1 of 9 trials, 30 to 40 s left",
    ]


def test_a_warning_is_told_once_whatever_its_numbers(capsys):
    warner = Warner(Lines())
    warner.tell(["weak judge: 0.830, below 0.9", "noise"], "judge")
    warner.tell(["weak judge: 0.712, below 0.9", "weak target: 0.110"], "trial 3")
    warner.tell(["noise"], "trial 4")
    warner.tell(["images are left out"], "")
    assert capsys.readouterr().err.splitlines() == [
        "WARNING: weak judge: 0.830, below 0.9 (judge)",
        "WARNING: noise (judge)",
        "WARNING: weak target: 0.110 (trial 3)",
        "WARNING: images are left out",
    ]
