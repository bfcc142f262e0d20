import random
import re
import xml.etree.ElementTree as ET

import pytest
from records import as_study

from sweeper.report import front_plot
from sweeper.report.front_plot import FAINT_BARS, LABELLED, LEFT, RIGHT, WIDTH
from sweeper.report.point_labels import covers, overlap
from sweeper.report.text_width import text_width
from sweeper.results.comparing import compare
from sweeper.results.comparing.published import points
from trainables.defenses import DEFENSES

SVG = "{http://www.w3.org/2000/svg}"
OBJECTIVES = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}


def study(name, count, seed=0):
    draw = random.Random(seed)
    trials = []
    for number in range(count):
        accuracy, attacked = draw.uniform(0.3, 1), draw.uniform(0.05, 0.6)
        kind = ("none", "bido", "mid", "new")[number % 4]
        trials.append(
            {
                "number": number,
                "state": "complete",
                "params": {"defense.kind": kind},
                "values": {"test_accuracy": accuracy, "attack_accuracy": attacked},
                "interval": {"attack_accuracy": [attacked - 0.05, attacked + 0.05]},
                "metrics": {"chance": 0.025},
                "freeze_point": "none" if number == 0 else "block1",
                "defense": kind,
            }
        )
    return {"study": name, "objectives": OBJECTIVES, "trials": trials}


def front_svg(records, **options):
    return front_plot.front_svg([as_study(record) for record in records], **options)


def front(record):
    return compare.front(as_study(record))


def marks(root):
    return {group.get("data-trial"): group for group in root.iter(f"{SVG}g") if group.get("class") == "trial"}


def test_one_point_with_hover_text_for_each_finished_trial():
    record = study("one", 12)
    record["trials"].append({"number": 12, "state": "failed", "params": {}, "values": {}})
    found = marks(ET.fromstring(front_svg([record])))
    assert set(found) == {f"0-{number}" for number in range(12)}
    best = {trial.number for trial in front(record)}
    for name, group in found.items():
        number = int(name.split("-")[1])
        trial = record["trials"][number]
        text = group.find(f"{SVG}title").text
        assert f"one, trial {number}" in text
        assert f"attack accuracy {100 * trial['values']['attack_accuracy']:.1f} %" in text
        classes = [path.get("class") for path in group.iter(f"{SVG}path")]
        assert classes == (["bar", "point"] if number in best else ["bar off", "point off"])


def test_points_are_where_their_values_are():
    record = study("one", 30)
    found = marks(ET.fromstring(front_svg([record])))
    spots = {}
    for name, group in found.items():
        hit = group.find(f"{SVG}circle")
        spots[int(name.split("-")[1])] = (float(hit.get("cx")), float(hit.get("cy")))
    by_x = sorted(spots, key=lambda n: spots[n][0])
    assert by_x == sorted(spots, key=lambda n: record["trials"][n]["values"]["attack_accuracy"])
    by_y = sorted(spots, key=lambda n: -spots[n][1])
    assert by_y == sorted(spots, key=lambda n: record["trials"][n]["values"]["test_accuracy"])


def test_the_axes_are_the_same_whichever_objective_is_named_first():
    record = study("one", 30)
    other = record | {"objectives": dict(reversed(OBJECTIVES.items()))}
    svgs = [front_svg([each]) for each in (record, other)]
    circles = [
        [group.find(f"{SVG}circle").attrib for group in marks(ET.fromstring(svg)).values()] for svg in svgs
    ]
    assert sorted(map(str, circles[0])) == sorted(map(str, circles[1]))
    assert len({(spot["cx"], spot["cy"]) for spot in circles[0]}) == 30
    words = [sorted(text.text for text in ET.fromstring(svg).iter(f"{SVG}text")) for svg in svgs]
    assert words[0] == words[1]
    assert step_line(svgs[0]) == step_line(svgs[1])


def step_line(svg):
    (line,) = re.findall(
        r'<path d="(M[^"]*)" stroke="var\(--ink\)" fill="none"[^>]*stroke-opacity="\.8"', svg
    )
    return line


def test_the_step_line_turns_at_the_front():
    record = study("one", 30)
    line = step_line(front_svg([record]))
    assert line.count("H") == line.count("V") == len(front(record)) - 1


