"""One trial in a document: YAML or dict in, frozen dataclasses out, every mistake with its path."""

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError

from trainables.architectures import freeze_points, get_architecture
from trainables.attacks import ATTACKS
from trainables.attacks.base import Attack
from trainables.attacks.plan import AttackPlan
from trainables.datasets import DATASETS
from trainables.datasets.base import Dataset
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense
from trainables.errors import ConfigError, placed
from trainables.judges import JUDGES
from trainables.judges.base import Judge
from trainables.method import FILE, knobs_marked
from trainables.metrics import METRICS
from trainables.metrics.base import Metric
from trainables.metrics.requested import requested
from trainables.nn.precision import AskedFormat
from trainables.pretraining import PRETRAININGS
from trainables.pretraining.base import Pretraining
from trainables.priors import PRIORS
from trainables.priors.base import Prior
from trainables.runtime.checks import at_least, fraction
from trainables.storage.documents import check_numbers, expand_home, in_words, read_yaml, suggestion
from trainables.storage.store import to_json
from trainables.training.classifier import Target
from trainables.training.freeze import check_trained
from trainables.training.recipe import Recipe
from trainables.training.recipes import with_recipe

PLANNED = {"precision": AskedFormat, "compile": bool, "adaptive": bool, "answers_averaged": int}
UNWRITTEN = "unwritten"  # marks a field that a document holds under another name
LARGEST = 4096  # pixels of a side: no prior draws more, and a batch of such images fills a GPU

FAMILIES: dict[Any, dict[str, Any]] = {
    Dataset: DATASETS,
    Defense: DEFENSES,
    Prior: PRIORS,
    Attack: ATTACKS,
    Judge: JUDGES,
    Pretraining: PRETRAININGS,
    Metric: {name: metric for name, metric in METRICS.items() if metric.optional},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that one trial depends on.

    private, public: the images to protect, and those that an attacker has. They share no one and no file.
    validation, test: shares of each identity's private images held out (each is ignored where the data set
    has such a part itself).
    prior: of every attack that does not name one of its own.
    attack: one or several, each with its prior. A document has a mapping or a list of mappings; each takes
    the knobs of the attack, `prior`, `precision`, `compile`, `adaptive` and `answers_averaged` (see
    `AttackPlan`), and `preset`, the name of a set of knobs that the others override.
    judge: who counts. other_judges: further ones, which tell how far the first is to be believed. A document
    has a mapping or a list of mappings under ``judge``; the first of a list is the one that counts.
    metrics: figures beyond the usual ones, each by its name or as a mapping of its kind and knobs.
    suite: what several attacks say together: the accuracy of the "worst" for the defender, or their "mean".
    identities: how many identities are attacked, the first in label order; None attacks all.
    attacked: labels of those who are attacked; None attacks all, or the first `identities`.
    checked: whether the parts are tried with each other, which reads the files and packages that they name.
    seed: of everything. replicate: repeats training and attack with fresh randomness, on the same shared
    stages (backbone, prior, judge). split_seed, prior_seed, judge_seed: of the private split, the priors and
    the judge alone; None takes `seed`.
    """

    image_size: int = 64
    private: Dataset
    public: Dataset
    validation: float = 0.1
    test: float = 0.2
    pretraining: Pretraining
    target: Target
    defense: Defense
    prior: Prior
    attack: tuple[AttackPlan, ...]
    judge: Judge
    other_judges: tuple[Judge, ...] = dataclasses.field(default=(), metadata={UNWRITTEN: True})
    metrics: tuple[Metric, ...] = ()
    suite: Literal["worst", "mean"] = "worst"
    identities: int | None = None
    attacked: tuple[int, ...] | None = None
    seed: int = 0
    replicate: int = 0
    split_seed: int | None = None
    prior_seed: int | None = None
    judge_seed: int | None = None
    checked: dataclasses.InitVar[bool] = True

    def __post_init__(self, checked: bool) -> None:
        at_least(self, 32, "image_size")
        if self.image_size > LARGEST:
            raise ValueError(f"image_size must be at most {LARGEST}; got {self.image_size}")
        at_least(self, 1, "identities")
        fraction(self, "validation", "test")
        if self.attacked is not None and (not self.attacked or len(set(self.attacked)) < len(self.attacked)):
            raise ValueError(
                f"attacked must be labels of people, each once; got {list(self.attacked)} (attacked)"
            )
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation + test must leave images to train on; got {self.validation} + {self.test}"
            )
        if checked:
            self._check_parts()

    def _check_parts(self) -> None:
        points = freeze_points(self.target.architecture)
        if self.target.freeze_point not in points:
            raise ValueError(
                f"target.freeze_point of {self.target.architecture} must be one of {', '.join(points)}; "
                f"got '{self.target.freeze_point}'"
            )
        if self.target.trained is not None:
            check_trained(self.target.trained, points[1:])
        kept, epochs = self.target.kept_epoch, self.target.epochs
        if kept is not None and not self.defense.finished(kept, epochs):
            raise ValueError(
                f"target.kept_epoch expects an epoch after which defense '{self.defense.kind}' is finished, "
                f"not one of its first phase; got {kept} of {epochs}; leave it out, or stop another defense"
            )
        get_architecture(self.target.architecture).check_size(self.image_size)
        self.defense.check(get_architecture(self.target.architecture), self.image_size)
        for judge in self.judges:
            judge.check_size(self.image_size)
        with torch.device("meta"):  # a prior that does not fit the images is an error now, not after training
            for plan in self.attack:
                plan.prior.check_size(self.image_size)
                plan.attack.check_size(self.image_size)
                networks = plan.prior.build(self.image_size)
                plan.attack.check_prior(networks)
                plan.check_threat_model()

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Return all judges, the one that counts first."""
        return (self.judge, *self.other_judges)

    @property
    def attack_plans(self) -> dict[str, AttackPlan]:
        """Return the attacks by name: its kind, numbered where several are of one kind."""
        named: dict[str, AttackPlan] = {}
        for plan in self.attack:
            kind = plan.attack.kind
            count = sum(other.attack.kind == kind for other in named.values())
            named[f"{kind}_{count + 1}" if count else kind] = plan
        return named


