import errno
import re
from html.parser import HTMLParser
from time import process_time

import pytest
import torch
from records import as_study

from sweeper.report.report import write_report
from trainables.errors import ConfigError, DiskError

OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """Collects elements, text and ids; fails on tags that do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if attrs.get("id")]


def complete(number, accuracy, attacked, **extra):
    return {
        "number": number,
        "state": "complete",
        "params": {"target.freeze_point": "stem", "defense.kind": "mid", "defense.beta": 0.01},
        "values": {"test_accuracy": accuracy, "attack_accuracy": attacked},
        "interval": {"attack_accuracy": [attacked - 0.04, attacked + 0.05]},
        "on_front": True,
        "trained_params": 1_230_000,
        "total_params": 2_000_000,
        "seconds": {"target": 12.0, "attack": 70.0},
        "metrics": {"knn_distance": 812.5, "attack_accuracy_std": None},
        "freeze_point": "stem",
        "defense": "mid",
        "warnings": [],
        "artifacts": {},
        "history": {"target": [{"epoch": e, "loss": 1 / (e + 1)} for e in range(5)]},
    } | extra


def failed(number, reason):
    return {
        "number": number,
        "state": "failed",
        "params": {"target.freeze_point": "stem"},
        "values": {},
        "interval": {},
        "on_front": False,
        "trained_params": None,
        "total_params": None,
        "seconds": {},
        "reason": reason,
    }


def record(name, trials):
    return {
        "study": name,
        "objectives": OBJECTIVES,
        "reference_point": {"test_accuracy": 0.0, "attack_accuracy": 1.0},
        "hypervolume": 0.0,
        "trials": trials,
    }


def page(records, tmp_path, images=False):
    path = tmp_path / "reports" / "report.html"
    write_report([as_study(record) for record in records], path, images=images)
    return path.read_text(encoding="utf-8")


def test_a_study_is_told_in_full(tmp_path):
    undefended = complete(0, 0.95, 0.4, params={}, freeze_point="none", defense="none")
    warned = complete(1, 0.8, 0.2, warnings=["weak judge: 0.7"])
    trials = [undefended, warned, complete(2, 0.7, 0.3), failed(3, "loss is not finite at epoch 2")]
    text = page([record("tiny", trials)], tmp_path)
    shown = Page(text)
    assert "3 finished trials, 1 failed" in shown.text
    assert "2 of 3 trials on the front" in shown.text
    volume = 0.95 * (1 - 0.4) + 0.8 * (0.4 - 0.2)
    assert f"{volume:.4f} hypervolume" in shown.text
    assert "weak judge: 0.7 (trial 1)" in shown.text
    assert "loss is not finite at epoch 2" in shown.text
    assert "95.0 %" in shown.text and "16.0 % – 25.0 %" in shown.text
    assert "1.23 M of 2 M" in shown.text and "1 min 22 s" in shown.text
    assert "mid, β 0.01" in shown.text and "knn distance" in shown.text
    assert {"trial-0", "trial-1", "trial-2", "trial-3"} <= set(shown.ids())
    assert len(shown.ids()) == len(set(shown.ids()))
    assert sum(tag == "details" for tag, _ in shown.elements) == 3


def test_what_else_was_varied_is_a_column_where_anything_was(tmp_path):
    plain = complete(0, 0.8, 0.2)
    assert "other knobs" not in page([record("a", [plain])], tmp_path)
    near = complete(1, 0.9, 0.3, params={"pretraining.data.population": "near"})
    text = page([record("a", [plain, near])], tmp_path)
    assert "other knobs" in text and "population near" in text
    assert "other knobs" in page([record("a", [near])], tmp_path)


def test_a_defense_tells_its_own_figures(tmp_path):
    trapped = complete(0, 0.8, 0.2, defense="trap_mid")
    assert "own figures" not in page([record("a", [trapped])], tmp_path)
    trapped["metrics"]["trapdoor_success"] = 0.975
    shown = Page(page([record("a", [trapped])], tmp_path)).text
    assert "Defense 'trap_mid': a trigger makes 0.975 of test images pass" in shown


def test_defended_trials_without_an_attacker_who_knows_the_defense_are_called_non_adaptive(tmp_path):
    plain = complete(0, 0.95, 0.4, params={}, freeze_point="none", defense="none")
    trials = [plain, complete(1, 0.8, 0.2), complete(2, 0.7, 0.1, defense="bido", params={})]
    study = record("tiny", trials)
    for attack, whose, numbers, own in (
        ({"kind": "gmi"}, "their defenses", "trials 1, 2", "their own lines say"),
        ({"kind": "lomma_gmi"}, "its defense", "trial 1", "its own lines say"),
    ):
        definition = {"trial": {"attack": attack}}
        shown = Page(page([study | {"definition": definition}], tmp_path))
        assert f"Non-adaptive: nobody who knows of {whose} attacked {numbers}; {own}" in shown.text
        assert "Non-adaptive: one who knows of 'mid' averages gradients" in shown.text
        assert "zero (any attack with adaptive: true)" in shown.text
        assert ("one who knows of 'bido'" in shown.text) == (attack["kind"] == "gmi")
    assert "on-adaptive" not in Page(page([study], tmp_path)).text  # nobody knows what attacked it


def test_several_studies_are_compared(tmp_path):
    a = record("a", [complete(0, 0.9, 0.3), complete(1, 0.8, 0.2)])
    b = record("b", [complete(0, 0.95, 0.25), failed(1, "no memory left")])
    shown = Page(page([a, b], tmp_path))
    assert "How the fronts compare" in shown.text
    assert "50.0 %" in shown.text  # one of a's two is dominated by b's
    assert len(shown.ids()) == len(set(shown.ids()))
    assert {"study-0-trial-0", "study-1-trial-0", "study-1-trial-1"} <= set(shown.ids())


def test_nothing_is_loaded_from_outside(tmp_path):
    text = page([record("tiny", [complete(0, 0.9, 0.3)])], tmp_path)
    assert set(re.findall(r"https?://[^\"' <]*", text)) == {"http://www.w3.org/2000/svg"}
    for tag, attrs in Page(text).elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"(#|data:|$)", attrs.get(name) or ""), (tag, attrs)
        assert tag not in ("iframe", "object", "embed")
    assert "default-src 'none'" in text


def test_what_users_write_is_escaped(tmp_path):
    evil = "</title><script>alert(1)</script>\"'&"
    trial = complete(0, 0.9, 0.3, freeze_point=evil, defense=evil, warnings=[evil], params={evil: evil})
    trial["metrics"] = {evil: 1.0}
    trial["seconds"] = {evil: 1.0}
    trial["history"] = {evil: [{evil: 1.0}, {evil: 2.0}]}
    text = page([record(evil, [trial, failed(1, evil)])], tmp_path)
    assert text.count("<script>") == 1  # our own
    assert "alert(1)" in Page(text).text


@pytest.mark.parametrize("trials", [[], [failed(0, "no memory left")]])
def test_a_study_without_results_has_a_page(tmp_path, trials):
    shown = Page(page([record("empty", trials)], tmp_path, images=True))
    assert "0 finished trials" in shown.text and "No trial has finished yet." in shown.text


def test_trials_may_know_no_more_than_their_values(tmp_path):
    values = {"test_accuracy": 0.9, "attack_accuracy": 0.3}
    bare = {"number": 0, "state": "complete", "params": {}, "values": values}
    assert "1 of 1 trial on the front" in Page(page([record("bare", [bare])], tmp_path, images=True)).text


@pytest.fixture
def artifacts(tmp_path):
    for name in ("attack", "judge"):
        (tmp_path / name).mkdir()
    images = torch.randint(0, 256, (2, 4, 3, 32, 32), dtype=torch.uint8)
    torch.save({"images": images, "identities": torch.arange(4)}, tmp_path / "attack" / "reconstructions.pt")
    torch.save({"images": images[0]}, tmp_path / "judge" / "examples.pt")
    return {"attack": str(tmp_path / "attack"), "judge": str(tmp_path / "judge")}


def test_reconstructions_stand_beside_a_private_example(tmp_path, artifacts):
    study = record("tiny", [complete(0, 0.9, 0.3, artifacts=artifacts), complete(1, 0.5, 0.1)])
    shown = Page(page([study], tmp_path, images=True))
    pictures = [attrs for tag, attrs in shown.elements if tag == "img"]
    assert len(pictures) == 4 + 2 * 4
    assert pictures[0]["alt"] == "private example of identity 0"
    assert pictures[-1]["alt"] == "reconstruction of identity 3, restart 2"
    assert "It shows private images" in shown.text


def test_images_are_left_out_unless_asked_for(tmp_path, artifacts):
    study = record("tiny", [complete(0, 0.9, 0.3, artifacts=artifacts)])
    text = page([study], tmp_path)
    assert "data:image" not in text and "private images" not in Page(text).text


def test_missing_files_are_said(tmp_path):
    study = record("tiny", [complete(0, 0.9, 0.3, artifacts={"attack": "gone", "judge": "gone"})])
    assert "No reconstructions to show" in Page(page([study], tmp_path, images=True)).text


def test_mistakes_are_named(tmp_path, monkeypatch):
    study = record("tiny", [complete(0, 0.9, 0.3)])
    with pytest.raises(ConfigError, match="'tiny' more than once"):
        page([study, study], tmp_path)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = page([study], tmp_path)
    monkeypatch.setattr("trainables.storage.disk.sync", full)
    with pytest.raises(DiskError, match="No space left on device"):
        page([record("other", [])], tmp_path)
    report = tmp_path / "reports" / "report.html"
    assert report.read_text(encoding="utf-8") == before  # the last one is still whole
    assert list(report.parent.iterdir()) == [report]


def test_two_thousand_trials_take_moments(tmp_path):
    trials = [complete(n, 0.5 + (n * 37 % 997) / 2000, 0.1 + (n * 61 % 991) / 2000) for n in range(2000)]
    start = process_time()
    page([record("large", trials)], tmp_path)
    assert process_time() - start < 10


def test_a_figure_has_one_interval_wherever_it_stands(tmp_path, capsys):
    """The trial's own: in the front's table, at the points, in what is attained, in the terminal."""
    from sweeper.cli.comparison_table import show_comparison
    from sweeper.cli.tables import show_front
    from sweeper.results.comparing.compare import compare

    lucky = [complete(n, 0.8 + n / 1000, 0.3 + n / 1000, on_front=n == 0) for n in range(1, 12)]
    a = record("a", [complete(0, 0.9, 0.2), *lucky])
    b = record("b", [complete(0, 0.8, 0.1)])
    studies = [as_study(a), as_study(b)]
    own = "16.0 % – 25.0 %"
    several = Page(page([a, b], tmp_path))
    attained = several.text.partition("What each study attains")[2].partition("The front of")[0]
    assert set(re.findall(r"20\.0 % (\S+ % – \S+ %) trial 0 without luck", attained)) == {own}
    assert several.text.count(own) > attained.count(own)  # the table of the front
    alone = Page(page([a], tmp_path))
    assert own in alone.text and "95 % intervals of trials: each trial's own" in alone.text
    hovers = [text for text in alone.words if text.startswith("a, trial 0\n")]
    assert hovers and all("attack accuracy 20.0 % (16.0 % to 25.0 %)" in text for text in hovers)
    show_front(studies[0])
    show_comparison(compare(studies))
    out = capsys.readouterr().out
    assert out.count("0.200 [0.160, 0.250]") >= 2
    assert set(re.findall(r"(?<!luck )0\.200 \[[^]]*\]", out)) == {"0.200 [0.160, 0.250]"}


def test_a_trials_own_page_has_its_warnings(tmp_path):
    trials = [complete(0, 0.9, 0.2), complete(1, 0.8, 0.1, warnings=["weak judge: 0.7"])]
    text = page([record("tiny", trials)], tmp_path)
    own = text.partition('id="trial-1"')[2].partition("</details>")[0]
    other = text.partition('id="trial-0"')[2].partition("</details>")[0]
    assert "weak judge: 0.7" in own and "weak judge" not in other


def test_nobody_found_is_a_bound_wherever_the_page_says_it(tmp_path):
    bound = f"below {100 * (1 - 0.05 ** (1 / 60)):.1f} % at 95 %"
    people, ends = {"attacked": 60, "found": 0}, [0.0, 0.06]
    seed = {"replicate": 0, "values": {"attack_accuracy": 0.0}, "interval": {"attack_accuracy": ends}}
    figures = {"threat_model": "white-box", "interval": ends, "metrics": {"attack_accuracy_top1": 0.0}}
    zero = complete(
        0,
        0.9,
        0.0,
        interval={"attack_accuracy": ends},
        people=people,
        freeze_point="none",
        defense="none",
        params={},
        metrics={"attack_accuracy_top1": 0.0, "attack_accuracy_top5": 0.0, "attack_accuracy_std": 0.0},
        replicates=[seed, {**seed, "replicate": 1}],
        attacks={"gmi": figures, "kedmi": figures},
        confirmed={"seeds": 2, "values": {"attack_accuracy": 0.0}, "interval": {"attack_accuracy": ends}},
    )
    seen = {"test_accuracy": 0.5, "attack_accuracy": 0.0, "interval": ends, "reason": "beaten"}
    screened = {**failed(1, None), "state": "screened", "screening": seen}
    study = record("mine", [zero, screened])
    study["confirmed"] = {"attacks": [], "seeds": 2, "hypervolume": 0.5}
    study["controls"] = {"undefended": {"attack_accuracy": 0.0, "interval": ends, "test_accuracy": 0.9}}
    text = page([study], tmp_path)
    shown = Page(text).text
    assert shown.count(bound) >= 12
    # Nowhere else is a zero but in the reference point and in the spread over restarts.
    before = [shown[: match.start()].rstrip()[-13:] for match in re.finditer(r"(?<!\d)0\.0 %", shown)]
    assert before == ["test accuracy", " accuracy std"]


STOPPED = {
    "epoch": 4,
    "test_accuracy": 0.81,
    "attack_accuracy": 0.525,
    "interval": [0.37, 0.67],
    "difference": 0.2,
    "p": 0.01,
}


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("leaks less", "leaks less than the undefended target stopped at its accuracy"),
        ("leaks no less", "is not shown to protect"),
        ("cannot tell", "cannot be told from a worse classifier"),
    ],
)
def test_the_front_stands_beside_stopped_targets(tmp_path, verdict, words):
    trial = complete(1, 0.8, 0.3, on_front=True, stopped={**STOPPED, "verdict": verdict})
    text = page([record("study", [trial])], tmp_path)
    assert words in text and "A defense, or a worse classifier?" in text and "52.5 %" in text
    plain = page([record("study", [complete(1, 0.8, 0.3, on_front=True)])], tmp_path)
    assert "worse classifier" not in plain


@pytest.mark.parametrize("probe", [0.8, 0.2, None])
def test_the_page_says_how_far_the_pre_training_is(tmp_path, probe):
    """Also of several, and a near one is flagged; the measurements of a trial have it too."""
    metrics = {"validation_accuracy": 0.9, "probe_accuracy": probe, "probe_chance": 0.05}
    plain = complete(1, 0.8, 0.3, freeze_point="none", defense="none", metrics=metrics)
    text = page([record("study", [plain])], tmp_path)
    assert ("How far the pre-training is" in text) == (probe is not None)
    assert ("Near pre-training is a risk of its own" in text) == (probe == 0.8)
    assert ("that is far" in text) == (probe == 0.2)
    assert "pre-training probe, guessing" in text


def test_an_attack_that_still_rises_is_flagged(tmp_path):
    points = [{"share": 0.5, "attack_accuracy": 0.2, "interval": [0.1, 0.3]}]
    controls = {
        "undefended": {
            "attack_accuracy": 0.6,
            "interval": [0.5, 0.7],
            "test_accuracy": 0.9,
            "budget": points,
        },
        "verdict": {"verdict": "tells", "reason": "so it is", "remedies": []},
        "power": None,
    }
    study = record("study", [complete(1, 0.8, 0.3, on_front=True)])
    calm = page([study | {"controls": {**controls, "still_rising": {"undefended": False}}}], tmp_path)
    assert "0.200, 0.600 with half and all of its steps" in calm and "still rising" not in calm
    rising = page([study | {"controls": {**controls, "still_rising": {"undefended": True}}}], tmp_path)
    assert "Attack accuracy on the undefended target is still rising" in rising


def test_the_page_has_both_judges_and_the_verified_accuracy(tmp_path):
    metrics = {
        "attack_accuracy_verified": 0.15,
        "attack_accuracy_top1": 0.2,
        "judge_test_accuracy": 0.9,
        "judge_2.test_accuracy": 0.85,
        "judge_2.agreement": 0.7,
        "judge_2.false_positive_rate": 0.25,
    }
    interval = {"attack_accuracy": [0.1, 0.3], "attack_accuracy_verified": [0.05, 0.25]}
    trials = [complete(0, 0.9, 0.2, metrics=metrics, interval=interval)]
    study = record("two", trials)
    study["definition"] = {"trial": {"judge": [{"kind": "classifier"}, {"kind": "onnx"}]}}
    shown = Page(page([study], tmp_path)).text
    assert "Who judges" in shown and "2: onnx 85.0 % – – 70.0 % 25.0 %" in shown
    assert "verified ↓" in shown and "15.0 % 5.0 % – 25.0 %" in shown
    assert "Who judges" not in page([record("old", [complete(0, 0.9, 0.2)])], tmp_path)


def test_it_says_which_images_chose_the_front(tmp_path):
    way = {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    rows = [(0.6, 0.9, 0.5), (0.7, 0.5, 0.3), (0.99, 0.4, 0.4)]  # test, validation, attack
    trials = [
        complete(
            number,
            tested,
            attacked,
            searched={"validation_accuracy": checked, "attack_accuracy": attacked},
            on_front=number < 2,
            feasible=True,
            missed=["test_accuracy >= 0.65"] if tested < 0.65 else [],
        )
        for number, (tested, checked, attacked) in enumerate(rows)
    ]
    shown = Page(page([record("tiny", trials) | {"searched": way}], tmp_path))
    assert "2 of 3 trials on the front" in shown.text  # the last looks best on test images alone
    assert "Searched and chosen by validation accuracy" in shown.text
    assert "another member dominates trial 0." in shown.text
    assert "missed on test images: test_accuracy >= 0.65 (trial 0)" in shown.text
    assert f"{0.7 * 0.7:.4f} hypervolume" in shown.text
    assert "searched by validation accuracy 90.0 %" in shown.text
    older = Page(page([record("tiny", trials)], tmp_path))
    assert "Searched and chosen by test accuracy" in older.text


def test_what_was_fresh_is_named(tmp_path):
    again = {"seeds": 2, "values": {"test_accuracy": 0.7, "attack_accuracy": 0.2}}
    again |= {"fresh": ["seeds", "judge", "people"]}
    trials = [complete(0, 0.8, 0.2, confirmed=again)]
    confirmed = {"attacks": [], "seeds": 2, "hypervolume": 0.5, "fresh": again["fresh"]}
    shown = Page(page([record("tiny", trials) | {"confirmed": confirmed}], tmp_path))
    words = "2 fresh seeds, a fresh judge, people whom the search did not attack"
    assert f"measured again: at least {words}" in shown.text
    assert f"({words})" in shown.text


def test_the_tables_show_a_defense_by_the_mark_that_the_plot_has(tmp_path):
    kinds = ["bido", "calor", "dp_sgd", "loft", "mid", "midre", "none", "rolss", "ssf", "tts"]
    trials = [
        complete(n, 0.5 + n / 100, 0.2 + n / 100, defense=kind, params={"defense.kind": kind})
        for n, kind in enumerate(kinds)
    ]
    elements = Page(page([record("one", trials)], tmp_path)).elements
    drawn = [attrs for tag, attrs in elements if tag == "path" and "var(--c" in attrs.get("fill", "")]
    legend, tables = (
        {(attrs["fill"], attrs["d"].count("L")) for attrs in drawn if ("class" in attrs) == plot}
        for plot in (True, False)
    )
    assert legend == tables and len(tables) == len(kinds)