def test_several_studies_and_links():
    records = [study("a", 9), study("b", 9, seed=1)]
    root = ET.fromstring(front_svg(records))
    assert len(marks(root)) == 18
    assert {"a", "b"} <= {text.text for text in root.iter(f"{SVG}text")}
    links = [a.get("href") for a in ET.fromstring(front_svg(records, links=["a-", "b-"])).iter(f"{SVG}a")]
    assert sorted(links) == sorted(f"#{name}-{number}" for name in "ab" for number in range(9))


@pytest.mark.parametrize("names", [["one"], ["a", "b"]])
def test_every_defense_has_a_point_of_its_own(names):
    kinds = sorted(DEFENSES)
    records = [study(name, len(kinds)) for name in names]
    for record in records:
        for trial, kind in zip(record["trials"], kinds, strict=True):
            trial["params"] = {"defense.kind": kind}
            trial["defense"] = kind
            trial["values"] = {"test_accuracy": 0.5, "attack_accuracy": 0.5}
    found = marks(ET.fromstring(front_svg(records)))
    points = [
        part for group in found.values() for part in group if (part.get("class") or "").startswith("point")
    ]
    looks = [(point.get("d"), point.get("fill")) for point in points]
    assert len(looks) == len(found) == len(set(looks))
    if len(names) > 1:  # colours tell the study, so shapes alone tell the defense
        assert len({shape for shape, _ in looks}) == len(kinds)


def test_what_users_write_is_escaped():
    record = study("<script>&\"'", 4)
    record["trials"][1]["freeze_point"] = "</title><script>alert(1)</script>"
    svg = front_svg([record])
    assert "<script" not in svg
    assert ET.fromstring(svg).get("aria-label") == "Front of <script>&\"'"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_small_studies_can_be_drawn(count):
    svg = front_svg([study("small", count)])
    ET.fromstring(svg)
    assert ("no finished trial yet" in svg) == (count == 0)


def test_crowds_show_intervals_on_the_front_alone():
    record = study("crowd", FAINT_BARS + 1)
    root = ET.fromstring(front_svg([record]))
    bars = [path for path in root.iter(f"{SVG}path") if (path.get("class") or "").startswith("bar")]
    assert len(bars) == len(front(record))


def test_three_objectives_have_points_and_no_line():
    record = study("three", 8)
    record["objectives"] = {**OBJECTIVES, "knn_distance": "maximize"}
    for trial in record["trials"]:
        trial["values"]["knn_distance"] = 100.0 + trial["number"]
    svg = front_svg([record])
    assert len(marks(ET.fromstring(svg))) == 8
    assert 'stroke-opacity=".8"' not in svg


def test_one_objective_can_be_drawn():
    record = study("one", 5)
    record["objectives"] = {"attack_accuracy": "minimize"}
    assert len(marks(ET.fromstring(front_svg([record])))) == 5


def test_it_asks_for_nothing_outside():
    svg = front_svg([study("one", 5)])
    assert re.findall(r"https?://[^\"' ]*", svg) == ["http://www.w3.org/2000/svg"]


def test_published_points_are_hollow_and_joined_by_dashes():
    published = points("attack=KEDMI,architecture=VGG16,public=FFHQ,protocol=single run")
    root = ET.fromstring(front_svg([study("mine", 5)], published=published, links=["trial-"]))
    assert len(list(root.iter(f"{SVG}a"))) == 5  # theirs lead nowhere
    theirs = [group for name, group in marks(root).items() if name.startswith("1-")]
    assert len(theirs) == len(published[0].trials)
    for group in theirs:
        (point,) = group.iter(f"{SVG}path")
        assert "printed" in point.get("class")
        assert published[0].study in group.find(f"{SVG}title").text
    dashed = [path for path in root.iter(f"{SVG}path") if path.get("stroke-dasharray") == "5 4"]
    assert len(dashed) == 2  # its step line, and its line in the legend
    names = {text.text for text in root.iter(f"{SVG}text")}
    assert {"mine", published[0].study} <= names


def test_a_long_legend_takes_more_lines_on_top():
    published = points("attack=PPA")
    root = ET.fromstring(front_svg([study("mine", 5)], published=published))
    _, top, width, height = map(float, root.get("viewBox").split())
    assert top < 0 and height > -top
    shifts = [re.match(r"translate\((\d+) (-?\d+)\)", g.get("transform") or "") for g in root.iter(f"{SVG}g")]
    spots = [(int(found[1]), int(found[2])) for found in shifts if found]
    assert len(spots) == len(set(spots)) >= len(published) + 1
    assert all(top < y <= 22 and x < width for x, y in spots)


