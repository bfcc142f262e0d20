import pytest
import yaml

from search_spaces.domains import Branch, Choice, Float, Int, Ordered, Switch
from search_spaces.parse import parse
from search_spaces.space import decode, grid, paths

POINTS = ("none", "stem", "last")


def read(text):
    return parse(yaml.safe_load(text), POINTS)


def test_names_and_domains_make_one_space():
    space = read(
        """
        - freeze_depth
        - defenses
        - {target.frozen_batchnorm: {choice: [eval, train]}}
        - {target.learning_rate: {float: [1e-4, 1e-2], log: true}}
        - {target.batch_size: {int: [16, 64]}, attack.width: {ordered: [8, 16, 32]}}
        """
    )
    assert space["target.freeze_point"] == Ordered(POINTS)
    assert space["target.frozen_batchnorm"] == Choice(("eval", "train"))
    assert space["target.learning_rate"] == Float(1e-4, 1e-2, log=True)  # YAML reads 1e-4 as text
    assert space["target.batch_size"] == Int(16, 64)
    assert space["attack.width"] == Ordered((8, 16, 32))
    assert list(space)[:2] == ["target.freeze_point", "defense"]


def test_cases_set_several_paths_at_once():
    text = """
    - start: {cases: {far: {a.kind: set, a.size: 3, a.parts: [1, 2]}, scratch: {a.kind: none}}}
    - b: {ordered: [1, 2]}
    """
    space = read(text)
    far, scratch = {"a.kind": "set", "a.size": 3, "a.parts": (1, 2)}, {"a.kind": "none"}
    assert space["start"] == Switch({"far": Branch(far), "scratch": Branch(scratch)})
    assert paths(space) == ("a.kind", "a.parts", "a.size", "b")
    drawn = [decode(space, raw) for raw in grid(space)]
    assert drawn == [{**case, "b": b} for case in (far, scratch) for b in (1, 2)]


def test_one_item_needs_no_list():
    assert parse("freeze_depth", POINTS) == read("[freeze_depth]")
    assert parse({"a": {"choice": [1]}}, POINTS) == {"a": Choice((1,))}


def test_a_value_may_be_a_list_or_null():
    space = read(
        "[{target.trained: {choice: [null, [stem], [stem, last], []]}}, {a: {ordered: [[1, 2], [3]]}}]"
    )
    assert space["target.trained"] == Choice((None, ("stem",), ("stem", "last"), ()))
    assert space["a"] == Ordered(((1, 2), (3,)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must not be empty; name at least one of freeze_depth"),
        ("[freeze_dept]", "got 'freeze_dept'; did you mean 'freeze_depth'"),
        ("[3]", "a name or a mapping of a path to a domain; got 3"),
        ("3", "must be a list of names and domains; got 3"),
        ("[bido, mid]", "'bido' and 'mid' both set defense"),
        ("[freeze_depth, {target.freeze_point: {choice: [a]}}]", "both set target.freeze_point"),
        ("[{a: {flot: [0, 1]}}]", "domain of a must have one of the keys float, int, choice, ordered, cases"),
        ("[{a: 3}]", "domain of a must have one of the keys"),
        ("[{a: {float: [0, 1], int: [0, 1]}}]", "must have one of the keys"),
        ("[{a: {float: [0, 1], lgo: true}}]", "got 'lgo'; did you mean 'log'"),
        ("[{a: {choice: [0, 1], log: true}}]", "may have the keys choice; got 'log'"),
        ("[{a: {float: [0, 1], log: 3}}]", "log of a must be true or false; got 3"),
        ("[{a: {float: 3}}]", "float of a must be a list; got 3"),
        ("[{a: {float: [1]}}]", r"two ends \[low, high\]; got \[1\]"),
        ("[{a: {float: [1, x]}}]", "expected a number; got 'x'"),
        ("[{a: {float: [true, 2]}}]", "expected a number; got True"),
        ("[{a: {int: [null, 2]}}]", "expected a number; got None"),
        ("[{trial.a.b: {float: [1, 2]}}]", "below trial: got 'trial.a.b', write 'a.b'"),
        ("[{a: {float: [2, 1]}}]", "domain of a is not valid: a range needs its low end below"),
        ("[{a: {int: [1, 2.5]}}]", "expected a whole number; got 2.5"),
        ("[{a: {int: [1, .inf]}}]", "expected a whole number; got inf"),
        ("[{a: {cases: [b]}}]", "cases of a must be a mapping of names to mappings of paths; got"),
        ("[{a: {cases: {}}}]", "cases of a must be a mapping"),
        ("[{a: {cases: {b: c}}}]", "cases of a must be a mapping"),
        ("[{a: {cases: {b: {c: [[1]]}}}}]", "domain of a is not valid: expected names, numbers"),
        ("[{c: {choice: [1]}}, {a: {cases: {b: {c: 1}}}}]", "'c' and 'a' both set c"),
        ("[{a: {choice: []}}]", "at least one value"),
        ("[{a: {choice: [[[1]]]}}]", r"truth values, null, or lists of them; got \[1\]"),
        ("[{a: {choice: [{b: 1}]}}]", r"truth values, null, or lists of them; got {'b': 1}"),
        ("[{a: {choice: [[b, c], '[b, c]']}}]", r"distinct values; got \[b, c\] more than once"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        read(text)
