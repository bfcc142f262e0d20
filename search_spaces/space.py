"""Functions of a space: draw from it, list it, size it, write it down, and name the trials to start with.

An optimiser sees one parameter per choice that it really has. Its name is the path it sets, qualified by the
branch it lives in (``defense.bido_hsic.lambda_x``), so that two branches never share a parameter by accident.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Protocol

from search_spaces.domains import Choice, Domain, Float, Int, Ordered, Rows, Switch, Value

Assignment = dict[str, Any]


class Suggest(Protocol):
    """Whoever chooses values; an Optuna trial fits."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def _inner(name: str, key: str, branch: str, path: str) -> str:
    """Return the optimiser's name of `path` inside `branch` of the switch `key`, itself called `name`."""
    return f"{name}.{branch}.{path.removeprefix(key + '.')}"


def draw(space: Mapping[str, Domain], suggest: Suggest) -> Assignment:
    """Return path -> value, with every choice made by `suggest`."""
    drawn: Assignment = {}
    for key, domain in space.items():
        drawn |= _draw(key, key, domain, suggest)
    return drawn


def _draw(name: str, key: str, domain: Domain, suggest: Suggest) -> Assignment:
    match domain:
        case Float():
            return {key: suggest.suggest_float(name, domain.low, domain.high, log=domain.log)}
        case Int():
            return {key: suggest.suggest_int(name, domain.low, domain.high, log=domain.log)}
        case Choice():
            return {key: _plain(domain.named(suggest.suggest_categorical(name, list(domain.labels))))}
        case Ordered():
            return {key: _plain(domain.values[suggest.suggest_int(name, 0, len(domain.values) - 1)])}
        case Rows():
            return dict(domain.rows[suggest.suggest_categorical(name, list(range(len(domain.rows))))])
        case Switch():
            chosen = suggest.suggest_categorical(name, list(domain.branches))
            branch = domain.branches[chosen]
            drawn = dict(branch.fixed)
            for path, inner in branch.space.items():
                drawn |= _draw(_inner(name, key, chosen, path), path, inner, suggest)
            return drawn


def _plain(value: Value) -> Any:
    """Return a value as documents have it: lists instead of tuples."""
    return list(value) if isinstance(value, tuple) else value


class _Replay:
    """Choices made before, by optimiser name."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self.raw[name])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self.raw[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.raw[name]


def decode(space: Mapping[str, Domain], raw: Mapping[str, Any]) -> Assignment:
    """Return path -> value for an optimiser's `raw` values (of `anchors`, `grid`, or a stored trial)."""
    return draw(space, _Replay(raw))


class _Dice:
    """Choices made at random, uniformly, and kept by optimiser name."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.raw: dict[str, Any] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = self.dice.uniform(math.log(low), math.log(high)) if log else self.dice.uniform(low, high)
        self.raw[name] = min(max(math.exp(value), low), high) if log else value
        return float(self.raw[name])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        value = round(self.suggest_float(name, low - 0.5, high + 0.5, log=log))  # the ends are as likely
        self.raw[name] = min(max(value, low), high)
        return int(self.raw[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.raw[name] = self.dice.choice(list(choices))
        return self.raw[name]


def at_random(space: Mapping[str, Domain], dice: random.Random) -> dict[str, Any]:
    """Return an optimiser's raw values of one draw, each uniform in its range (or its logarithm)."""
    made = _Dice(dice)
    draw(space, made)
    return made.raw


def parameters(space: Mapping[str, Domain]) -> Iterator[tuple[str, Float | Int | Choice | Ordered]]:
    """Yield every parameter of every branch, as (the optimiser's name, what it is drawn from).

    A switch is the choice of a branch, and a grid the choice of a row. An optimiser that cannot do with a
    space whose parameters come and go draws all of them and lets `decode` take what counts.
    """
    for key, domain in space.items():
        yield from _parameters(key, key, domain)


def _parameters(name: str, key: str, domain: Domain) -> Iterator[tuple[str, Float | Int | Choice | Ordered]]:
    match domain:
        case Rows():
            yield name, Choice(tuple(range(len(domain.rows))))
        case Switch():
            yield name, Choice(tuple(domain.branches))
            for label, branch in domain.branches.items():
                for path, inner in branch.space.items():
                    yield from _parameters(_inner(name, key, label, path), path, inner)
        case _:
            yield name, domain


def paths(space: Mapping[str, Domain]) -> tuple[str, ...]:
    """Return every path that some draw sets, sorted."""
    names: set[str] = set()
    for key, domain in space.items():
        if isinstance(domain, Switch):
            for branch in domain.branches.values():
                names |= {*branch.fixed, *paths(branch.space)}
        elif isinstance(domain, Rows):
            names |= {path for row in domain.rows for path in row}
        else:
            names.add(key)
    return tuple(sorted(names))


def values(space: Mapping[str, Domain], path: str) -> Iterator[Any]:
    """Yield what some draw sets `path` to; of a range its ends."""
    for key, domain in space.items():
        if isinstance(domain, Switch):
            for branch in domain.branches.values():
                yield from (_plain(value) for name, value in branch.fixed.items() if name == path)
                yield from values(branch.space, path)
        elif isinstance(domain, Rows):
            yield from (_plain(row[path]) for row in domain.rows if path in row)
        elif key == path and isinstance(domain, Int | Float):
            yield from (domain.low, domain.high)
        elif key == path and isinstance(domain, Choice | Ordered):
            yield from map(_plain, domain.values)


