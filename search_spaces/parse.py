"""Turn the ``space`` of a study file into one space."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from search_spaces import SPACES
from search_spaces.domains import Branch, Choice, Domain, Float, Int, Ordered, Single, Space, Switch, Value
from search_spaces.space import paths

Item = str | Mapping[str, Any]

_DOMAINS = ("float", "int", "choice", "ordered", "cases")


def parse(items: Item | Sequence[Item], freeze_points: tuple[str, ...]) -> Space:
    """Return the product of `items`: names from `SPACES`, or mappings of a path to a domain.

    A domain is ``{float: [low, high], log: true}``, ``{int: [low, high]}``, ``{choice: [a, b]}``,
    ``{ordered: [a, b]}``, or ``{cases: {name: {path: value, …}, …}}``, of which one sets all its paths at
    once; what stands before such a domain is a name of its own. A value may also be null, or a list of
    values. `freeze_points` are the target's, in order. Raises ValueError for an unknown name, a domain that
    makes no sense, two items that set the same path, and an empty space.
    """
    if isinstance(items, str | Mapping):
        items = [items]
    if not isinstance(items, Sequence):
        raise ValueError(f"space must be a list of names and domains; got {items!r}")
    space: Space = {}
    owner: dict[str, str] = {}
    for item in items:
        for label, part in _parts(item, freeze_points):
            for taken in {*part, *paths(part)}:
                if taken in owner:
                    raise ValueError(
                        f"space must set each path once; '{owner[taken]}' and '{label}' both set {taken}"
                    )
                if taken.startswith("trial."):
                    own = taken.removeprefix("trial.")
                    raise ValueError(f"a path of space begins below trial: got '{taken}', write '{own}'")
                owner[taken] = label
            space |= part
    if not space:
        raise ValueError(
            f"space must not be empty; name at least one of {', '.join(SPACES)}, or give a domain"
        )
    return space


def _parts(item: Item, freeze_points: tuple[str, ...]) -> list[tuple[str, Space]]:
    if isinstance(item, str):
        if item not in SPACES:
            raise ValueError(
                f"space must be one of {', '.join(SPACES)}; got '{item}'{_nearest(item, tuple(SPACES))}"
            )
        return [(item, SPACES[item].make(freeze_points))]
    if isinstance(item, Mapping):
        return [(str(path), {str(path): _domain(str(path), domain)}) for path, domain in item.items()]
    raise ValueError(f"an item of space must be a name or a mapping of a path to a domain; got {item!r}")


def _nearest(word: str, words: tuple[str, ...]) -> str:
    near = get_close_matches(word, words, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _domain(path: str, given: Any) -> Domain:
    kinds = [key for key in given if key in _DOMAINS] if isinstance(given, Mapping) else []
    if len(kinds) != 1:
        raise ValueError(
            f"the domain of {path} must have one of the keys {', '.join(_DOMAINS)}, "
            f"as in {{float: [0.001, 0.1], log: true}}; got {given!r}"
        )
    kind, body = kinds[0], given[kinds[0]]
    allowed = {kind, "log"} if kind in ("float", "int") else {kind}
    surplus = [str(key) for key in given if key not in allowed]
    if surplus:
        raise ValueError(
            f"the domain of {path} may have the keys {', '.join(sorted(allowed))}; got '{surplus[0]}'"
            + _nearest(surplus[0], tuple(allowed))
        )
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ValueError(f"log of {path} must be true or false; got {log!r}")
    if kind == "cases":
        return _cases(path, body)
    if isinstance(body, str) or not isinstance(body, Sequence):
        raise ValueError(f"{kind} of {path} must be a list; got {body!r}")
    try:
        if kind == "choice":
            return Choice(tuple(_value(value) for value in body))
        if kind == "ordered":
            return Ordered(tuple(_value(value) for value in body))
        if len(body) != 2:
            raise ValueError(f"a range needs two ends [low, high]; got {list(body)}")
        if kind == "float":
            return Float(_real(body[0]), _real(body[1]), log)
        return Int(_whole(body[0]), _whole(body[1]), log)
    except ValueError as error:
        raise ValueError(f"the domain of {path} is not valid: {error}") from None


def _cases(name: str, body: Any) -> Switch:
    """Return the switch whose branches set paths, and search nothing further."""
    if (
        not isinstance(body, Mapping)
        or not body
        or not all(isinstance(case, Mapping) for case in body.values())
    ):
        raise ValueError(f"cases of {name} must be a mapping of names to mappings of paths; got {body!r}")
    try:
        branches = {
            str(label): Branch({str(path): _value(value) for path, value in case.items()})
            for label, case in body.items()
        }
    except ValueError as error:
        raise ValueError(f"the domain of {name} is not valid: {error}") from None
    return Switch(branches)


def _value(value: Any) -> Value:
    return tuple(map(_single, value)) if isinstance(value, list) else _single(value)


def _single(value: Any) -> Single:
    if isinstance(value, str | int | float | None):
        return value
    raise ValueError(f"expected names, numbers, truth values, null, or lists of them; got {value!r}")


def _real(value: Any) -> float:
    """Return `value` as a float. YAML 1.1 reads ``1e-4`` (no dot) as text, so a number in text counts."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise ValueError(f"expected a number; got {value!r}")


def _whole(value: Any) -> int:
    number = _real(value)
    if not number.is_integer():
        raise ValueError(f"expected a whole number; got {value!r}")
    return int(number)
