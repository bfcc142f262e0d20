"""TPE, the fast one where Optuna's inside is what that stands on, else Optuna's own: the same proposals."""

import importlib
import inspect
import warnings
from functools import reduce
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler

# Parts of Optuna's inside that `sweeper.search.tpe` uses: object -> the names of its parameters.
_TPE = "optuna.samplers._tpe.sampler"
_GROUPS = "optuna.search_space.group_decomposed"
EXPECTED: dict[tuple[str, str], tuple[str, ...]] = {
    (_TPE, "_split_trials"): ("study", "trials", "n_below"),
    (_TPE, "default_gamma_multiobjective"): ("x",),
    (_TPE, "TPESampler._sample"): ("self", "study", "trial", "search_space"),
    (_TPE, "TPESampler._build_parzen_estimator"): (
        "self",
        "study",
        "search_space",
        "trials",
        "handle_below",
    ),
    (_TPE, "TPESampler._compute_acquisition_func"): ("self", "samples", "mpe_below", "mpe_above"),
    (_TPE, "TPESampler._compare"): ("samples", "acquisition_func_vals"),
    (_TPE, "TPESampler._get_params"): ("self", "trial", "study"),
    (_TPE, "TPESampler._get_internal_repr"): ("self", "trials", "search_space", "study"),
    (_GROUPS, "_GroupDecomposedSearchSpace"): ("include_pruned",),
    (_GROUPS, "_GroupDecomposedSearchSpace.calculate"): ("self", "study", "use_cache"),
    (_GROUPS, "_SearchSpaceGroup.add_distributions"): ("self", "distributions"),
    ("optuna.study", "Study._get_trials"): ("self", "deepcopy", "states", "use_cache"),
}
ATTRIBUTES = (
    "_group_decomposed_search_space._search_space.search_spaces",
    "_search_space_group",
    "_rng.rng",
    "_n_ei_candidates",
)


def tpe_sampler(*, seed: int, startup: int) -> BaseSampler:
    """Return multivariate, grouped TPE; startup: random trials before it looks at results."""
    if optuna_is_as_expected():
        from sweeper.search.tpe import LongTPE

        return LongTPE(seed=seed, startup=startup)
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=startup)


def optuna_is_as_expected() -> bool:
    """Return whether this version of Optuna has all of `EXPECTED` and `ATTRIBUTES`."""
    try:
        for (module, name), parameters in EXPECTED.items():
            thing: Any = reduce(getattr, name.split("."), importlib.import_module(module))
            if tuple(inspect.signature(thing).parameters) != parameters:
                return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = TPESampler(multivariate=True, group=True)
        for path in ATTRIBUTES:
            reduce(getattr, path.split("."), sampler)
    except (ImportError, AttributeError):
        return False
    return True