def load_trial(document: dict[str, Any] | Path, where: str = "trial", *, checked: bool = True) -> TrialConfig:
    """Return the configuration that `document` (a dict, or the path of a YAML file) describes.

    checked: see `TrialConfig`.
    Raises ConfigError with the path of the first mistake: an unknown key or kind, a value out of range;
    MissingError for a file or a package that is not here.
    """
    if isinstance(document, Path):
        where = str(document)
        document = read_yaml(document)
    config: TrialConfig = _build(TrialConfig, document, where, "", checked=checked)
    return config


def load_method(family: Any, document: dict[str, Any], where: str, path: str = "") -> Any:
    """Return the member of `family`, such as `Dataset`, that a document describes, or the dataclass itself.

    path: under which it stands in a document. Errors as `load_trial`.
    """
    return _build(family, document, where, path)


def document(config: TrialConfig) -> dict[str, Any]:
    """Return the document of `config` with every default filled in, JSON-ready; `load_trial` reads it back.

    A single attack or judge stays a mapping, so that a path such as ``attack.iterations`` leads into it.
    """
    filled: dict[str, Any] = to_json(config)
    if not filled["metrics"]:  # as trials were written before there were any
        del filled["metrics"]
    others = filled.pop("other_judges")
    if others:
        filled["judge"] = [filled["judge"], *others]
    attacks = [
        {
            **to_json(plan.attack),
            **plan.unusual,
            **({} if plan.prior == config.prior else {"prior": to_json(plan.prior)}),
        }
        for plan in config.attack
    ]
    return {**filled, "attack": attacks[0] if len(attacks) == 1 else attacks}


