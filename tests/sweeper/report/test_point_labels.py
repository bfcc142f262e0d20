import random
import re

from sweeper.report.point_labels import Labels


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


def test_labels_are_escaped():
    labels = Labels((0, 0, 800, 500))
    labels.add(100, 100, "<b>&")
    assert re.search(r">&lt;b&gt;&amp;</text>$", labels.drawn[0])
