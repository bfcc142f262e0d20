"""Words that claim a difference stand in what the program says only where a test carries them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLAIM = re.compile(
    r"\b(better|worse|protect(?:s|ed|ing)?|(?:tells?|told) \S*(?: \S+)? ?apart|stronger|strongest|weaker|"
    r"ahead|behind|beats?|beaten|wins?|winner|outperforms?|superior|safer|safest|"
    r"improves?|leads? over|more private)\b",
    re.IGNORECASE,
)
SOURCES = [
    *sorted((ROOT / "sweeper").rglob("*.py")),
    *sorted((ROOT / "trainables" / "controls").glob("*.py")),
    ROOT / "trainables" / "stages" / "warnings.py",
    ROOT / "trainables" / "stages" / "evaluation.py",
    ROOT / "trainables" / "screening.py",
]
TEMPLATES = sorted((ROOT / "sweeper" / "report" / "templates").glob("*.html.j2"))

# (file, phrase) -> what carries it: a test file and the test in it.
RESULTS, PICKS = "tests/sweeper/results", "tests/sweeper/results/test_pick.py"
CONCLUSION, PLOT = "sweeper/results/comparing/conclusion.py", "sweeper/report/front_plot.py"
COMPARISONS, TOLD = "tests/sweeper/results/comparing/test_conclusion.py", "test_a_shown_lead"
ATTAINED = "tests/sweeper/statistics/test_attainment.py"
CARRIED = {
    (CONCLUSION, "has the better front than"): (COMPARISONS, TOLD),
    (CONCLUSION, "shown to be ahead of"): (
        COMPARISONS,
        "test_several_studies_are_sorted_into_behind_and_level",
    ),
    (CONCLUSION, "are not to be told apart"): (COMPARISONS, "test_a_lead_that_may_be_luck_is_none"),
    (CONCLUSION, "not to be told apart from"): (
        COMPARISONS,
        "test_several_studies_are_sorted_into_behind_and_level",
    ),
    # Of figures as they were measured, and the sentence says so.
    (CONCLUSION, "as measured their fronts do not cross"): (ATTAINED, ""),
    (CONCLUSION, "as measured their fronts cross"): (ATTAINED, ""),
    (CONCLUSION, "…up to there '…' is better"): (ATTAINED, ""),
    (CONCLUSION, "…between the two '…' is better"): (ATTAINED, ""),
    # Which way an objective is good claims nothing of a trial.
    (PLOT, "lower is better"): ("tests/sweeper/report/test_front_plot.py", ""),
    (PLOT, "higher is better"): ("tests/sweeper/report/test_front_plot.py", ""),
    ("sweeper/results/model_card.py", "… is better."): (f"{RESULTS}/test_export.py", ""),
    # The definition of a front, of figures as they were measured.
    (
        "sweeper/report/templates/study.html.j2",
        "As measured, no other trial is at least as good in every objective and better in one",
    ): ("tests/sweeper/statistics/test_pareto.py", ""),
    # Against the undefended target stopped at a trial's accuracy: a paired test over the people.
    ("sweeper/results/controls/texts.py", "a worse classifier"): (
        "tests/sweeper/results/controls/test_figures.py",
        "",
    ),
    ("sweeper/report/templates/study.html.j2", "A defense, or a worse classifier?"): (
        "tests/sweeper/results/controls/test_figures.py",
        "",
    ),
    ("sweeper/results/controls/texts.py", "is not shown to protect"): (
        "tests/sweeper/results/controls/test_figures.py",
        "",
    ),
    # Stated with the chance of it, which fresh seeds give.
    ("sweeper/results/model_card.py", "no other confirmed trial of the study is better in everything:"): (
        "tests/sweeper/statistics/test_membership.py",
        "",
    ),
    ("sweeper/results/pick.py", "it is probably not on the front: another trial is likely to be better"): (
        PICKS,
        "",
    ),
    ("sweeper/results/pick.py", "no other trial that keeps the limit is better"): (PICKS, ""),
    # The whole interval keeps the limit.
    ("sweeper/results/pick.py", "safer: trial … keeps the limit with its whole interval"): (PICKS, ""),
}


def docstrings(tree):
    """Return the nodes of a module's docstrings, which nobody sees who runs the program."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    owners = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    firsts = [node.body[0] for node in owners if node.body and isinstance(node.body[0], ast.Expr)]
    return {id(first.value) for first in firsts}


def texts(path):
    """Yield what a file may print: strings of several words, or the text of a template."""
    if path.suffix == ".j2":
        yield re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL)
        return
    tree = ast.parse(path.read_text())
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):  # read as a whole: a claim may span what is filled in
            skipped |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            text = node.value if isinstance(node.value, str) else ""
            if " " in text:  # others are names and keys
                yield text


def claims():
    """Return every claiming word with the words around it, as (file, words)."""
    hits = []
    for path in [*SOURCES, *TEMPLATES]:
        for text in texts(path):
            flat = " ".join(text.split())
            hits += [
                (str(path.relative_to(ROOT)), flat[max(0, hit.start() - 80) : hit.end() + 80])
                for hit in CLAIM.finditer(flat)
            ]
    return hits


def test_every_word_that_claims_a_difference_is_carried_by_a_test():
    bare = [
        (file, words)
        for file, words in claims()
        if not any(file == place and phrase in words for place, phrase in CARRIED)
    ]
    assert not bare, f"words that no test carries: {bare}; say what was measured, or add the test to CARRIED"


@pytest.mark.parametrize(("file", "phrase"), CARRIED)
def test_what_is_listed_is_said_and_its_test_exists(file, phrase):
    assert any(place == file and phrase in words for place, words in claims())
    path, name = CARRIED[file, phrase]
    tests = (ROOT / path).read_text()
    assert f"def {name}(" in tests if name else "def test_" in tests


@pytest.mark.parametrize(
    "text",
    ["a is better than b", "freezing protects it", "it tells the best apart", "b is ahead", "a beats b"],
)
def test_claims_are_seen(text):
    assert CLAIM.search(text)
