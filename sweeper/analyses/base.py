"""Base of study analyses: a study that is derived from another one, and what its finished trials show."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from search_spaces.domains import Choice, Ordered
from sweeper.analyses.runs import POINT, Run
from sweeper.study.study import OBJECTIVES, Search, Study
from trainables.errors import ConfigError
from trainables.method import Method
from trainables.storage.documents import suggestion


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """What the trials of a derived study show.

    Attributes:
        rows: of a table, JSON-ready; a figure ``NAME_interval`` is shown beside NAME.
        sentences: what follows, no more than the tests carry.
        points: of a plot, ``{"series", "test_accuracy", "attack_accuracy"}`` a run; none without a plot.
    """

    rows: tuple[Mapping[str, Any], ...]
    sentences: tuple[str, ...]
    points: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudyAnalysis(Method):
    """The base of study analyses: knobs, `derive` and `conclude`. Register a subclass in ``STUDY_ANALYSES``.

    The derived study is an ordinary one: a grid over what the analysis varies, each target trained under
    several seeds. In all else it is the study.

    seeds: training seeds of each target; at least 2, or nothing is concluded.

    Attributes:
        does_not_show: what a reader might take from the figures, and must not.
    """

    does_not_show: ClassVar[str]

    seeds: int = 3

    def derive(self, study: Study) -> Study:
        """Return the study to run; raise `ConfigError` where `study` does not fit."""
        raise NotImplementedError

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return what finished `runs` of the derived study show."""
        raise NotImplementedError

    def check_people(self, study: Study) -> None:
        """Raise `ConfigError` where `study` is known to attack a single person, beside whom there is none."""
        attacked = study.trial.get("attacked")
        if (len(attacked) if attacked else study.trial.get("identities")) == 1:
            raise ConfigError(
                f"analysis '{self.kind}' compares targets person by person, and expects two or more that are "
                f"attacked; got one (trial.{'attacked' if attacked else 'identities'}); attack more"
            )

    def derived(
        self, study: Study, space: Sequence[dict[str, Any]], trial: Mapping[str, Any] | None = None
    ) -> Study:
        """Return `study` with the grid `space` instead of its search; trial: its template, if another."""
        controls: bool | dict[str, Any] = False
        if study.controls:
            # Targets stopped at the accuracies of a front say nothing of a grid.
            controls = {**(study.controls if isinstance(study.controls, dict) else {}), "stopped": 0}
        return dataclasses.replace(
            study,
            name=f"{study.name}_{self.kind}",
            trial=dict(study.trial if trial is None else trial),
            space=list(space),
            objectives=dict(OBJECTIVES),
            constraints=[],
            search=Search(
                sampler="grid",
                anchors=False,
                replicates=self.seeds,
                noise_replicates=1,
                seed=study.search.seed,
                accuracy=study.search.accuracy,
                # People who were drawn already are named, and not divided again.
                attacked=None if study.trial.get("attacked") else study.search.attacked,
            ),
            controls=controls,
            published=[],
        )


@dataclass(frozen=True, kw_only=True)
class FreezeAnalysis(StudyAnalysis):
    """The base of study analyses that compare freeze points.

    freeze_points: those that are compared; () takes those of the study's space, else all of the network.
    """

    freeze_points: tuple[str, ...] = ()

    def points(self, study: Study) -> list[str]:
        """Return the freeze points to compare in the network's order, ``none`` first.

        Raises `ConfigError` for an unknown one, and where nothing is left beside ``none``.
        """
        from trainables.architectures import freeze_points

        architecture = study.trial["target"]["architecture"]
        known = freeze_points(architecture)
        domain = study.domains.get(POINT)
        own = [str(value) for value in domain.values] if isinstance(domain, Choice | Ordered) else []
        chosen = self.freeze_points or own or known
        for point in chosen:
            if point not in known:
                raise ConfigError(
                    f"expected freeze points of {architecture}, some of {', '.join(known)}; got '{point}'"
                    f"{suggestion(point, known)} (--freeze-point)"
                )
        points = [point for point in known if point in chosen or point == UNDEFENDED]
        if len(points) < 2:
            raise ConfigError(
                f"analysis '{self.kind}' compares freeze points, and expects one beside 'none'; got "
                f"{', '.join(chosen)} (--freeze-point)"
            )
        return points


def ordered(path: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the item of a space in which `path` takes each of `values`, in order."""
    return {path: {"ordered": list(values)}}


def checkpoints(epochs: Sequence[int], parts: Sequence[int], study: Study) -> list[int]:
    """Return the epochs after which trainings are looked at, rising.

    epochs: as they were asked for; () takes the recipe's epochs over each of `parts`, rounded up. Raises
    `ConfigError` for epochs that the recipe does not have, and for a single one.
    """
    last = study.trial["target"]["epochs"]
    chosen = sorted(set(epochs or (-(-last // part) for part in parts)))
    if len(chosen) < 2 or not 1 <= chosen[0] <= chosen[-1] <= last:
        raise ConfigError(
            f"expected two or more epochs between 1 and {last}, the recipe's (trial.target.epochs); got "
            f"{', '.join(map(str, chosen))} (--epoch)"
        )
    return chosen


def one_seed(runs: Sequence[Run]) -> bool:
    """Return whether no target was trained under two seeds, so that nothing can be concluded."""
    return len({run.seed for run in runs}) < 2


def one_person(runs: Sequence[Run]) -> bool:
    """Return whether a single person was attacked, so that no test over people can be made."""
    return any(len(run.rates) == 1 for run in runs)


def unknown_noise(runs: Sequence[Run]) -> str:
    """Return the sentence that nothing is concluded, where `runs` leave a noise unknown; else ""."""
    if one_seed(runs):
        return ONE_SEED
    return ONE_PERSON if one_person(runs) else ""


def frozen(point: str) -> str:
    """Return what a freeze point makes of a target, in words."""
    return "with nothing frozen" if point == UNDEFENDED else f"frozen up to {point}"


UNDEFENDED = "none"
ONE_SEED = "each target was trained once: the noise of training seeds is not known, so nothing is concluded"
ONE_PERSON = "one person was attacked: how people differ is not known, so nothing is concluded"
