"""The ledger of a sweep: one Optuna study, asked and told. Optuna is imported here and by its samplers."""

import contextlib
import itertools
import json
import random
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna

from search_spaces.space import anchors, at_random, decode, grid, size
from sweeper.search.ask_tell import Assignment, TrialRequest
from sweeper.search.confirmation_log import confirmation_name
from sweeper.search.definition import changes, refuse_changes
from sweeper.search.drafts import DraftStorage
from sweeper.search.reading import DEFINITION, SOURCES, State, open_storage, was_screened, write_history
from sweeper.search.samplers import make_sampler, propose
from sweeper.statistics.pareto import non_dominated
from sweeper.storage.databases import storage_errors
from sweeper.study.objectives import is_number, measured
from sweeper.study.sources import Sources, differences, missing, moved, refuse
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.urls import redact

optuna.logging.set_verbosity(optuna.logging.ERROR)


REASKS = 4  # proposals of an assignment already tried, before one is picked from what is left
REDRAWS = 1000  # of branches without numbers an infinite space may have many
LISTABLE = 20_000  # a finite space up to this size is listed to find what is left of it


class OptunaStudy:
    """The Optuna study of a sweep: the one truth about what was tried and what came out.

    Opening creates the study, or checks that the stored one is the same (`ConfigError` naming the differing
    keys) and takes up what a killed driver left: its running trials are handed out first, under their own
    numbers. histories: the folder for what is too long for a database, ``<number>.json`` a trial.
    sources: what lies behind the study's paths (`study_sources`), which belongs to its definition; None does
    not look. A study that has all its results may open without them.
    """

    def __init__(self, study: Study, url: str, histories: Path, *, sources: Sources | None = None) -> None:
        self._sources: Sources = sources or {}
        self._url, self._histories = url, histories
        with storage_errors(url):
            storage = self._drafts = DraftStorage(optuna.storages.get_storage(open_storage(url)))
            self.study = study
            self._optuna = self._open(storage)
            self.study = study.as_begun(self._optuna.user_attrs.get(DEFINITION))
            if not self.begun and (self._changed() or self._other_sources()):
                # The first start ended before any trial, over data that were missing, say: start afresh.
                optuna.delete_study(study_name=study.name, storage=storage)
                self._optuna = self._open(storage)
            self._check_definition()
            self._check_sources()
            trials = self._optuna.get_trials(deepcopy=False)
            self._optuna.sampler = make_sampler(self.study, len(trials))
            self._dice = random.Random(study.search.seed + len(trials))
            self._left_running = [t for t in trials if t.state == State.RUNNING]
            self.complete = sum(t.state == State.COMPLETE for t in trials)
            self.failed = sum(t.state == State.FAIL and "duplicate_of" not in t.user_attrs for t in trials)
            self.failed_now = 0
            self._handles: dict[int, optuna.trial.Trial] = {}
            self._used_up = False
            self._tried: dict[str, int] = {}
            self._rivals: list[dict[str, Any]] = []
            for trial in trials:  # a running one may lack parameters, and is handed out first
                if trial.state == State.COMPLETE:
                    self._tried.setdefault(_key(decode(study.domains, trial.params)), trial.number)
                    self._compete(
                        trial.number, trial.values, trial.constraints, trial.user_attrs.get("result", {})
                    )
            self._enqueue()
            self._walk = self._unwalked(trials)
            waiting = any(trial.state in (State.RUNNING, State.WAITING) for trial in trials)
            if self.complete and self._listable and not waiting:  # what has no effect is not offered
                self._used_up = not any(self._is_new(raw) for raw in grid(self.study.domains))

    @property
    def budget(self) -> int:
        """Return how many results the study wants."""
        return self.study.budget

    @property
    def extra(self) -> int:
        """Return how many runs are to come beside the trials: none."""
        return 0

    @property
    def finished(self) -> bool:
        """Return whether the study has all the results that it wants or can get."""
        return self.complete >= self.budget or self.gave_up or (self._used_up and not self._handles)

    @property
    def gave_up(self) -> bool:
        """Return whether ``max(10, budget)`` trials have failed since this start."""
        return self.failed_now >= max(10, self.budget)

    def ask(self) -> TrialRequest | None:
        """Return the next trial to run, or None while the running ones may still fill the budget."""
        with storage_errors(self._url):
            if self._left_running:
                return self._start(optuna.trial.Trial(self._optuna, self._left_running.pop(0)._trial_id))
            if self.finished or self.complete + len(self._handles) >= self.budget:
                return None
            return self._propose()

    def _propose(self) -> TrialRequest | None:
        """Return a trial with an assignment that was not tried yet, if there is one."""
        for raw in itertools.islice(self._walk, 1):
            self._optuna.enqueue_trial(raw)
        for _ in range(REASKS if self.study.search.sampler != "grid" or not self._tried else 1):
            trial = self._optuna.ask()
            assignment = propose(self.study, trial)
            twin, offered = self._tried.get(_key(assignment)), self.study.offers(assignment)
            if twin is None and offered:
                return self._start(trial, assignment)
            if not self._drafts.drop(trial._trial_id):  # a person queued it, in optuna-dashboard
                trial.set_user_attr("duplicate_of", twin)  # the same seed would give the same result
                reason = f"the same as trial {twin}" if offered else "its defense has no effect there"
                trial.set_user_attr("result", {"reason": f"not run: {reason}"})
                self._optuna.tell(trial, state=State.FAIL)
        if self._listable:
            untried = [raw for raw in grid(self.study.domains) if self._is_new(raw)]
            if not untried:
                self._used_up = True
                return None
            self._optuna.enqueue_trial(self._dice.choice(untried))
        elif self._tried:
            self._optuna.enqueue_trial(self._new())
        return self._start(self._optuna.ask())

    def _new(self) -> dict[str, Any]:
        """Return raw values, drawn at random, of an assignment that was not tried; its space is infinite."""
        for _ in range(REDRAWS):
            raw = at_random(self.study.domains, self._dice)
            if self._is_new(raw):
                break
        return raw

    def _is_new(self, raw: Mapping[str, Any]) -> bool:
        assignment = decode(self.study.domains, raw)
        return _key(assignment) not in self._tried and self.study.offers(assignment)

    @property
    def _listable(self) -> bool:
        available = size(self.study.domains)
        return available is not None and available <= LISTABLE

    def tell(self, number: int, result: Mapping[str, Any]) -> str:
        """Record what trial `number` gave; return "" or the reason why it counts as failed.

        The history goes into its own file first, so that a complete trial always has one.
        """
        values = {name: measured(result, name) for name in self.study.searched}
        limits = {str(limit): limit.violation(result) for limit in self.study.searched_limits}
        if was_screened(result):  # beaten whatever the long attack would say; GP wants a number for each
            limits = {text: violation or 0.0 for text, violation in limits.items()}
        missing = {
            name: value for name, value in {**self.values(result), **values}.items() if not is_number(value)
        }
        unknown = [text for text, violation in limits.items() if violation is None]
        reason = ""
        if missing:
            reason = f"objectives must be finite numbers; got {missing}"
        elif unknown:
            reason = f"a constraint needs a finite number; the trial gave none for '{unknown[0]}'"
        if reason:
            self.fail(number, result.get("params", {}), reason)
            return reason
        record = dict(result)
        write_history(self._histories, number, record.pop("history", {}))
        self._finish(number, record, list(values.values()), limits)
        self._compete(number, list(values.values()), limits, record)
        self.complete += 1
        return ""

    def _compete(
        self,
        number: int,
        values: Sequence[float],
        limits: Mapping[str, float | None],
        result: Mapping[str, Any],
    ) -> None:
        """Keep a finished trial among those that others are screened against, while it is on the front."""
        if (
            not self.study.search.screening
            or was_screened(result)
            or any((v or 0) > 0 for v in limits.values())
        ):
            return
        names = list(self.study.searched)
        self._rivals.append({"number": number, "values": dict(zip(names, values, strict=True))})
        rows = [[rival["values"][name] for name in names] for rival in self._rivals]
        best = non_dominated(rows, list(self.study.objectives.values()))
        self._rivals = [rival for rival, keep in zip(self._rivals, best, strict=True) if keep]

    def values(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objectives of what a trial gave as they are reported, None for one that it lacks."""
        return {name: measured(result, name) for name in self.study.objectives}

    def fail(self, number: int, assignment: Assignment, reason: str, trace: str = "") -> None:
        """Record that trial `number` gave no result, and why."""
        self._finish(number, {"params": assignment, "reason": reason, "trace": trace}, None)
        self.failed += 1
        self.failed_now += 1

    @property
    def notes(self) -> dict[str, Any]:
        """Return what was kept with the study."""
        with storage_errors(self._url):
            return dict(self._optuna.user_attrs)

    def note(self, key: str, value: Any) -> None:
        """Keep a JSON-ready value with the study."""
        with storage_errors(self._url):
            self._optuna.set_user_attr(key, value)

    def _start(self, trial: optuna.trial.Trial, assignment: Assignment | None = None) -> TrialRequest:
        if assignment is None:
            assignment = propose(self.study, trial)
        trial.set_user_attr("result", {"params": assignment})  # a parameter of Optuna's may be a position
        number = self._drafts.store(trial._trial_id)
        self._handles[number] = trial
        self._tried.setdefault(_key(assignment), number)
        # Rivals are finished now; what finishes while the trial trains can only screen more of its kind.
        options = {"rivals": list(self._rivals)} if self.study.search.screening else {}
        document = self.study.document(assignment)
        return TrialRequest(number, assignment, document, f"trial {number}", options)

    def _finish(
        self,
        number: int,
        record: dict[str, Any],
        values: list[Any] | None,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        trial = self._handles.pop(number)
        with storage_errors(self._url):
            for text, violation in (limits or {}).items():  # samplers and dashboards read it from there
                trial.set_constraint(text, violation)
            trial.set_user_attr("result", record)  # before the end: a finished trial cannot be changed
            if values is None:
                self._optuna.tell(trial, state=State.FAIL)
            else:
                self._optuna.tell(trial, values)

    def _open(self, storage: optuna.storages.BaseStorage) -> optuna.Study:
        return optuna.create_study(
            storage=storage,
            study_name=self.study.name,
            directions=list(self.study.objectives.values()),
            sampler=optuna.samplers.RandomSampler(seed=0),
            load_if_exists=True,
        )

    @property
    def begun(self) -> bool:
        """Return whether any trial was ever handed out."""
        return any(t.state != State.WAITING for t in self._optuna.get_trials(deepcopy=False))

    def _changed(self) -> list[str]:
        """Return, for each key in which the stored study differs from this one, ``key: old -> new``."""
        stored = self._optuna.user_attrs.get(DEFINITION)
        if stored is None:
            return []
        same = moved(self._optuna.user_attrs.get(SOURCES) or {}, self._sources)
        return changes(stored, self.study.definition(), same=same)

    @property
    def sources_recorded(self) -> bool:
        """Return whether it is known what lay behind the study's paths when it began."""
        return SOURCES in self.notes or not self._sources

    def record_sources(self) -> None:
        """Keep with the study what lies behind its paths."""
        self.note(SOURCES, self._sources)

    def _other_sources(self) -> list[str]:
        return differences(self._optuna.user_attrs.get(SOURCES) or {}, self._sources)

    def _check_sources(self) -> None:
        """Raise `ConfigError` if other data lie behind the study's paths than when it began."""
        if not self.begun:
            if self._sources:
                self.record_sources()
            return
        states = [trial.state for trial in self._optuna.get_trials(deepcopy=False)]
        if not (missing(self._sources) and states.count(State.COMPLETE) >= self.budget):
            refuse(self.study.name, self._other_sources())

    def _check_definition(self) -> None:
        if self._optuna.user_attrs.get(DEFINITION) is None:
            self._check_foreign()
            with contextlib.suppress(KeyError):  # what confirmed a study of this name that was deleted
                optuna.delete_study(study_name=confirmation_name(self.study.name), storage=self._drafts)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._optuna.set_metric_names(list(self.study.searched))  # what optuna-dashboard shows
            self._optuna.set_user_attr(DEFINITION, self.study.definition())
            return
        refuse_changes(self.study.name, self._changed())

    def _check_foreign(self) -> None:
        """Raise `ConfigError` for a study made by another program, unless it is empty and fits: ``optuna
        create-study`` with the directions of this one."""
        problem = ""
        directions = [direction.name.lower() for direction in self._optuna.directions]
        if self._optuna.get_trials(deepcopy=False):
            problem = "has trials already"
        elif directions != list(self.study.objectives.values()):
            expected = ", ".join(f"{name} {way}" for name, way in self.study.objectives.items())
            problem = f"has the directions {', '.join(directions)} instead of {expected}"
        if problem:
            url = shlex.quote(redact(self._url))
            raise ConfigError(
                f"the database already has a study '{self.study.name}' that this program did not make, and "
                f"it {problem}; give the study another name (-S name=...), or delete that one: optuna "
                f"delete-study --study-name {shlex.quote(self.study.name)} --storage {url}"
            )

    def _enqueue(self) -> None:
        """Queue the anchors. Killed in between, the next start queues the rest."""
        search = self.study.search
        if search.sampler == "grid" or not search.anchors:
            return
        first = [raw for raw in anchors(self.study.domains) if self._offers(raw)][: self.budget]
        if self._optuna.user_attrs.get("enqueued", 0) >= len(first):
            return
        for raw in first:
            self._optuna.enqueue_trial(raw, skip_if_exists=True)
        self._optuna.set_user_attr("enqueued", len(first))

    def _offers(self, raw: Mapping[str, Any]) -> bool:
        return self.study.offers(decode(self.study.domains, raw))

    def _unwalked(self, trials: list[optuna.trial.FrozenTrial]) -> Iterator[dict[str, Any]]:
        """Return what is left of the grid, in order; nothing for the other samplers.

        It is queued one by one: Optuna reads all that waits in its queue again at every proposal.
        """
        if self.study.search.sampler != "grid":
            return iter(())
        known = {_key(trial.system_attrs.get("fixed_params", trial.params)) for trial in trials}
        points = itertools.islice(filter(self._offers, grid(self.study.domains)), self.budget)
        return (raw for raw in points if _key(raw) not in known)


def _key(assignment: Mapping[str, Any]) -> str:
    return json.dumps(assignment, sort_keys=True)
