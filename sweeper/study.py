"""A study file: what to try, on which data, how often, with which resources. Every mistake found here."""

import dataclasses
import functools
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from sweeper.constraint import Constraint, parse_constraint
from sweeper.measures import MEASURES, Direction
from trainables.document import suggestion
from trainables.errors import ConfigError

Sampler = Literal["tpe", "nsga2", "gp", "random", "sobol", "grid"]

PRESETS = Path(__file__).parent / "presets"
OBJECTIVES: dict[str, Direction] = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
DEFAULT_TRIALS = 16
MOST_OBJECTIVES = 3  # hypervolumes are exact up to three, and nobody reads a front of four

_CHECKED_DRAWS = 20


class _Strict:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search(_Strict):
    """How trials are chosen.

    sampler: tpe (multivariate, grouped), nsga2, gp (a Gaussian process: seconds a proposal), random, sobol (a
    scrambled sequence that fills the space evenly), or grid (every assignment of a finite space, in order).
    trials: how many results are wanted; None means 16, or the whole grid for the sampler grid.
    anchors: begin with the undefended trial, the ends of each axis and the published settings.
    replicates: seeds that every trial is trained and attacked under; its values are their means.
    screening: attack every target for a share of the steps first, `screening_share`, and skip the long attack
    where a finished trial is better already even at the short attack's lower end (``trainables.screen``).
    """

    sampler: Sampler = "tpe"
    trials: Annotated[int, Field(ge=1)] | None = None
    anchors: bool = True
    seed: int = 0
    replicates: Annotated[int, Field(ge=1)] = 1
    screening: bool = False
    screening_share: Annotated[float, Field(gt=0, lt=1)] = 0.25


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources(_Strict):
    """What one trial gets, and how many run at once; auto divides what the machine or the cluster has.

    cpus_per_trial: cores, also the threads of torch. gpus_per_trial: a share of one GPU, or whole ones.
    attack_shards: processes that an attack is spread over by identities, the trial's own and others beside
    it; auto is one for each whole GPU of a trial, 1 on a CPU. Results do not depend on it.
    cpus_per_shard, gpus_per_shard: of each process beside the trial's own; auto is what that one has.
    A trial keeps all its processes' shares from its start to its end. More than one GPU per trial is divided
    among its processes, as training and each part of an attack run on one.
    """

    cpus_per_trial: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    gpus_per_trial: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    concurrent: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    attack_shards: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    cpus_per_shard: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    gpus_per_shard: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracking(_Strict):
    """Whether MLflow is written, and what of the private data may go there.

    images: pictures, also private ones, in MLflow and the report. models: the targets of the final front,
    with card and labels, as artifacts of their runs; off, since a target tells about the images it learned.
    """

    mlflow: bool = True
    images: bool = False
    models: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study(_Strict):
    """A sweep: `trial` is the template that each assignment of `space` is merged into.

    name: of the stored study. space: names from ``sweeper list spaces`` and domains of single paths.
    objectives: result name -> direction, one to three of `MEASURES`. constraints: what a trial must keep to
    be on the front, as ``test_accuracy >= 0.8``; samplers avoid what misses it.
    """

    name: str
    trial: dict[str, Any]
    space: list[str | dict[str, Any]] | str | dict[str, Any]
    objectives: dict[str, Direction] = dataclasses.field(default_factory=lambda: dict(OBJECTIVES))
    constraints: list[str] = dataclasses.field(default_factory=list)
    search: Search = dataclasses.field(default_factory=Search)
    resources: Resources = dataclasses.field(default_factory=Resources)
    tracking: Tracking = dataclasses.field(default_factory=Tracking)

    @functools.cached_property
    def domains(self) -> Mapping[str, Any]:
        """Return the search space; raise `ConfigError` if it is empty or makes no sense."""
        from search_spaces.parse import parse

        items = self.space if isinstance(self.space, list) else [self.space]
        points: tuple[str, ...] = ("none",)
        if any(isinstance(item, str) for item in items):  # the named spaces know freeze points
            from trainables.architectures import freeze_points

            points = freeze_points(self.trial["target"]["architecture"])
        try:
            return parse(self.space, points)
        except ValueError as error:
            raise ConfigError(f"{error} ({self.name}: space)") from None

    @functools.cached_property
    def limits(self) -> tuple[Constraint, ...]:
        """Return the constraints; raise `ConfigError` for one that makes no sense."""
        return tuple(
            parse_constraint(text, f"{self.name}: constraints[{position}]")
            for position, text in enumerate(self.constraints)
        )

    @functools.cached_property
    def budget(self) -> int:
        """Return how many results the study wants: never more than its space has assignments."""
        from search_spaces.space import size

        available = size(self.domains)
        if self.search.sampler == "grid" and available is None:
            raise ConfigError(
                f"search.sampler 'grid' needs a finite space, and this one has real-valued domains "
                f"({self.name}: search.sampler); take another sampler, or a space such as bido_grid"
            )
        default = available if self.search.sampler == "grid" else DEFAULT_TRIALS
        wanted = self.search.trials or default or DEFAULT_TRIALS
        return wanted if available is None else min(wanted, available)

    def document(self, assignment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the trial that `assignment` (path -> value) makes of the template.

        Relative paths in it are made absolute here: Ray's workers have directories of their own.
        """
        from trainables.document import located, merge

        trial: dict[str, Any] = located(merge(self.trial, dict(assignment)))
        return trial

    def identity(self) -> dict[str, Any]:
        """Return what must not change while a study lives; JSON-ready. What was added later counts if set."""
        from search_spaces.space import describe

        return {
            "trial": self.trial,
            "space": describe(self.domains),
            "objectives": dict(self.objectives),
            **({"constraints": [str(limit) for limit in self.limits]} if self.constraints else {}),
            **({"replicates": self.search.replicates} if self.search.replicates > 1 else {}),
        }


def load_study(
    reference: str, *, overrides: Sequence[str] = (), trials: int | None = None, check: bool = True
) -> Study:
    """Return the study that `reference` (a YAML path, or the name of a preset) describes.

    overrides: ``path.to.key=value`` items, values read as YAML. trials: overrides ``search.trials``.
    check: also try the template with anchors and random draws. The study's template is returned with every
    default filled in. Raises `ConfigError` for every mistake.
    """
    from trainables.config import document as filled
    from trainables.config import load_trial

    path = find_study(reference)
    document = _read(path)
    document.setdefault("name", path.stem)
    for item in overrides:
        _override(document, item)
    if trials is not None:
        document["search"] = {**(document.get("search") or {}), "trials": trials}
    study = parse_study(document, reference)
    study = dataclasses.replace(study, trial=filled(load_trial(study.trial, f"{reference}: trial")))
    if check:
        check_study(study)
    return study


def stored_study(folder: Path) -> Study:
    """Return the study as it was last started; `folder` is the one that a home keeps for it."""
    path = folder / "study.yaml"
    if not path.is_file():
        raise ConfigError(f"expected the study file of a sweep started here, found nothing at {path}")
    return parse_study(_read(path), str(path))


def find_study(reference: str) -> Path:
    """Return the file of a study; raise `ConfigError` naming the nearest presets if there is none."""
    path = Path(reference)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.is_dir():
            raise ConfigError(f"expected a study file, got the folder {path}")
        if not path.is_file():
            others = [p.name for folder in {path.parent} if folder.is_dir() for p in folder.glob("*.y*ml")]
            raise ConfigError(
                f"expected a study file, found nothing at {path}{suggestion(path.name, others)}"
            )
        return path
    presets = {p.stem: p for p in sorted(PRESETS.glob("*.yaml"))}
    if reference not in presets:
        raise ConfigError(
            f"study must be a YAML file or one of the presets {', '.join(presets)}; "
            f"got '{reference}'{suggestion(reference, presets)}"
        )
    return presets[reference]


def parse_study(document: dict[str, Any], where: str) -> Study:
    """Return the study in `document`; raise `ConfigError` with the path of the first mistake."""
    try:
        study: Study = TypeAdapter(Study).validate_python(document)
    except ValidationError as error:
        raise ConfigError(_first_mistake(error, where)) from None
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", study.name):
        raise ConfigError(
            f"name must be letters, digits, '_', '-' and '.' (it names a folder); got {study.name!r} "
            f"({where}: name)"
        )
    _check_objectives(study, where)
    _check_gpus(study.resources, where)
    _ = study.limits
    if study.search.screening:
        _check_screening(study, where)
    return study


def _check_screening(study: Study, where: str) -> None:
    """Raise `ConfigError` if a short attack cannot tell that a trial is beaten."""
    if study.search.replicates > 1:
        raise ConfigError(
            f"search.screening looks at one seed of a trial, and search.replicates asks for "
            f"{study.search.replicates} ({where}: search.screening); set one of them aside, and confirm the "
            "front afterwards"
        )
    if "attack_accuracy" not in study.objectives:
        raise ConfigError(
            f"search.screening needs the objective attack_accuracy, which the short attack bounds; got "
            f"{', '.join(study.objectives)} ({where}: objectives)"
        )
    if "knn_distance" in study.objectives:
        raise ConfigError(
            f"search.screening cannot bound the objective knn_distance: a longer attack may come nearer or "
            f"not ({where}: search.screening); set it off"
        )


def _check_gpus(resources: Resources, where: str) -> None:
    """Raise `ConfigError` for a number of GPUs that Ray cannot give."""
    for name in ("gpus_per_trial", "gpus_per_shard"):
        gpus = getattr(resources, name)
        if gpus != "auto" and gpus > 1 and gpus != int(gpus):
            raise ConfigError(
                f"resources.{name} must be a part of one GPU, up to 1, or whole GPUs; got {gpus:g} "
                f"({where}: resources.{name})"
            )


def _check_objectives(study: Study, where: str) -> None:
    count = len(study.objectives)
    if not 1 <= count <= MOST_OBJECTIVES:
        raise ConfigError(
            f"objectives must name one to {MOST_OBJECTIVES} results, as in {OBJECTIVES}; got {count} "
            f"({where}: objectives)"
        )
    for name in study.objectives:
        if name not in MEASURES:
            raise ConfigError(
                f"an objective must be one of {', '.join(MEASURES)}; got '{name}'"
                f"{suggestion(name, MEASURES)} ({where}: objectives)"
            )


def check_study(study: Study) -> None:
    """Raise `ConfigError` unless the template, the space and every path in it hold together.

    The anchors and some random draws are merged into the template and read as trials, so that a path that no
    trial has, or a value that no trial takes, is found before any training.
    """
    from search_spaces.space import anchors, decode, draw
    from trainables.config import load_trial

    space, _ = study.domains, study.budget
    drawn = [decode(space, raw) for raw in anchors(space)]
    drawn += [draw(space, _Dice(seed)) for seed in range(_CHECKED_DRAWS)]
    for assignment in drawn:
        try:
            config = load_trial(study.document(assignment), f"{study.name}: space")
            if study.search.screening:
                from trainables.screen import shortened

                shortened(config, study.search.screening_share)
        except ConfigError as error:
            shown = ", ".join(f"{path}={value}" for path, value in assignment.items())
            raise ConfigError(f"{error}, in the trial with {shown}") from None


class _Dice:
    """Uniform choices, for checking a space."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self.random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return self.random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)


def _read(path: Path) -> dict[str, Any]:
    from trainables.document import read_yaml

    return read_yaml(path)


def _override(document: dict[str, Any], item: str) -> None:
    """Set ``path.to.key=value`` in `document`; below ``trial`` a changed kind drops the old kind's knobs."""
    from trainables.document import merge

    path, sign, text = item.partition("=")
    if not sign or not path.strip():
        raise ConfigError(f"an override must be path.to.key=value; got {item!r} (-S)")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"the value of an override must be YAML; got {text!r} (-S {path})") from None
    if isinstance(value, str):
        value = _number(value)
    changed = merge(document, {path.strip(): value})
    document.clear()
    document.update(changed)


