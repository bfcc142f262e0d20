"""Replicates that tell the noise of training seeds: of two trials of a study, run beside its others."""

from collections.abc import Mapping
from typing import Any

from sweeper.search.ask_tell import Assignment, TrialRequest
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import NOISE, stored_trials
from sweeper.study.objectives import is_number
from sweeper.study.study import NOISE_TRIALS, Study
from trainables.training.frozen_name import frozen_name

STORED = ("values", "interval", "seconds", "artifacts")  # parts of a result that are kept


class NoiseReplicates:
    """The trials of a study, and replicates of an undefended and of a defended one; a `TrialSource`.

    The first of each kind that is complete is run again, before any other trial, under the seeds that follow
    its own. These runs are no trials: they count towards no budget, and no sampler sees them. What they gave
    is kept with the study (`NOISE`), so that a killed driver's successor runs only what is missing. Where a
    third of the budget is complete and a kind is not among them, the first other trial stands in for it.

    A study that was finished before it had any stays as it is.
    """

    def __init__(self, study: Study, trials: OptunaStudy, url: str) -> None:
        self._study, self._trials = study, trials
        stored = trials.notes.get(NOISE) or {}
        self._roles: dict[str, int] = dict(stored.get("members") or {})
        self._results: list[dict[str, Any]] = list(stored.get("results") or [])
        self._closed = not study.noise_runs or (trials.finished and not stored)
        self._complete: dict[int, Assignment] = {}
        if not self._closed:
            _, known = stored_trials(url, study.name)
            self._complete = {
                trial["number"]: trial["result"].get("params", trial["params"])
                for trial in known
                if trial["state"] == "complete"
            }
        self._seeds = study.search.noise_replicates - 1  # beside its own
        self._running: dict[int, tuple[int, int]] = {}
        self._tried: set[tuple[int, int]] = set()
        self.failures: list[str] = []

    @property
    def complete(self) -> int:
        """Return how many results of trials there are."""
        return self._trials.complete

    @property
    def budget(self) -> int:
        """Return how many results of trials are wanted."""
        return self._trials.budget

    @property
    def extra(self) -> int:
        """Return how many replicates are still to come or running."""
        if self._closed or self._trials.gave_up:
            return len(self._running)
        if self._trials.finished:
            self._choose()  # among the last trials too
            return len(self._left()) + len(self._running)
        waiting = len(self._left()) + len(self._running)
        return waiting + max(0, self._study.noise_runs - len(self._roles) * self._seeds)

    @property
    def finished(self) -> bool:
        """Return whether there is nothing more to hand out: neither trials nor replicates of them."""
        if not self._trials.finished or self._running:
            return False
        if self._closed or self._trials.gave_up:
            return True
        self._choose()
        return not self._left()

    def ask(self) -> TrialRequest | None:
        """Return the next replicate, or else the next trial; None while the running ones may suffice."""
        if not self._closed and not self._trials.gave_up:
            self._choose()
            for member, replicate in self._left():
                return self._start(member, replicate)
        return self._trials.ask()

    def tell(self, number: int, result: Mapping[str, Any]) -> str:
        """Record what a trial or a replicate gave; return "" or the reason why it counts as failed."""
        if number >= 0:
            reason = self._trials.tell(number, result)
            if not reason and not (result.get("screening") or {}).get("reason"):
                self._complete[number] = dict(result.get("params", {}))
            return reason
        member, replicate = self._running[number]
        values = self.values(result)
        missing = {name: value for name, value in values.items() if not is_number(value)}
        if missing:
            reason = f"objectives must be finite numbers; got {missing}"
            self.fail(number, {}, reason)
            return reason
        del self._running[number]
        stored = {key: result[key] for key in STORED if key in result}
        stored["values"] = {**result.get("values", {}), **values}
        self._results.append({"member": member, "replicate": replicate, **stored})
        self._note()
        return ""

    def fail(self, number: int, assignment: Assignment, reason: str, trace: str = "") -> None:
        """Record that a trial, or a replicate, gave no result; the next start tries a replicate again."""
        if number >= 0:
            self._trials.fail(number, assignment, reason, trace)
            return
        member, replicate = self._running.pop(number)
        self.failures.append(f"trial {member} again under seed {replicate}: {reason}")

    def values(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objectives of what a trial gave, None for one that it lacks."""
        return self._trials.values(result)

    def _choose(self) -> None:
        """Choose the trials to run again, as far as they are complete."""
        before = dict(self._roles)
        for role, undefended in (("undefended", True), ("defended", False)):
            if role in self._roles:
                continue
            free = [number for number in sorted(self._complete) if number not in self._roles.values()]
            free = [number for number in free if "replicate" not in self._complete[number]]
            kind = [number for number in free if is_undefended(self._document(number)) == undefended]
            late = self._trials.finished or 3 * self._trials.complete >= self._trials.budget
            # The other kind is not taken from the role that waits for it.
            stand_ins = free if late and len(free) >= NOISE_TRIALS - len(self._roles) else []
            if kind or stand_ins:
                self._roles[role] = (kind or stand_ins)[0]
        if self._roles != before:
            self._note()

    def _left(self) -> list[tuple[int, int]]:
        """Return (member, replicate) of what was chosen and neither ran nor runs, the first seeds first."""
        known = {(result["member"], result["replicate"]) for result in self._results} | self._tried
        items = [
            (member, self._document(member).get("replicate", 0) + step)
            for step in range(1, self._seeds + 1)
            for member in self._roles.values()
            if member in self._complete
        ]
        return [item for item in items if item not in known]

    def _start(self, member: int, replicate: int) -> TrialRequest:
        self._tried.add((member, replicate))
        number = -len(self._tried)  # trials have the others
        self._running[number] = member, replicate
        assignment = self._complete[member]
        document = {**self._document(member), "replicate": replicate}
        # Nothing is screened: the figure is wanted, however it turns out.
        options: dict[str, Any] = {"rivals": [], "limits": []} if self._study.search.screening else {}
        name = f"trial {member} again, seed {replicate}"
        return TrialRequest(number, assignment, document, name, options, is_trial=False)

    def _document(self, number: int) -> dict[str, Any]:
        return self._study.document(self._complete[number])

    def _note(self) -> None:
        self._trials.note(NOISE, {"members": self._roles, "results": self._results})


def is_undefended(document: Mapping[str, Any]) -> bool:
    """Return whether a trial has neither a defense nor anything frozen."""
    defense, target = document.get("defense") or {}, document.get("target") or {}
    return (defense.get("kind", "none"), frozen_name(target)) == ("none", "none")
