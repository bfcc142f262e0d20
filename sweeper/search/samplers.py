"""Optuna's samplers, made to take conditional spaces and to go on after a restart."""

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.domains import Choice, Domain, Float, Int, Ordered
from search_spaces.space import anchors, decode, draw, parameters
from sweeper.search.tpe_sampler import tpe_sampler
from sweeper.study.study import Study

# These know no conditional space. For them every trial draws the parameters of all branches, and those of the
# branches that were not chosen mean nothing.
FLAT = ("nsga2", "gp", "sobol")

STARTUP = 10  # random trials before TPE looks at results, Optuna's own number; fewer where anchors come first
POPULATION = (4, 50)  # of NSGA-II; with a population as large as the budget it would be random search


def make_sampler(study: Study, trials: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of `study`, of which `trials` trials are stored.

    Its seed moves with the trials so far, or a restart would repeat proposals. Sobol's sequence keeps its
    seed: how far it went is stored with the study.
    """
    kind, seed = study.search.sampler, study.search.seed + trials
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match kind:
            case "tpe":
                return tpe_sampler(seed=seed, startup=_startup(study))
            case "nsga2":
                low, high = POPULATION
                population = max(low, min(high, study.budget // 4))
                return Genetic(population_size=population, seed=seed)
            case "gp":
                return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
            case "sobol":
                return Sobol(study.domains, study.search.seed)
        return optuna.samplers.RandomSampler(seed=seed)


def _startup(study: Study) -> int:
    """Return how many trials TPE waits for: the anchors span the space, and need no random ones beside them.

    Measured on recorded trials (tests/benchmarks/search_efficiency.py), the difference to ten of them lies
    within the spread between seeds: slightly more volume after 12 to 24 trials, never clearly less.
    """
    return min(STARTUP, len(anchors(study.domains))) if study.search.anchors else STARTUP


def propose(study: Study, trial: optuna.trial.Trial) -> dict[str, Any]:
    """Return path -> value of what the sampler proposes for `trial`, or of what it proposed before."""
    if study.search.sampler not in FLAT:
        return draw(study.domains, trial)
    raw = {name: _suggest(trial, name, domain) for name, domain in parameters(study.domains)}
    return decode(study.domains, raw)


def _suggest(trial: optuna.trial.Trial, name: str, domain: Float | Int | Choice | Ordered) -> Any:
    match domain:
        case Float():
            return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
        case Int():
            return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
        case Ordered():
            return trial.suggest_int(name, 0, len(domain.values) - 1)
        case Choice():
            return trial.suggest_categorical(name, list(domain.labels))


def distribution(domain: Float | Int | Choice | Ordered) -> BaseDistribution:
    """Return Optuna's name for `domain`, the same as ``suggest_*`` make of it."""
    match domain:
        case Float():
            return FloatDistribution(domain.low, domain.high, log=domain.log)
        case Int():
            return IntDistribution(domain.low, domain.high, log=domain.log)
        case Ordered():
            return IntDistribution(0, len(domain.values) - 1)
        case Choice():
            return CategoricalDistribution(domain.labels)


class Genetic(optuna.samplers.NSGAIISampler):
    """NSGA-II whose first generation holds the anchors, which were not drawn by it."""

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        """Give every trial its generation, also one whose parameters are all given."""
        super().before_trial(study, trial)
        self.get_trial_generation(study, trial)


class Sobol(optuna.samplers.QMCSampler):
    """A scrambled Sobol sequence over all parameters, from its first point, whatever trials came before."""

    def __init__(self, space: Mapping[str, Domain], seed: int) -> None:
        super().__init__(qmc_type="sobol", scramble=True, seed=seed, warn_independent_sampling=False)
        distributions = {name: distribution(domain) for name, domain in parameters(space)}
        self._distributions = {name: domain for name, domain in distributions.items() if not domain.single()}

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter; nothing for an anchor, so that it takes no point of the sequence."""
        return {} if "fixed_params" in trial.system_attrs else self._distributions
