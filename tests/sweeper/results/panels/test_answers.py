import json

import pytest

from sweeper.results.panels.answers import import_answers
from sweeper.results.panels.key import identifiers, write_key
from sweeper.results.records import study_records
from sweeper.search.optuna_study import OptunaStudy
from trainables.errors import ConfigError

PANELS = [
    {"kind": "attack", "trial": 0, "identity": 4, "restart": 0, "judge": True},
    {"kind": "attack", "trial": 0, "identity": 6, "restart": 0, "judge": False},
    {"kind": "genuine", "identity": 4, "shows": 4, "judge": True},
    {"kind": "impostor", "identity": 4, "shows": 6, "judge": False},
]
PAIRS = [{"kind": "pair", "trials": [1, 0], "identity": 4, "restart": 0}]


@pytest.fixture
def study(home, cheap, result):
    """Return a home with the study `cheap` of one trial, and its panels and pairs."""
    book = OptunaStudy(cheap(), home.storage, home.study("cheap") / "history")
    asked = book.ask()
    book.tell(asked.number, result(0.5) | {"params": asked.assignment})
    names = []
    for panels in (PANELS, PAIRS):
        own = identifiers("cheap", 0, panels)
        write_key(home, "cheap", 0, dict(zip(own, panels, strict=True)))
        names += own
    return home, names


def write(tmp_path, *lines, name="answers.csv"):
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_answers_are_kept_with_the_study_and_front_shows_them(study, tmp_path):
    home, (first, second, genuine, impostor, _) = study
    assert study_records(home, "cheap").to_json()["panels"] is None
    lines = (f"{first},yes,x.png", f"{second},No,x.png", f"{genuine},yes,", f"{impostor},,")
    file = write(tmp_path, "Panel,answer,file", *lines)
    imported = import_answers(home, "cheap", file)
    assert (imported.added, imported.unanswered) == (3, 1)
    figures = study_records(home, "cheap").to_json()["panels"]
    assert figures == json.loads(json.dumps(imported.figures))
    assert [row["reader"] for row in figures["readers"]] == ["answers"]  # the file's name
    assert figures["trials"][0] | {"interval": None} == {
        "trial": 0,
        "panels": 2,
        "people": 2,
        "rate": 0.5,
        "interval": None,
        "judge_rate": 0.5,
        "swapped_rate": None,
    }
    assert figures["judge"]["agreement"] == 1 and figures["false_negative_rate"] == 0
    more = write(tmp_path, "reader,answer,panel", f"b,yes,{impostor}", f"c,no,{impostor}", f"b,no,{first}")
    imported = import_answers(home, "cheap", more, reader="not used")
    figures = study_records(home, "cheap").panels
    assert [row["reader"] for row in figures["readers"]] == ["answers", "b", "c"]
    assert figures["false_positive_rate"] == 1 / 2 and figures["answers"] == 6
    assert figures["trials"][0]["rate"] == ((1 + 0) / 2 + 0) / 2


def test_panels_of_two_are_answered_in_words_of_their_own(study, tmp_path):
    home, names = study
    import_answers(home, "cheap", write(tmp_path, "panel,answer", f"{names[-1]},first"))
    (pair,) = study_records(home, "cheap").panels["pairs"]
    assert pair["trials"] == [0, 1] and pair["closer"] == [0, 1]
    with pytest.raises(ConfigError, match="expected first, second or none as the answer"):
        import_answers(home, "cheap", write(tmp_path, "panel,answer", f"{names[-1]},yes", name="b.csv"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["panel,answer", "NONE,yes"], "expected a panel that this study exported, got 'NONE' in line 2"),
        (["panel,answer", "{0},yes", "{0}x,no"], r"got '.*x' in line 3 of .*; did you mean "),
        (["panel,answer", "{0},yes", "{0},no"], "got a second one of 'answers' to .* in line 3"),
        (
            ["panel,answer", "{0},maybe"],
            "expected yes, no or refused as the answer to .*, got 'maybe' in line 2",
        ),
        (["panel,answer", "{0}"], "expected 2 cells in line 2"),
        (["panel,answer", "{0},yes,b"], "expected 2 cells in line 2"),
        (["panel,answer", '{0},"yes'], "expected answers as CSV in UTF-8"),
        (["name,answer", "{0},yes"], "expected the columns panel and answer, .* got name, answer"),
        (["panel,answer,answer", "{0},yes,no"], "each once"),
        ([], "got no line"),
        (["panel,answer"], "expected at least one answer, got none"),
        (["panel,answer", "{0},"], "expected at least one answer, got none"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_and_nothing_is_kept(study, tmp_path, lines, said):
    home, names = study
    file = write(tmp_path, *(line.format(*names) for line in lines))
    with pytest.raises(ConfigError, match=said):
        import_answers(home, "cheap", file)
    assert study_records(home, "cheap").panels is None


def test_other_mistakes_are_named_too(study, tmp_path, cheap):
    home, names = study
    file = write(tmp_path, "panel,answer", f"{names[0]},yes")
    import_answers(home, "cheap", file, reader="b")
    kept = study_records(home, "cheap").panels
    both = write(tmp_path, "panel,answer", f"{names[1]},yes", f"{names[0]},no", name="both.csv")
    with pytest.raises(ConfigError, match=rf"got another one of 'b' to {names[0]}, which the study has"):
        import_answers(home, "cheap", both, reader="b")
    with pytest.raises(ConfigError, match=r"expected answers as CSV in UTF-8 at .*: No such file"):
        import_answers(home, "cheap", tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"panel,answer\n\xff,yes\n")
    with pytest.raises(ConfigError, match="expected answers as CSV in UTF-8 at"):
        import_answers(home, "cheap", tmp_path / "bytes.csv")
    with pytest.raises(ConfigError, match="expected a study of"):
        import_answers(home, "other", file)
    assert study_records(home, "cheap").panels == kept
    OptunaStudy(cheap(name="bare"), home.storage, home.study("bare") / "history")
    with pytest.raises(ConfigError, match="expected panels of 'bare' whose answers these are"):
        import_answers(home, "bare", file)
