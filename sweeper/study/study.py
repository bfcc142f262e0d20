"""A study file: what to try, on which data, how often, with which resources. Every mistake found here."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from sweeper.study.constraints import Constraint, check_together, parse_constraint
from sweeper.study.metrics import Direction
from sweeper.study.objectives import Accuracy, searched_accuracy, searched_name
from trainables.errors import ConfigError

Sampler = Literal["tpe", "nsga2", "gp", "random", "sobol", "grid"]

OBJECTIVES: dict[str, Direction] = {"test_accuracy": "maximize", "attack_accuracy": "minimize"}
DEFAULT_TRIALS = 16
NOISE_TRIALS = 2  # an undefended and a defended one are run again for the noise of training seeds
MOST_TRIALS = 100_000  # each is a row that every proposal reads
MOST = 1024  # seeds of a trial, trials at once, processes of a trial: lists of so many are made
MOST_SEED = 2**31 - 1  # numpy's are below 2 ** 32, and the count of trials is added
MOST_OBJECTIVES = 3  # hypervolumes are exact up to three, and nobody reads a front of four


class _Strict:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search(_Strict):
    """Choice of trials.

    sampler: tpe (multivariate, grouped), nsga2, gp (a Gaussian process: seconds a proposal), random, sobol (a
    scrambled sequence that fills the space evenly), or grid (every assignment of a finite space, in order).
    trials: how many results are wanted; None means 16, or the whole grid for the sampler grid.
    anchors: begin with the undefended trial, the ends of each axis and the published settings.
    replicates: seeds that every trial is trained and attacked under; its values are their means.
    noise_replicates: seeds that an undefended and a defended trial are trained and attacked under, their own
    included, for the noise of training seeds in all intervals; 1 leaves that out, and so do replicates.
    screening: attack every target for a share of the steps first, `screening_share`, and skip the long attack
    where a finished trial is better already even at the short attack's lower end (``trainables.screening``).
    accuracy: of which images samplers, constraints and the front see the accuracy, validation or test. The
    test accuracy is what is reported either way: chosen by it, the best of many trials looks better than it
    is. None means validation, and for a study that was begun before this was a choice, test.
    attacked: share of the people whom the search attacks, drawn by the trial's seed when the study begins;
    `confirm` attacks the others. None is 0.5 of 80 people or more, and all of fewer, or of an older study.
    """

    sampler: Sampler = "tpe"
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    anchors: bool = True
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0
    replicates: Annotated[int, Field(ge=1, le=MOST)] = 1
    noise_replicates: Annotated[int, Field(ge=1, le=MOST)] = 3
    screening: bool = False
    screening_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    accuracy: Accuracy | None = None
    attacked: Annotated[float, Field(gt=0, le=1)] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources(_Strict):
    """Resources of one trial, and how many run at once; auto divides what the machine or the cluster has.

    cpus_per_trial: cores, also the threads of torch. gpus_per_trial: a share of one GPU, or whole ones.
    attack_shards: processes that an attack is spread over by identities, the trial's own and others beside
    it; auto is one for each whole GPU of a trial, 1 on a CPU. Results do not depend on it.
    cpus_per_shard, gpus_per_shard: of each process beside the trial's own; auto is what that one has.
    A trial keeps all its processes' shares from its start to its end. More than one GPU per trial is divided
    among its processes, as training and each part of an attack run on one.
    niceness: of trials' processes, 0 (as any program) to 19 (only where nobody else wants to); auto is 0 on a
    cluster that `address` names and 15, as Ray has it, on this machine alone. Shared stages run at 0.
    """

    cpus_per_trial: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    gpus_per_trial: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    concurrent: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = "auto"
    attack_shards: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = 1
    cpus_per_shard: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    gpus_per_shard: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    niceness: Annotated[int, Field(ge=0, le=19)] | Literal["auto"] = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tracking(_Strict):
    """Switches for MLflow, and for the private data that may go there.

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
    objectives: result name -> direction, one to three of `objective_metrics`. constraints: limits that a
    trial on the front keeps, as ``test_accuracy >= 0.8``; samplers avoid what misses them.
    controls: what the study's figures are held against, see ``trainables.controls``: true for all, false for
    none, or a mapping of their knobs. They change no trial, so they may change while a study lives.
    published: rows of papers that the study repeats, as queries of ``sweeper compare --published``; a plan
    shows them. They change nothing.
    """

    name: str
    trial: dict[str, Any]
    space: list[str | dict[str, Any]] | str | dict[str, Any]
    objectives: dict[str, Direction] = dataclasses.field(default_factory=lambda: dict(OBJECTIVES))
    constraints: list[str] = dataclasses.field(default_factory=list)
    search: Search = dataclasses.field(default_factory=Search)
    resources: Resources = dataclasses.field(default_factory=Resources)
    tracking: Tracking = dataclasses.field(default_factory=Tracking)
    controls: bool | dict[str, Any] = True
    published: list[str] = dataclasses.field(default_factory=list)

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
        """Return the constraints; raise `ConfigError` for one without sense and two that never meet."""
        limits = tuple(
            parse_constraint(text, f"{self.name}: constraints[{position}]")
            for position, text in enumerate(self.constraints)
        )
        check_together(limits, self.name)
        return limits

    @property
    def accuracy(self) -> Accuracy:
        """Return whose accuracy the search sees."""
        return self.search.accuracy or "validation"

    @functools.cached_property
    def searched(self) -> dict[str, Direction]:
        """Return the objectives as the search sees them: the accuracy is that of `Search.accuracy`."""
        return {searched_name(name, self.accuracy): way for name, way in self.objectives.items()}

    @functools.cached_property
    def searched_limits(self) -> tuple[Constraint, ...]:
        """Return the constraints as the search checks them."""
        return tuple(
            dataclasses.replace(limit, name=searched_name(limit.name, self.accuracy)) for limit in self.limits
        )

    def as_begun(self, definition: Mapping[str, Any] | None) -> "Study":
        """Return the study with what it leaves open decided, as it was when it began.

        definition: the document that a study of this name keeps; None if there is none yet. The same
        objectives in another order take its order: stored values and directions go by place.
        """
        if definition is None:
            return dataclasses.replace(self, search=dataclasses.replace(self.search, accuracy=self.accuracy))
        accuracy = self.search.accuracy or searched_accuracy(definition)
        share, stored = self.search.attacked, definition.get("attacked", 1.0)
        search = dataclasses.replace(
            self.search, accuracy=accuracy, attacked=stored if share is None else share
        )
        trial = self.trial
        if stored < 1 and search.attacked == stored and not trial.get("attacked"):
            drawn = {name: definition["trial"][name] for name in ("attacked", "identities")}
            trial = {**trial, **drawn}
        objectives, places = self.objectives, definition.get("objectives", {})
        if objectives.keys() == places.keys():
            objectives = {name: objectives[name] for name in places}
        return dataclasses.replace(self, trial=trial, search=search, objectives=objectives)

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
        trials = self.search.trials or default or DEFAULT_TRIALS
        return trials if available is None else min(trials, available)

    @property
    def noise_runs(self) -> int:
        """Return how many runs beside the trials tell the noise of training seeds; 0 where replicates do."""
        attacked = "attack_accuracy" in self.objectives and "defense" in self.trial
        if self.search.replicates > 1 or not attacked:
            return 0
        return min(NOISE_TRIALS, self.budget) * (self.search.noise_replicates - 1)

    def document(self, assignment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the trial that `assignment` (path -> value) makes of the template.

        Relative paths in it are made absolute here: Ray's workers have directories of their own.
        """
        from trainables.config import absolute_paths
        from trainables.storage.documents import merge

        trial: dict[str, Any] = absolute_paths(merge(self.trial, dict(assignment)))
        return trial

    def offers(self, assignment: Mapping[str, Any]) -> bool:
        """Return whether `assignment` is one to try: a defense without effect is `none` by another name."""
        from trainables.storage.documents import merge
        from trainables.training.effect import is_active

        trial = merge(self.trial, dict(assignment))
        target, defense = trial.get("target", {}), trial.get("defense", {})
        if "architecture" not in target or "kind" not in defense:
            return True  # no trial at all, which is said where it is read
        point, size = target.get("freeze_point", "none"), trial.get("image_size", 64)
        trained = None if target.get("trained") is None else tuple(target["trained"])
        return is_active(target["architecture"], size, point, defense["kind"], trained)

    def definition(self) -> dict[str, Any]:
        """Return what must not change while a study lives; JSON-ready. What was added later counts if set."""
        from search_spaces.space import describe

        return {
            "trial": self.trial,
            "space": describe(self.domains),
            "objectives": dict(self.objectives),
            **({"constraints": [str(limit) for limit in self.limits]} if self.constraints else {}),
            **({"replicates": self.search.replicates} if self.search.replicates > 1 else {}),
            **({"accuracy": self.accuracy} if self.accuracy != "test" else {}),
            **({"attacked": self.search.attacked} if (self.search.attacked or 1) < 1 else {}),
        }
