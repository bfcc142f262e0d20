import json
import math
import random

import pytest

from search_spaces.domains import Branch, Choice, Float, Int, Ordered, Rows, Switch
from search_spaces.space import (
    anchors,
    at_random,
    decode,
    describe,
    draw,
    grid,
    parameters,
    paths,
    size,
    values,
)

SPACE = {
    "target.freeze_point": Ordered(("none", "stem", "middle", "last")),
    "defense": Switch(
        {
            "none": Branch({"defense.kind": "none"}),
            "loud": Branch({"defense.kind": "noise"}, {"defense.scale": Float(1.0, 2.0, start=1.25)}),
            "quiet": Branch({"defense.kind": "noise"}, {"defense.scale": Float(0.01, 0.1, log=True)}),
        }
    ),
    "target.batch_size": Int(16, 64),
}

FINITE = {
    "a": Ordered(("x", "y")),
    "b": Switch(
        {
            "one": Branch({"b.kind": 1}),
            "two": Branch({"b.kind": 2}, {"b.depth": Int(1, 3), "b.flip": Choice((True, False))}),
        }
    ),
    "c": Rows(({"c.x": 1, "c.y": 2}, {"c.x": 3, "c.y": 4})),
}


class Dice:
    """A random `Suggest` that remembers what it was asked, by name."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.seen = {}

    def suggest_float(self, name, low, high, *, log=False):
        return self._keep(name, (low, high, log), self.random.uniform(low, high))

    def suggest_int(self, name, low, high, *, log=False):
        return self._keep(name, (low, high, log), self.random.randint(low, high))

    def suggest_categorical(self, name, choices):
        return self._keep(name, tuple(choices), self.random.choice(choices))

    def _keep(self, name, asked, value):
        assert name not in self.seen
        self.seen[name] = (asked, value)
        return value


def raw(dice):
    return {name: value for name, (_, value) in dice.seen.items()}


def test_draw_takes_one_branch_and_reports_plain_paths():
    kinds = set()
    for seed in range(40):
        dice = Dice(seed)
        drawn = draw(SPACE, dice)
        chosen = dice.seen["defense"][1]
        kinds.add(chosen)
        assert set(drawn) == {"target.freeze_point", "defense.kind", "target.batch_size"} | (
            set() if chosen == "none" else {"defense.scale"}
        )
        assert drawn["target.freeze_point"] in SPACE["target.freeze_point"].values
        if chosen != "none":
            assert drawn["defense.scale"] == dice.seen[f"defense.{chosen}.scale"][1]
    assert kinds == {"none", "loud", "quiet"}


def test_names_mean_one_distribution_each():
    distributions = {}
    for seed in range(60):
        dice = Dice(seed)
        draw(SPACE, dice)
        for name, (asked, _) in dice.seen.items():
            assert distributions.setdefault(name, asked) == asked
    assert set(distributions) == {
        "target.freeze_point",
        "target.batch_size",
        "defense",
        "defense.loud.scale",
        "defense.quiet.scale",
    }


def test_a_switch_in_a_switch_qualifies_twice():
    inner = Switch({"p": Branch({"d.mode": "p"}), "q": Branch({"d.mode": "q"}, {"d.w": Float(0, 1)})})
    space = {"d": Switch({"only": Branch({"d.kind": "k"}, {"d.inner": inner})})}
    drawn = decode(space, {"d": "only", "d.only.inner": "q", "d.only.inner.q.d.w": 0.5})
    assert drawn == {"d.kind": "k", "d.mode": "q", "d.w": 0.5}


def test_decode_repeats_a_draw():
    for seed in range(20):
        dice = Dice(seed)
        assert draw(SPACE, dice) == decode(SPACE, raw(dice))


def test_grid_lists_every_assignment_once():
    listed = list(grid(FINITE))
    assert len(listed) == size(FINITE) == 2 * (1 + 3 * 2) * 2
    assert len({json.dumps(one, sort_keys=True) for one in listed}) == len(listed)
    met = {json.dumps(decode(FINITE, one), sort_keys=True) for one in listed}
    for seed in range(200):
        assert json.dumps(draw(FINITE, Dice(seed)), sort_keys=True) in met


def test_an_infinite_space_has_no_size_and_no_grid():
    assert size(SPACE) is None
    with pytest.raises(ValueError, match=r"'defense\.loud\.scale' is any real in \[1\.0, 2\.0\]"):
        list(grid(SPACE))


def test_paths_are_those_of_all_draws():
    met = set()
    for seed in range(60):
        met |= set(draw(SPACE, Dice(seed)))
    assert set(paths(SPACE)) == met
    assert paths(FINITE) == ("a", "b.depth", "b.flip", "b.kind", "c.x", "c.y")


def test_values_are_what_draws_set_a_path_to():
    inner = {"seed": Int(3, 9), "other": Choice((1, 2))}
    space = {
        "switch": Switch({"a": Branch({"seed": 0}), "b": Branch({"other": 5}, inner)}),
        "rows": Rows(({"other": 7, "seed": 1}, {"other": 8})),
        "lists": Choice(((1, 2), None)),
    }
    assert list(values(space, "seed")) == [0, 3, 9, 1]
    assert list(values(space, "lists")) == [[1, 2], None]
    assert list(values(space, "switch")) == []


def test_anchors_start_at_the_reference_and_move_one_domain_at_a_time():
    found = [decode(SPACE, anchor) for anchor in anchors(SPACE)]
    size_40 = {"target.batch_size": 40}
    geometric = pytest.approx((0.01 * 0.1) ** 0.5)
    assert found == [
        {"target.freeze_point": "none", "defense.kind": "none"} | size_40,
        {"target.freeze_point": "last", "defense.kind": "none"} | size_40,
        {"target.freeze_point": "middle", "defense.kind": "none"} | size_40,
        {"target.freeze_point": "none", "defense.kind": "noise", "defense.scale": 1.25} | size_40,
        {"target.freeze_point": "none", "defense.kind": "noise", "defense.scale": geometric} | size_40,
        {"target.freeze_point": "middle", "defense.kind": "noise", "defense.scale": 1.25} | size_40,
    ]


def test_anchors_of_small_spaces_do_not_repeat():
    assert anchors({"a": Ordered(("x",))}) == [{"a": 0}]
    assert anchors({"a": Ordered(("x", "y"))}) == [{"a": 0}, {"a": 1}]
    assert anchors({"a": Choice(("x", "y")), "b": Float(0, 1)}) == [{"a": "x", "b": 0.5}]
    assert anchors({"a": Int(1, 100, log=True)}) == [{"a": 10}]
    assert anchors({"a": Rows(({"x": 1}, {"x": 2}, {"x": 3}))}) == [{"a": 0}, {"a": 1}]


def test_describe_is_json_and_sees_every_change():
    text = json.dumps(describe(SPACE), sort_keys=True)
    assert json.loads(text) == describe(SPACE)
    switch = SPACE["defense"]
    reordered = Switch(dict(reversed(switch.branches.items())))
    for change in (
        {"target.batch_size": Int(16, 65)},
        {"target.batch_size": Int(16, 64, log=True)},
        {"target.freeze_point": Ordered(("none", "stem", "last"))},
        {"defense": reordered},
        {"new": Float(0, 1)},
        {"target.batch_size": Float(16, 64)},
        {"target.freeze_point": Choice(("none", "stem", "middle", "last"))},
    ):
        assert json.dumps(describe(SPACE | change), sort_keys=True) != text
    assert json.dumps(describe(dict(reversed(SPACE.items()))), sort_keys=True) == text


@pytest.mark.parametrize("space", [SPACE, FINITE])
def test_parameters_are_those_that_draws_ask_for(space):
    asked = {}
    for seed in range(60):
        dice = Dice(seed)
        draw(space, dice)
        asked |= {name: how for name, (how, _) in dice.seen.items()}
    listed = dict(parameters(space))
    assert set(listed) == set(asked)
    for name, domain in listed.items():
        match domain:
            case Float() | Int():
                assert asked[name] == (domain.low, domain.high, domain.log)
            case Ordered():
                assert asked[name] == (0, len(domain.values) - 1, False)
            case Choice():
                assert asked[name] == domain.values


def test_decode_takes_what_counts_of_all_parameters():
    everything = {name: 1 for name, _ in parameters(SPACE)} | {"defense": "loud", "defense.loud.scale": 1.5}
    assert decode(SPACE, everything) == {
        "target.freeze_point": "stem",
        "defense.kind": "noise",
        "defense.scale": 1.5,
        "target.batch_size": 1,
    }


def test_a_random_draw_decodes_to_values_of_its_domains():
    space = {
        "rate": Float(1e-4, 1e-1, log=True),
        "x": Float(2.0, 3.0),
        "count": Int(3, 5),
        "wide": Int(1, 1000, log=True),
        "k": Choice(("a", "b")),
        "stage": Ordered(("none", "one", "two")),
    }
    dice = random.Random(0)
    drawn = [decode(space, at_random(space, dice)) for _ in range(400)]
    assert all(1e-4 <= one["rate"] <= 1e-1 and 2 <= one["x"] <= 3 for one in drawn)
    assert {one["count"] for one in drawn} == {3, 4, 5}
    assert {one["stage"] for one in drawn} == {"none", "one", "two"}
    assert {one["k"] for one in drawn} == {"a", "b"}
    assert 0.4 < sum(one["rate"] < 10**-2.5 for one in drawn) / 400 < 0.6  # the middle of the logarithms
    assert 0.4 < sum(one["wide"] < 1000**0.5 for one in drawn) / 400 < 0.6


@pytest.mark.parametrize(
    ("domain", "chances"),
    [
        (Int(3, 5), [1 / 3] * 3),
        (Int(0, 1), [1 / 2] * 2),
        (Ordered(("none", "one", "two", "last")), [1 / 4] * 4),
        (Choice(("a", "b", "c")), [1 / 3] * 3),
        (Int(1, 6, log=True), [math.log((n + 0.5) / (n - 0.5)) / math.log(13) for n in range(1, 7)]),
    ],
)
def test_a_random_draw_takes_each_value_as_often_as_its_share_of_the_range(domain, chances):
    """Of whole numbers too, the first and the last among them: "nothing frozen" is an end."""
    dice, count = random.Random(0), 8000
    drawn = [at_random({"x": domain}, dice)["x"] for _ in range(count)]
    values = [raw["x"] for raw in grid({"x": domain})]
    assert all(type(value) is type(values[0]) for value in drawn) and set(drawn) == set(values)
    for value, chance in zip(values, chances, strict=True):
        assert drawn.count(value) / count == pytest.approx(chance, abs=5 * (chance / count) ** 0.5)


def test_an_optimiser_names_a_list_and_the_trial_gets_it():
    sets = Choice((None, ("conv1", "conv2"), ("conv3",), ()))
    space = {"target.trained": sets, "skips": Ordered(((1, 0), (0, 1)))}
    raws = list(grid(space))
    assert [raw["target.trained"] for raw in raws[::2]] == [None, "[conv1, conv2]", "[conv3]", "[]"]
    assert all(type(raw["skips"]) is int for raw in raws)
    drawn = [decode(space, json.loads(json.dumps(raw))) for raw in raws]  # as a database gives them back
    assert [one["target.trained"] for one in drawn[::2]] == [None, ["conv1", "conv2"], ["conv3"], []]
    assert [one["skips"] for one in drawn[:2]] == [[1, 0], [0, 1]]
    assert decode(space, anchors(space)[0]) == {"target.trained": None, "skips": [1, 0]}
    text = json.dumps(describe(space))
    assert (
        json.loads(text) == describe(space) and describe(space)["target.trained"]["choice"][1][0] == "conv1"
    )
    dice = random.Random(0)
    found = [decode(space, at_random(space, dice))["target.trained"] for _ in range(60)]
    assert {json.dumps(one) for one in found} == {"null", '["conv1", "conv2"]', '["conv3"]', "[]"}