def absolute_paths(document: Any, expected: Any = TrialConfig) -> Any:
    """Return a copy of `document`, of a trial or of the part `wanted`, whose relative paths are absolute.

    Paths are the knobs that a method marks with `file_knob`, relative to the current directory; work in
    another directory then finds them. What does not fit is left to `load_trial`, which says so.
    """
    if not isinstance(document, dict):
        return document
    if expected in FAMILIES:
        expected = FAMILIES[expected].get(str(document.get("kind")))
    if expected is None:
        return dict(document)
    hints, files = _hints(expected), knobs_marked(expected, FILE)
    return {key: _absolute(value, hints.get(key), key in files) for key, value in document.items()}


def _absolute(value: Any, hint: Any, is_file: bool) -> Any:
    if is_file:
        return os.path.abspath(expand_home(value)) if isinstance(value, str) and value else value
    if isinstance(value, list) and hint in (tuple[AttackPlan, ...], Judge):
        return [_absolute(item, hint, is_file) for item in value]
    if isinstance(value, list) and hint == tuple[Metric, ...]:
        return [absolute_paths(item, Metric) if isinstance(item, dict) else item for item in value]
    if hint == tuple[AttackPlan, ...]:
        attack = absolute_paths(value, Attack)
        if isinstance(attack, dict) and "prior" in attack:  # a plan's own, beside the knobs of its attack
            attack["prior"] = absolute_paths(attack["prior"], Prior)
        return attack
    return absolute_paths(value, hint) if hint in FAMILIES or dataclasses.is_dataclass(hint) else value


@functools.cache
def _hints(expected: Any) -> dict[str, Any]:
    return typing.get_type_hints(expected)


