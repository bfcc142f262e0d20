"""Fresh measurements of trials: an Optuna study of their own beside the search, so that nothing is mixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from sweeper.search.ask_tell import PlannedRuns, TrialRequest
from sweeper.search.reading import open_storage
from sweeper.storage.databases import storage_errors
from sweeper.study.objectives import is_number, measured
from sweeper.study.study import Study
from trainables.storage.store import content_key

State = optuna.trial.TrialState
Result = dict[str, Any]

SEEDS_ALONE = ("seeds",)  # what was fresh before that was a choice


def confirmation_name(study: str) -> str:
    """Return the name of the study that holds the fresh measurements; no study of a user can have it."""
    return f"{study}/confirm"


@dataclass(frozen=True)
class Item:
    """One thing to measure: a trial of the search under a replicate number, and `changes` of its document."""

    member: int
    replicate: int
    document: dict[str, Any]
    assignment: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)


class Confirmation(PlannedRuns):
    """Fresh measurements of a study, those planned and those done; a `TrialSource`.

    Each is kept whole when it is done; what ran when a driver was killed starts again, and finds the stages
    that were finished. attacks: how it is attacked, a document. fresh: what differs from the search.
    Measurements under other attacks, or with something else fresh, stay stored and do not count here.
    """

    def __init__(
        self, study: Study, url: str, items: Sequence[Item], attacks: Any, fresh: Sequence[str] = SEEDS_ALONE
    ) -> None:
        self.study, self._url, self._items = study, url, list(items)
        self._attacks, self._fresh, self._counts = attacks, list(fresh), False
        with storage_errors(url):
            self._optuna = optuna.create_study(
                storage=open_storage(url),
                study_name=confirmation_name(study.name),
                directions=list(study.objectives.values()),
                load_if_exists=True,
            )
        measured = {
            (measurement["member"], measurement["result"]["replicate"])
            for measurement in _measurements(self._optuna, content_key(attacks=attacks), self._fresh)
        }
        left = [n for n, i in enumerate(self._items) if (i.member, i.replicate) not in measured]
        super().__init__(len(self._items), left)
        self.complete = len(self._items) - len(left)
        if measured:
            self._count()

    def request(self, number: int) -> TrialRequest:
        """Return measurement `number`."""
        item = self._items[number]
        name = f"trial {item.member}, seed {item.replicate}"
        return TrialRequest(number, item.assignment, item.document, name)

    def tell(self, number: int, result: Mapping[str, Any]) -> str:
        """Record measurement `number`; return "" or the reason why it counts as failed."""
        values = self.values(result)
        missing = {name: value for name, value in values.items() if not is_number(value)}
        if missing:
            reason = f"objectives must be finite numbers; got {missing}"
            self.fail(number, {}, reason)
            return reason
        item = self._items[number]
        stored = {key: value for key, value in result.items() if key != "history"}
        stored |= {"replicate": item.replicate, "changes": item.changes, "fresh": self._fresh}
        stored["values"] = {**result.get("values", {}), **values}
        self.ended(number)
        with storage_errors(self._url):
            self._optuna.add_trial(
                optuna.trial.create_trial(
                    values=list(values.values()),
                    user_attrs={
                        "member": item.member,
                        "attacks": content_key(attacks=self._attacks),
                        "fresh": self._fresh,
                        "result": stored,
                    },
                )
            )
        self.complete += 1
        self._count()
        return ""

    def fail(self, number: int, assignment: dict[str, Any], reason: str, trace: str = "") -> None:
        """Note that measurement `number` gave no result; the next start tries it again."""
        self.ended(number)
        item = self._items[number]
        self.failures.append(f"trial {item.member} under seed {item.replicate}: {reason}")

    def _count(self) -> None:
        """Let these measurements be what the study is confirmed by: those before count until there is one."""
        if self._counts:
            return
        with storage_errors(self._url):
            self._optuna.set_user_attr("attacks", self._attacks)
            self._optuna.set_user_attr("fresh", self._fresh)
        self._counts = True

    def values(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the objectives of what a measurement gave, None for one that it lacks."""
        return {name: measured(result, name) for name in self.study.objectives}


def _measurements(study: optuna.Study, attacks: str, fresh: Sequence[str]) -> list[dict[str, Any]]:
    """Return ``{"member", "result"}`` of each measurement under the attacks of that key, each seed once.

    fresh: what differed from the search; earlier versions took other seeds alone, and did not say so.
    """
    measurements: dict[tuple[int, int], dict[str, Any]] = {}
    for trial in study.get_trials(deepcopy=False, states=(State.COMPLETE,)):
        attributes = trial.user_attrs
        if attributes.get("attacks") == attacks and _fresh(attributes) == list(fresh):
            measurements.setdefault((attributes["member"], attributes["result"]["replicate"]), attributes)
    return [
        {"member": attributes["member"], "result": attributes["result"]}
        for attributes in measurements.values()
    ]


def _fresh(attributes: Mapping[str, Any]) -> list[str]:
    return list(attributes.get("fresh") or SEEDS_ALONE)


def stored_confirmation(url: str, name: str) -> tuple[Any, dict[int, list[Result]]]:
    """Return how the study `name` was attacked when it was last confirmed, and trial -> its fresh results.

    Results are those with the same things fresh as then. (None, {}) if it never was.
    """
    results: dict[int, list[Result]] = {}
    with storage_errors(url):
        try:
            study = optuna.load_study(study_name=confirmation_name(name), storage=open_storage(url))
        except KeyError:
            return None, {}
        attacks = study.user_attrs.get("attacks")
        for measurement in _measurements(study, content_key(attacks=attacks), _fresh(study.user_attrs)):
            results.setdefault(measurement["member"], []).append(measurement["result"])
    return attacks, results
