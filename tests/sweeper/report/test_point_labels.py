import random
import re

from sweeper.report.point_labels import Labels, covers, overlap


def test_labels_stay_inside_and_apart_where_there_is_room():
    draw = random.Random(0)
    labels = Labels((0, 0, 800, 500))
    spots = [(x, y) for x in range(60, 760, 140) for y in range(40, 480, 90)]
    for x, y in spots:
        labels.avoid(x, y)
    for x, y in draw.sample(spots, 12):
        labels.add(x, y, "block3")
    for left, top, right, bottom in labels.boxes:
        assert left >= 0 and top >= 0 and right <= 800 and bottom <= 500
        assert not any(left < px < right and top < py < bottom for px, py in spots)
    for i, (a, b, c, d) in enumerate(labels.boxes):
        for e, f, g, h in labels.boxes[:i]:
            assert a >= g or c <= e or b >= h or d <= f


def test_labels_avoid_what_is_written_before_points_and_points_before_ties():
    free = Labels((0, 0, 800, 500))
    free.add(400, 250, "block3")
    (first,) = free.boxes
    for fill in ("box", "point", "tie"):
        labels = Labels((0, 0, 800, 500))
        if fill == "box":
            labels.boxes.append(first)
        elif fill == "point":
            labels.avoid((first[0] + first[2]) / 2, (first[1] + first[3]) / 2)
        else:
            labels.ties.append((first[0] - 5, first[3], first[2] + 5, first[1]))
        labels.add(400, 250, "block3")
        assert not overlap(labels.boxes[-1], first)
    # Where points are beside every place but the first, a tie gives way.
    labels = Labels((0, 0, 800, 500))
    for x, y in ((360, 240), (420, 265), (370, 265), (400, 230), (400, 272)):
        labels.avoid(x, y)
    labels.ties += 3 * [(400, 250, 460, 236)]
    labels.add(400, 250, "block3")
    assert covers(labels.boxes[-1], labels.ties[0]) and labels.boxes[-1] == first


def test_a_line_is_under_a_box_that_it_passes():
    box = (10, 10, 30, 20)
    assert covers(box, (0, 0, 40, 30)) and covers(box, (20, 15, 20, 15)) and covers(box, (20, 0, 20, 40))
    assert not covers(box, (0, 0, 40, 0)) and not covers(box, (0, 20, 10, 40))


def test_labels_are_escaped():
    labels = Labels((0, 0, 800, 500))
    labels.add(100, 100, "<b>&")
    assert re.search(r">&lt;b&gt;&amp;</text>$", labels.drawn[0])