def _number(text: str) -> str | float:
    """Return a number that YAML 1.1 reads as text (``1e-4``) as a number, other text as it is."""
    if re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", text):
        return float(text)
    return text


def _first_mistake(error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if part in _KEYS or not _branch(part)]
    path = ".".join(keys)
    if first["type"] == "unexpected_keyword_argument":
        owner = {"search": Search, "resources": Resources, "tracking": Tracking}.get(keys[0], Study)
        known = [f.name for f in dataclasses.fields(owner)]
        return (
            f"unknown key '{keys[-1]}'{suggestion(keys[-1], known)} ({where}: {path}); "
            f"known keys: {', '.join(known)}"
        )
    if first["type"] in ("missing", "missing_argument"):
        return f"'{path}' is missing ({where})"
    problem = first["msg"].replace("Input should be", "must be")
    if any(one["loc"][:-1] == first["loc"][:-1] and "'auto'" in one["msg"] for one in error.errors()[1:]):
        problem += ", or 'auto'"
    return f"{path} {problem}; got {first['input']!r} ({where}: {path})"


def _branch(part: Any) -> bool:
    """Return whether a part of an error's place names a branch of a union, and no key of the study."""
    return isinstance(part, str) and ("[" in part or part.startswith("constrained-"))


_KEYS = {f.name for owner in (Study, Search, Resources, Tracking) for f in dataclasses.fields(owner)}
