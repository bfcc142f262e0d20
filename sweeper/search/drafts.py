"""Proposals that leave no trace: an Optuna storage in which a new trial is a draft until it is stored."""

import itertools
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState


class DraftStorage(BaseStorage):
    """The storage `backend`, but for trials that were asked for and not stored yet: those live in memory.

    A sampler may propose what was tried already. Such a trial would take a number and stay for ever, as a
    failure; a draft is dropped. `store` writes a draft with all its parameters at once, and it keeps its id
    for whoever holds it; so does its first end (``Study.tell``). One thread uses it.
    """

    def __init__(self, backend: BaseStorage) -> None:
        self._backend = backend
        self._ids = itertools.count(-1, -1)  # the backend's are positive
        self._drafts: dict[int, tuple[int, FrozenTrial]] = {}
        self._stored: dict[int, int] = {}

    def store(self, trial_id: int) -> int:
        """Write the trial if it is a draft; return its number."""
        if trial_id in self._drafts:
            study_id, draft = self._drafts.pop(trial_id)
            self._stored[trial_id] = self._backend.create_new_trial(study_id, template_trial=draft)
        return self._backend.get_trial_number_from_id(self._stored.get(trial_id, trial_id))

    def drop(self, trial_id: int) -> bool:
        """Forget the trial if it is a draft; return whether it was one."""
        return self._drafts.pop(trial_id, None) is not None

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Make a draft; a trial with a template is stored at once."""
        if template_trial is not None:
            return self._backend.create_new_trial(study_id, template_trial)
        trial_id = next(self._ids)
        draft = FrozenTrial(
            number=self._backend.get_n_trials(study_id),
            trial_id=trial_id,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        self._drafts[trial_id] = study_id, draft
        return trial_id

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set a parameter, given in Optuna's internal numbers."""
        draft = self._draft(trial_id)
        if draft is None:
            place = self._place(trial_id)
            self._backend.set_trial_param(place, param_name, param_value_internal, distribution)
            return
        draft.params = {**draft.params, param_name: distribution.to_external_repr(param_value_internal)}
        draft.distributions = {**draft.distributions, param_name: distribution}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of the user's."""
        draft = self._draft(trial_id)
        if draft is None:
            self._backend.set_trial_user_attr(self._place(trial_id), key, value)
        else:
            draft.user_attrs = {**draft.user_attrs, key: value}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's: samplers keep theirs there."""
        draft = self._draft(trial_id)
        if draft is None:
            self._backend.set_trial_system_attr(self._place(trial_id), key, value)
        else:
            draft.system_attrs = {**draft.system_attrs, key: value}

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """End a trial, or begin one that waits."""
        self.store(trial_id)
        return self._backend.set_trial_state_values(self._place(trial_id), state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Set what a trial reports while it runs."""
        self.store(trial_id)
        self._backend.set_trial_intermediate_value(self._place(trial_id), step, intermediate_value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial, also a draft."""
        return self._draft(trial_id) or self._backend.get_trial(self._place(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return all trials, the drafts last: a sampler sees what it proposes for as running."""
        trials = self._backend.get_all_trials(study_id, deepcopy, states)
        if states is not None and TrialState.RUNNING not in states:
            return trials
        return [*trials, *(draft for place, draft in self._drafts.values() if place == study_id)]

    def _draft(self, trial_id: int) -> FrozenTrial | None:
        return self._drafts[trial_id][1] if trial_id in self._drafts else None

    def _place(self, trial_id: int) -> int:
        """Return the backend's id of a trial that is stored."""
        return self._stored.get(trial_id, trial_id)

    # Studies are the backend's alone.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Make a study."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._backend.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of the user's."""
        self._backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set an attribute of Optuna's."""
        self._backend.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of a study."""
        return self._backend.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the directions of a study."""
        return self._backend.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the user's attributes."""
        return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return Optuna's attributes."""
        return self._backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies."""
        return self._backend.get_all_studies()

    def remove_session(self) -> None:
        """Close what this thread has open."""
        self._backend.remove_session()
