import pytest

from sweeper.engine.progress import Lines, left, spell


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (8.2, "8 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_are_spelt_for_people(seconds, text):
    assert spell(seconds) == text


def test_time_left_follows_from_the_part_done():
    assert left(2, 10, 4.0) == pytest.approx(16.0)
    assert left(0, 10, 4.0) is None


def test_lines_say_where_a_stage_is_without_flooding(capsys):
    lines = Lines()
    for done in range(1, 101):
        lines.stage("trial 3", "target", done, 100, float(done))
    lines.stage("trial 3", "attack", 1, 4, 1.0)
    lines.ended("trial 3", "accuracy 0.9")
    lines.total(4, 12, 80.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "trial 3: target 1 %, 1 min 39 s left",
        "trial 3: attack 25 %, 3 s left",
        "trial 3: accuracy 0.9",
        "4 of 12 trials, 1 min 20 s left",
    ]
