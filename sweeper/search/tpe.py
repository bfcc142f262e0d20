"""TPE for long studies: Optuna's own, proposal for proposal, that reads a finished trial once."""

from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials, default_gamma_multiobjective
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup
from optuna.trial import FrozenTrial, TrialState

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class LongTPE(TPESampler):
    """Multivariate, grouped TPE (Optuna's `TPESampler`), whose proposals cost about the same all the way.

    Optuna's reads all trials again, decomposes the space again and splits the trials again for every group of
    parameters of every proposal. A finished trial never changes, so here its part in the space and its
    parameters are kept from when it is first seen, and trials are split once a proposal. The proposals are
    the same, to the bit; the tests hold them against Optuna's. Serves one study, with two or more objectives.
    """

    def __init__(self, *, seed: int, startup: int) -> None:
        super().__init__(seed=seed, multivariate=True, group=True, n_startup_trials=startup)
        self._group_decomposed_search_space = _Groups(include_pruned=True)
        self._columns: dict[str, np.ndarray] = {}  # parameter -> value by trial number, NaN where it has none
        self._rows = 0
        self._seen: set[int] = set()  # the numbers of the finished trials that are noted and split
        self._halves: tuple[list[FrozenTrial], list[FrozenTrial]] = ([], [])

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        trials = study._get_trials(deepcopy=False, use_cache=True)
        running = [t for t in trials if t.state == TrialState.RUNNING and t.number != trial.number]
        self._read([t for t in trials if t.state in FINISHED], running, study)
        below, above = self._halves
        if running:
            above = sorted(above + running, key=lambda t: t.number)
        good = self._build_parzen_estimator(study, search_space, below, handle_below=True)
        rest = self._build_parzen_estimator(study, search_space, above, handle_below=False)
        candidates = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(candidates, self._compute_acquisition_func(candidates, good, rest))
        return {
            name: distribution.to_external_repr(best[name]) for name, distribution in search_space.items()
        }

    def _read(self, finished: list[FrozenTrial], running: list[FrozenTrial], study: Study) -> None:
        """Note the parameters of new and of running trials; split the finished ones if any is new."""
        for trial in [t for t in finished if t.number not in self._seen] + running:
            self._note(trial, self._get_params(trial, study))
        if len(self._seen) != len(finished):
            self._seen = {t.number for t in finished}
            self._halves = _split_trials(study, finished, default_gamma_multiobjective(len(finished)))

    def _note(self, trial: FrozenTrial, params: dict[str, Any]) -> None:
        """Write a trial's parameters, as the estimators want them, into its row."""
        if trial.number >= self._rows:
            more = max(64, trial.number + 1 - self._rows, self._rows)
            empty = np.full(more, np.nan)
            self._columns = {name: np.append(column, empty) for name, column in self._columns.items()}
            self._rows += more
        assert self._search_space_group is not None
        planned = [] if trial.state.is_finished() else self._search_space_group.search_spaces
        known = {
            name: distribution
            for space in [*planned, trial.distributions]
            for name, distribution in space.items()
        }
        for column in self._columns.values():  # while it ran it had values for branches that it did not take
            column[trial.number] = np.nan
        for name, value in params.items():
            column = self._columns.setdefault(name, np.full(self._rows, np.nan))
            column[trial.number] = known[name].to_internal_repr(value)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        numbers = np.fromiter((t.number for t in trials), dtype=np.intp, count=len(trials))
        absent = np.full(self._rows, np.nan)
        values = np.stack([self._columns.get(name, absent)[numbers] for name in search_space])
        return dict(zip(search_space, values[:, ~np.isnan(values).any(axis=0)], strict=True))


class _Groups(_GroupDecomposedSearchSpace):
    """The decomposition of a conditional space into groups of parameters that always come together.

    A set of parameters that was taken in splits no group a second time, so every trial is taken in once.
    """

    def __init__(self, include_pruned: bool) -> None:
        super().__init__(include_pruned)
        self._taken: set[int] = set()

    def calculate(self, study: Study, use_cache: bool = False) -> _SearchSpaceGroup:
        """Return the groups of all finished trials of `study`; the caller does not change them."""
        for trial in study._get_trials(deepcopy=False, states=FINISHED, use_cache=use_cache):
            if trial.number not in self._taken:
                self._taken.add(trial.number)
                self._search_space.add_distributions(trial.distributions)
        return self._search_space