def test_a_front_of_hundreds_is_labelled_now_and_then_and_without_bars():
    record = study("crowd", 300)
    for number, trial in enumerate(record["trials"]):
        trial["values"] = {"test_accuracy": number / 300, "attack_accuracy": number / 300}
    root = ET.fromstring(front_svg([record]))
    assert len(front(record)) == 300
    classes = [element.get("class") or "" for element in root.iter()]
    assert 0 < classes.count("tag") <= LABELLED + 1
    assert not any(name.startswith("bar") for name in classes)


def controlled(record, verdict="tells"):
    return record | {
        "controls": {
            "null": {"rate": 0.12, "interval": [0.1, 0.15]},
            "ceiling": {"attack_accuracy": 0.5, "interval": [0.4, 0.6], "test_accuracy": 0.9},
            "power": None,
            "verdict": {"verdict": verdict, "reason": "so it is", "remedies": []},
        }
    }


def test_the_measured_floor_stands_in_for_chance():
    plain, measured = front_svg([study("one", 12)]), front_svg([controlled(study("one", 12))])
    assert ">floor " in measured and ">ceiling " in measured and ">chance" not in measured
    assert ">floor " not in plain
    several = front_svg([controlled(study("one", 12)), controlled(study("two", 12, seed=1))])
    assert ">floor " not in several


def test_the_front_of_a_study_that_cannot_tell_is_hollow():
    def hollow(svg):
        return [
            path.get("class")
            for group in marks(ET.fromstring(svg)).values()
            for path in group.iter(f"{SVG}path")
        ].count("point printed")

    record = study("one", 12)
    assert hollow(front_svg([controlled(record)])) == 0
    assert hollow(front_svg([controlled(record, "cannot tell")])) == len(front(record))


def boxes(svg, kind):
    """Return text -> (left, top, right, bottom) of the texts of a class, drawn as wide as may be."""
    found = {}
    for text in ET.fromstring(svg).iter(f"{SVG}text"):
        if kind in (text.get("class") or "").split():
            wide, x, y = text_width(text.text, 12), float(text.get("x")), float(text.get("y"))
            left = x - wide if text.get("text-anchor") == "end" else x
            found[text.text] = (left, y - 10, left + wide, y + 3)
    return found


LEVELS = [(0.02, 1.0), (0.02, 0.925), (0.02, 0.035), (0.6, 0.62), (0.97, 1.0), (0.45, 0.55)]


@pytest.mark.parametrize(("floor", "ceiling"), LEVELS)
def test_floor_and_ceiling_are_written_inside_the_frame_and_apart(floor, ceiling):
    record = controlled(study("one", 12))
    for number, trial in enumerate(record["trials"]):
        trial["values"]["attack_accuracy"] = number / 11
    record["controls"]["null"]["rate"] = floor
    record["controls"]["ceiling"]["attack_accuracy"] = ceiling
    shown = boxes(front_svg([record]), "level")
    assert [text.split()[0] for text in shown] == ["floor", "ceiling"]
    for left, _, right, _ in shown.values():
        assert left >= LEFT and right <= WIDTH - RIGHT
    assert not overlap(*shown.values())
    alone = front_svg([study("one", 12)])
    assert [text.split()[0] for text in boxes(alone, "level")] == ["chance"]


def one_trial(accuracy, attacked, **more):
    record = study("one", 4)  # of which all but one are far behind
    for number, trial in enumerate(record["trials"]):
        trial["values"] = {"test_accuracy": 0.3, "attack_accuracy": 0.97}
        trial["interval"] = {}
        trial["freeze_point"] = "block1"
        if number == 1:
            trial["values"] = {"test_accuracy": accuracy, "attack_accuracy": attacked}
            trial.update(more)
    return record


