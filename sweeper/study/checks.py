"""Checks of a study before any work: objectives, screening, GPUs, every path of its space."""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.study.metrics import objective_metrics
from sweeper.study.study import MOST_OBJECTIVES, OBJECTIVES, Resources, Study
from trainables.errors import ConfigError, placed
from trainables.storage.documents import suggestion

if TYPE_CHECKING:
    from trainables.config import TrialConfig
    from trainables.controls.options import Controls

IN_TRIAL = ", in the trial with "
_CHECKED_DRAWS = 20
_CHECKED_COMBINATIONS = 200  # milliseconds each


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
    metrics = objective_metrics()
    for name in study.objectives:
        if metrics[name].reconstruction:
            raise ConfigError(
                f"search.screening cannot bound the objective {name}: a longer attack may come nearer or "
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
    metrics = objective_metrics()
    for name in study.objectives:
        if name not in metrics:
            raise ConfigError(
                f"an objective must be one of {', '.join(metrics)}; got '{name}'"
                f"{suggestion(name, metrics)} ({where}: objectives)"
            )

    if len(study.searched) < count:
        raise ConfigError(
            "objectives must name one accuracy, since the search sees validation_accuracy for test_accuracy "
            f"(search.accuracy); got {', '.join(study.objectives)} ({where}: objectives); leave one out, or "
            "set search.accuracy: test"
        )


def study_controls(study: Study) -> "Controls | None":
    """Return the study's controls; None where it has none, or where nobody attacks."""
    from trainables.config import load_method
    from trainables.controls.options import Controls

    # mistakes are told, used or not
    controls: Controls = load_method(Controls, _given_controls(study), study.name, "controls")
    return None if study.controls is False or "attack_accuracy" not in study.objectives else controls


def control_options(study: Study) -> dict[str, Any] | None:
    """Return the knobs that the study gives its controls, to be stored; None as `study_controls`."""
    controls = study_controls(study)
    return None if controls is None else {name: getattr(controls, name) for name in _given_controls(study)}


def _given_controls(study: Study) -> dict[str, Any]:
    return {} if isinstance(study.controls, bool) else dict(study.controls)


def _check_controls(study: Study) -> None:
    """Raise `ConfigError` for controls that do not fit the study's template."""
    from trainables.config import load_trial
    from trainables.controls.measure import check_controls

    controls = study_controls(study)
    if controls is None:
        return
    try:
        check_controls(load_trial(study.trial, f"{study.name}: trial"), controls)
    except ConfigError as error:
        raise placed(error, f" ({study.name}: controls; `controls: false` leaves them out)") from None


def check_study(study: Study) -> None:
    """Raise `ConfigError` unless the template, the space and every path in it hold together.

    The anchors and some random draws are merged into the template and read as trials, so that a path that no
    trial has, or a value that no trial takes, is found before any training. A defense of the space that the
    target does not take is not tried, so that it is no mistake while others are left.
    """
    _check_controls(study)
    left_out: list[ConfigError] = []
    taken = False
    for assignment in _draws(study):
        try:
            config = _trial(study, assignment)
            if study.search.screening:
                from trainables.screening import shortened

                shortened(config, study.search.screening_share)
        except ConfigError as error:
            shown = ", ".join(f"{path}={value}" for path, value in assignment.items())
            mistake = placed(error, f"{IN_TRIAL}{shown}")
            if not _is_left_out(study, assignment):
                raise mistake from None
            left_out.append(mistake)
        else:
            taken = True
    if left_out and not taken:
        raise left_out[0]


def check_people(study: Study) -> None:
    """Raise `ConfigError` for people of the space whom the data, which are read, do not show.

    Where the private data vary too, nothing can be said of all trials, and each says it for itself.
    """
    from search_spaces.space import paths, values
    from trainables.stages.data import load_data

    if any(path.partition(".")[0] == "private" for path in paths(study.domains)):
        return
    for name in ("identities", "attacked"):
        for value in values(study.domains, name):
            try:
                load_data(_trial(study, {name: value}))
            except ConfigError as error:
                raise placed(error, f"{IN_TRIAL}{name}={value}") from None


def _is_left_out(study: Study, assignment: dict[str, Any]) -> bool:
    """Return whether the space's defense is one that the search leaves out of this trial."""
    from trainables.defenses import DEFENSES

    try:
        return assignment.get("defense.kind") in DEFENSES and not study.offers(assignment)
    except ConfigError:
        return False


def known_warnings(study: Study) -> list[str]:
    """Return what is known of the study's trials before any work, each text once."""
    from trainables.stages.warnings import config_warnings

    offered = [assignment for assignment in _draws(study) if study.offers(assignment)]
    texts = (text for assignment in offered for text in config_warnings(_trial(study, assignment)))
    return list(dict.fromkeys([*_turned_round(study), *_repeated_twice(study), *texts]))


def _turned_round(study: Study) -> Iterator[str]:
    """Yield a warning for each objective that is searched for the worst: attackers may want that."""
    metrics = objective_metrics()
    for name, direction in study.objectives.items():
        if direction != metrics[name].direction:
            yield (
                f"objectives: {{{name}: {direction}}} searches for the worst targets, and `sweeper pick` for "
                f"the best; for a target to release: {{{name}: {metrics[name].direction}}}"
            )


def _repeated_twice(study: Study) -> list[str]:
    """Return a warning where seeds are both counted in a trial and a knob of the space."""
    from search_spaces.space import paths

    count = study.search.replicates
    if count == 1 or "replicate" not in paths(study.domains):
        return []
    return [
        f"the space varies `replicate`, and search.replicates: {count} averages {count} of them in each "
        "trial, from there on, so that trials share seeds; leave one of the two out (search.replicates: 1)"
    ]


def _draws(study: Study) -> list[dict[str, Any]]:
    """Return assignments of the study's space: the anchors, some at random, and attacks with their priors."""
    from search_spaces.space import anchors, decode, draw

    space, _ = study.domains, study.budget
    drawn = [decode(space, raw) for raw in anchors(space)]
    drawn += [draw(space, _Dice(seed)) for seed in range(_CHECKED_DRAWS)]
    return drawn + [drawn[0] | methods for methods in _methods(study)]


def _methods(study: Study) -> list[dict[str, Any]]:
    """Return every combination of names that the space chooses for attacks and priors: not all may meet."""
    from search_spaces.domains import Choice
    from search_spaces.space import decode, grid

    named = {
        path: domain
        for path, domain in study.domains.items()
        if path.partition(".")[0] in ("attack", "prior")
        and isinstance(domain, Choice)
        and any(isinstance(value, str) for value in domain.values)
    }
    combinations = itertools.islice(grid(named), _CHECKED_COMBINATIONS) if named else ()
    return [decode(named, raw) for raw in combinations]


def _trial(study: Study, assignment: dict[str, Any]) -> "TrialConfig":
    from trainables.config import load_trial

    return load_trial(study.document(assignment), f"{study.name}: space")


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