def size(space: Mapping[str, Domain]) -> int | None:
    """Return the number of distinct raw assignments, or None if there are infinitely many."""
    total = 1
    for domain in space.values():
        count = _size(domain)
        if count is None:
            return None
        total *= count
    return total


def _size(domain: Domain) -> int | None:
    match domain:
        case Float():
            return None
        case Int():
            return domain.high - domain.low + 1
        case Choice() | Ordered():
            return len(domain.values)
        case Rows():
            return len(domain.rows)
        case Switch():
            counts = [size(branch.space) for branch in domain.branches.values()]
            return None if None in counts else sum(count for count in counts if count is not None)


def grid(space: Mapping[str, Domain]) -> Iterator[dict[str, Any]]:
    """Yield every raw assignment of a finite space, the last domain varying fastest.

    Raises ValueError naming a domain with infinitely many values.
    """
    for combination in product(*(list(_grid(key, key, domain)) for key, domain in space.items())):
        yield {name: value for part in combination for name, value in part.items()}


def _grid(name: str, key: str, domain: Domain) -> Iterator[dict[str, Any]]:
    match domain:
        case Float():
            raise ValueError(
                f"a grid needs finitely many values; '{name}' is any real in [{domain.low}, {domain.high}]; "
                "make it a choice, or take another sampler"
            )
        case Int():
            yield from ({name: value} for value in range(domain.low, domain.high + 1))
        case Choice():
            yield from ({name: label} for label in domain.labels)
        case Ordered():
            yield from ({name: position} for position in range(len(domain.values)))
        case Rows():
            yield from ({name: position} for position in range(len(domain.rows)))
        case Switch():
            for label, branch in domain.branches.items():
                inner = [list(_grid(_inner(name, key, label, p), p, d)) for p, d in branch.space.items()]
                for combination in product(*inner):
                    yield {name: label} | {n: value for part in combination for n, value in part.items()}


def anchors(space: Mapping[str, Domain]) -> list[dict[str, Any]]:
    """Return the raw assignments to try before any sampler, in order and without repeats.

    First every domain at its reference (undefended, nothing frozen). Then each domain's other marks, one
    domain at a time: the last and the middle freeze point, the published setting of each defense. Last, where
    several domains have marks, one assignment that leaves the reference in all of them at once.
    """
    marks = {key: _marks(key, key, domain) for key, domain in space.items()}
    reference = {name: value for options in marks.values() for name, value in options[0].items()}
    assignments = [reference]
    for key, options in marks.items():
        rest = {n: v for k, other in marks.items() if k != key for n, v in other[0].items()}
        assignments += [rest | option for option in options[1:]]
    if sum(len(options) > 1 for options in marks.values()) > 1:
        together = [_paired(space[key], options) for key, options in marks.items()]
        assignments.append({name: value for part in together for name, value in part.items()})
    distinct: list[dict[str, Any]] = []
    for anchor in assignments:
        if anchor not in distinct:
            distinct.append(anchor)
    return distinct


def _paired(domain: Domain, options: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mark for the combined anchor: the middle of an axis, the first defense of a switch."""
    return options[-1] if isinstance(domain, Ordered) else options[min(1, len(options) - 1)]


def _marks(name: str, key: str, domain: Domain) -> list[dict[str, Any]]:
    """Return the raw values that anchors use, the reference first."""
    match domain:
        case Float() | Int():
            return [{name: _start(domain)}]
        case Choice():
            return [{name: domain.labels[0]}]
        case Ordered():
            last = len(domain.values) - 1
            return [{name: position} for position in dict.fromkeys((0, last, (last + 1) // 2))]
        case Rows():
            return [{name: position} for position in range(min(2, len(domain.rows)))]
        case Switch():
            marks = []
            for label, branch in domain.branches.items():
                mark: dict[str, Any] = {name: label}
                for path, inner in branch.space.items():
                    mark |= _marks(_inner(name, key, label, path), path, inner)[0]
                marks.append(mark)
            return marks


def _start(domain: Float | Int) -> float | int:
    if domain.start is not None:
        return domain.start
    if domain.log:
        middle = math.exp((math.log(domain.low) + math.log(domain.high)) / 2)
    else:
        middle = (domain.low + domain.high) / 2
    return round(middle) if isinstance(domain, Int) else middle


def describe(space: Mapping[str, Domain]) -> dict[str, Any]:
    """Return the space as JSON-ready data that changes when a stored trial could mean another thing."""
    return {key: _describe(domain) for key, domain in sorted(space.items())}


def _describe(domain: Domain) -> dict[str, Any]:
    match domain:
        case Float() | Int():
            kind = "float" if isinstance(domain, Float) else "int"
            return {kind: [domain.low, domain.high], "log": domain.log}
        case Choice():
            return {"choice": [_plain(value) for value in domain.values]}
        case Ordered():
            return {"ordered": [_plain(value) for value in domain.values]}
        case Rows():
            return {"rows": [dict(row) for row in domain.rows]}
        case Switch():  # a list: the order of the branches is part of a stored categorical parameter
            return {
                "switch": [
                    {"branch": label, "fixed": dict(branch.fixed), "space": describe(branch.space)}
                    for label, branch in domain.branches.items()
                ]
            }