@pytest.mark.parametrize("ceiling", [0.42, 0.44, 0.5, 0.55, 0.6, 0.65])
def test_labels_of_points_leave_floor_and_ceiling_visible(ceiling):
    for accuracy in (0.95, 0.97, 0.99, 1.0):
        record = controlled(one_trial(accuracy, 0.5))
        record["controls"]["ceiling"]["attack_accuracy"] = ceiling
        svg = front_svg([record])
        for label in boxes(svg, "tag").values():
            assert not any(overlap(label, level) for level in boxes(svg, "level").values())


def test_labels_of_points_leave_crosses_and_ties_visible():
    for right in range(-5, 16):
        for up in range(-5, 6):
            seen = {"test_accuracy": 0.7 + up / 100, "attack_accuracy": 0.5 + right / 100}
            svg = front_svg([one_trial(0.7, 0.5, stopped={"epoch": 4, **seen})])
            (tie,) = re.findall(
                r'd="M(\S+) (\S+)L(\S+) (\S+)" stroke="var\(--soft\)" stroke-dasharray="1 3"', svg
            )
            px, py, qx, qy = map(float, tie)
            for text, (left, top, end, bottom) in boxes(svg, "tag").items():
                right_end = left + 6.4 * len(text)  # the cross is free of what is drawn
                assert not (left < px < min(end, right_end) and top < py < bottom), (right, up)
                assert not covers((left, top, right_end, bottom), (px, py, qx, qy)), (right, up)


def test_links_can_be_reached_and_say_what_the_points_do():
    svg = front_svg([study("<one>", 3)], links=["trial-"])
    root = ET.fromstring(svg)
    assert root.get("role") == "group" and root.get("aria-label") == "Front of <one>"
    links = list(root.iter(f"{SVG}a"))
    for link in links:
        (title,) = link.iter(f"{SVG}title")
        assert link.get("aria-label") == title.text.replace("\n", "; ")
    assert len(links) == 3
    assert ET.fromstring(front_svg([study("<one>", 3)])).get("role") == "img"  # nothing in it to reach


def test_stopped_targets_are_crosses_tied_to_their_trials():
    record = study("one", 12)
    first, second = [trial for trial in front(record) if trial.defense != "none"][:2]
    figures = {"epoch": 4, "test_accuracy": 0.31, "attack_accuracy": 0.42, "verdict": "cannot tell"}
    for trial in record["trials"]:
        if trial["number"] in (first.number, second.number):
            trial["stopped"] = figures
    svg = front_svg([record])
    root = ET.fromstring(svg)
    crosses = [path for path in root.iter(f"{SVG}path") if path.get("class") == "stopped"]
    assert len(crosses) == 1  # both are held against one target
    assert "undefended, stopped after epoch 4" in crosses[0][0].text
    assert svg.count('stroke-dasharray="1 3"') == 2 and "undefended, stopped<" in svg
    plain = front_svg([study("one", 12)])
    assert "stopped" not in plain
    assert 'class="stopped"' not in front_svg([record, study("two", 12, seed=1)])


def test_points_alike_in_mark_and_freeze_point_are_labelled_by_the_knobs_in_which_they_differ():
    record = study("one", 12)
    rows = [  # each better in one objective than the one before; what they have in common is no label
        ("none", "none", {"population": "near", "epochs": 8}),
        ("none", "none", {"population": "far", "epochs": 8}),
        ("none", "conv3", {"population": "far", "epochs": 8}),
        ("bido", "conv3", {"population": "far", "epochs": 9}),
    ]
    record["trials"] = [
        {
            **record["trials"][0],
            "number": number,
            "defense": defense,
            "freeze_point": point,
            "params": {f"pretraining.data.{path}": value for path, value in knobs.items()},
            "values": {"test_accuracy": 0.9 - number / 10, "attack_accuracy": 0.5 - number / 10},
        }
        for number, (defense, point, knobs) in enumerate(rows)
    ]
    record["trials"][3]["params"]["defense.lambda_x"] = 0.1
    told = {"undefended, near", "undefended, far", "conv3, far"}
    assert set(boxes(front_svg([record]), "tag")) == told
    record["trials"][1]["params"]["pretraining.data.epochs"] = 9
    told = {
        "undefended, near, epochs 8",
        "undefended, far, epochs 9",
        "conv3, far, epochs 8",
        "conv3, far, epochs 9",
    }
    assert set(boxes(front_svg([record]), "tag")) == told
    del record["trials"][1]
    assert set(boxes(front_svg([record]), "tag")) == {"undefended", "conv3"}