def _build(expected: Any, document: Any, where: str, path: str, **unwritten: Any) -> Any:
    """Return `document` as the dataclass `expected`, or as the member of the family `expected` it names.

    unwritten: what it takes besides, which no document has.
    """
    place = f"({where}: {path})" if path else f"({where})"
    if not isinstance(document, dict):
        raise ConfigError(f"expected a mapping, got {document!r} {place}")
    document, registry = dict(document), FAMILIES.get(expected, {})
    if registry:
        expected = registry[_known("kind", document.pop("kind", None), registry, where, path)]
    if isinstance(expected, type) and issubclass(expected, Recipe):
        known = [field.name for field in dataclasses.fields(expected)]
        document = with_recipe(document, known, f"{where}: {_join(path, 'recipe')}")
    fields = {f.name: f for f in dataclasses.fields(expected) if UNWRITTEN not in f.metadata}
    for key in document:
        if key not in fields:
            raise ConfigError(
                f"unknown key '{key}'{suggestion(str(key), fields)} ({where}: {_join(path, str(key))}); "
                + (f"known keys: {', '.join(fields)}" if fields else f"'{expected.kind}' has no keys")
                + _others_with(str(key), registry)
            )
    hints, files = typing.get_type_hints(expected), knobs_marked(expected, FILE)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in document and hints[name] == tuple[AttackPlan, ...]:
            values[name] = _threats(document[name], document.get("prior"), where, _join(path, name))
        elif name in document and hints[name] is Judge:
            values[name], values["other_judges"] = _judges(document[name], where, _join(path, name))
        elif name in document and hints[name] == tuple[Metric, ...]:
            build = functools.partial(_build, Metric, where=where)
            values[name] = requested(document[name], build, where, _join(path, name))
        elif name in document:
            values[name] = _value(hints[name], document[name], where, _join(path, name))
            if name in files and isinstance(values[name], str):
                values[name] = expand_home(values[name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"'{_join(path, name)}' is missing ({where})")
    try:
        return expected(**values, **unwritten)
    except ConfigError as error:
        raise placed(error, f" {place}") from None
    except ValueError as error:
        raise ConfigError(f"{error} {place}") from None


def _others_with(key: str, registry: Mapping[str, Any]) -> str:
    """Return which members of a family have a key that the one at hand has not."""
    having = [
        kind for kind, member in registry.items() if key in {f.name for f in dataclasses.fields(member)}
    ]
    return f"; '{key}' is a key of {', '.join(having)}" if having else ""


def _known(what: str, name: Any, names: Mapping[str, Any], where: str, path: str) -> str:
    """Return `name` if it is one of `names`; else, and for a list or a mapping, raise `ConfigError`.

    what, path: the key that holds it, and the path of the mapping that it stands in.
    """
    if not isinstance(name, str) or name not in names:
        raise ConfigError(
            f"{what} must be one of {', '.join(names) or 'none'}; got {name!r}"
            f"{suggestion(str(name), names)} ({where}: {_join(path, what)})"
        )
    return name


def _threats(documents: Any, default: Any, where: str, path: str) -> tuple[AttackPlan, ...]:
    """Return the attacks that a mapping or a list of mappings names, each with its prior or the default."""
    listed = documents if isinstance(documents, list) else [documents]
    if not listed:
        raise ConfigError(f"expected an attack or a list of attacks, got an empty list ({where}: {path})")
    plans = []
    for position, given in enumerate(listed):
        place = f"{path}[{position}]" if isinstance(documents, list) else path
        if not isinstance(given, dict):
            raise ConfigError(f"expected a mapping, got {given!r} ({where}: {place})")
        knobs = dict(given)
        preset = knobs.pop("preset", None)
        if preset is not None:
            presets = ATTACKS[_known("kind", knobs.get("kind"), ATTACKS, where, place)].presets
            knobs = {**presets[_known("preset", preset, presets, where, place)], **knobs}
        prior = _build(Prior, knobs.pop("prior", default), where, _join(place, "prior"))
        settings = {
            name: _value(hint, knobs.pop(name), where, _join(place, name))
            for name, hint in PLANNED.items()
            if name in knobs
        }
        attack = _build(Attack, knobs, where, place)
        try:
            plans.append(AttackPlan(attack=attack, prior=prior, **settings))
        except ValueError as error:
            raise ConfigError(f"{error} ({where}: {place})") from None
    return tuple(plans)


def _judges(documents: Any, where: str, path: str) -> tuple[Judge, tuple[Judge, ...]]:
    """Return the judge that counts and the others, of a mapping or a list of different mappings."""
    if not isinstance(documents, list):
        return _build(Judge, documents, where, path), ()
    if not documents:
        raise ConfigError(
            f"expected a judge or a list of judges, got an empty list ({where}: {path}); name at least "
            "one: the first counts"
        )
    judges = [_build(Judge, given, where, f"{path}[{n}]") for n, given in enumerate(documents)]
    for position, judge in enumerate(judges):
        first = judges.index(judge)
        if first < position:
            raise ConfigError(
                f"expected judges that differ, got the same at {path}[{first}] and {path}[{position}] "
                f"({where}: {path}[{position}]); it would agree with itself: take another architecture, "
                "another seed or another kind, or leave it out"
            )
    return judges[0], tuple(judges[1:])


def _value(hint: Any, value: Any, where: str, path: str) -> Any:
    if hint in FAMILIES or dataclasses.is_dataclass(hint):
        return _build(hint, value, where, path)
    try:
        validated = _adapter(hint).validate_python(value)
        check_numbers(hint, value)
    except ValidationError as error:
        problem = in_words(error.errors()[0]["msg"])
        raise ConfigError(f"{path.rpartition('.')[2]} {problem}; got {value!r} ({where}: {path})") from None
    except ValueError as error:
        raise ConfigError(f"{path.rpartition('.')[2]} {error}; got {value!r} ({where}: {path})") from None
    return validated


def _adapter(hint: Any) -> TypeAdapter[Any]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
