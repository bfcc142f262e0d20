"""Fields of a trial in MLflow: tags to filter by, numbers, curves. No mlflow in here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sweeper.results import formatting
from sweeper.results.trial_record import TrialRecord
from sweeper.study.metrics import OF_PAIRS
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.store import content_key
from trainables.training.frozen_name import frozen_name

LONGEST = 500  # characters of a tag or a parameter
LONGEST_WARNINGS = 4000  # of MLflow's 5,000: a filter finds what is written
FRESH = ("confirmed.", "front_probability")  # what the names of `fresh_figures` begin with
SETUP = ("architecture", "image_size", "prior", "judge")


def tags(study: Study, trial: TrialRecord) -> dict[str, str]:
    """Return the tags of a trial: state, defense, freeze_point, attack, attacks, data, version, reason,
    architecture, image_size, prior, judge, and ``warnings``, "none" without any.

    Those that a failed trial did not live to tell are read from its settings. ``on_front`` is "false": who is
    on the front is known at the end.
    """
    settings = _settings(study, trial)
    fields = {
        "trial.number": str(trial.number),
        "kind": "trial",
        "study": study.name,
        "state": trial.state,
        "on_front": "false",
        "defense": trial.defense or settings.get("defense"),
        "freeze_point": trial.freeze_point or settings.get("freeze_point"),
        "attack": trial.strongest or settings.get("attack"),
        "attacks": ", ".join(trial.attacks),
        "reason": trial.reason or (trial.screening or {}).get("reason"),
        "version": trial.version,
        **{name: settings.get(name) for name in SETUP},
    }
    fields |= {f"data.{name}": fingerprint for name, fingerprint in trial.data.items()}
    texts = {name: str(value)[:LONGEST] for name, value in fields.items() if value}
    return texts | {"warnings": _joined(trial.warnings)}


def study_tags(study: Study, trials: Iterable[TrialRecord] = ()) -> dict[str, str]:
    """Return the tags of a study's own run: `SETUP` of its template, ``searched``, all `trials`' warnings."""
    try:
        document = study.document({})
    except (ConfigError, KeyError):
        document = {}
    setup = {name: str(value)[:LONGEST] for name, value in _setup(document).items() if value}
    searched = ", ".join(f"{name} {direction}" for name, direction in study.searched.items())
    return setup | {"searched": searched, "warnings": _joined(formatting.warnings(trials))}


def _joined(warnings: Iterable[str]) -> str:
    """Return warnings as one text to search by ``LIKE``, "none" without any: an absent tag is not found."""
    return "; ".join(warnings)[:LONGEST_WARNINGS] or "none"


def _settings(study: Study, trial: TrialRecord) -> dict[str, Any]:
    """Return defense, freeze point, attack and `SETUP` of a trial's document, as far as it names them."""
    try:
        document = study.document(trial.params)
    except (ConfigError, KeyError):  # the view must not fail where the trial did
        return {}
    first = next(iter(_attacks(document)), {})
    return {
        "defense": _kind(document.get("defense")),
        "freeze_point": frozen_name(document.get("target") or {}),
        "attack": _kind(first.get("attack", first)),
        **_setup(document),
    }


def _setup(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `SETUP` of a trial's document; the priors of all its attacks, each once, and all its judges."""
    own = [attack.get("prior", document.get("prior")) for attack in _attacks(document)]
    priors = filter(None, map(_kind, own or [document.get("prior")]))
    return {
        "architecture": (document.get("target") or {}).get("architecture"),
        "image_size": document.get("image_size"),
        "prior": ", ".join(dict.fromkeys(priors)),
        "judge": ", ".join(filter(None, map(_kind, _judges(document)))),
    }


def _attacks(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the attacks of a trial's document, which has one or a list of them."""
    attacks = document.get("attack")
    several = attacks if isinstance(attacks, list) else [attacks]
    return [attack for attack in several if isinstance(attack, Mapping)]


def _judges(document: Mapping[str, Any]) -> list[Any]:
    """Return the judges of a trial's document, the one that counts first."""
    judges = document.get("judge")
    return judges if isinstance(judges, list) else [judges]


def _kind(part: Any) -> str | None:
    return part.get("kind") if isinstance(part, Mapping) else None


def kinds_of_data(study: Study) -> dict[str, str]:
    """Return the kinds of the private and the public images of a study: role -> kind."""
    documents = {role: study.trial.get(role) for role in ("private", "public")}
    return {
        role: str(document.get("kind", role))
        for role, document in documents.items()
        if isinstance(document, Mapping)
    }


def view(objectives: Mapping[str, str], searched: Mapping[str, str] | None = None) -> str:
    """Return the view that MLflow's page of runs opens with, as JSON: trials, in columns of the front.

    searched: the objectives as the search sees them, where those have columns of their own.
    """
    columns = [f"metrics.`{name}`" for name in dict.fromkeys((*objectives, *(searched or ())))]
    columns += [f"tags.`{name}`" for name in ("on_front", "freeze_point", "defense", "attack", "state")]
    best = next(iter(objectives.values()))
    order = {"orderByKey": columns[0], "orderByAsc": best == "minimize"}
    return json.dumps({"selectedColumns": columns, "searchFilter": "tags.kind = 'trial'", **order})


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as MLflow keeps a table; ``log_table`` itself would append to one that is there."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}


def figures(trial: TrialRecord) -> list[tuple[str, float, int]]:
    """Return every number of a trial as (name, value, step): finals at step 0, curves by epoch."""
    finals: dict[str, Any] = {**trial.metrics, **trial.values, **interval_ends(trial)}
    short = trial.screening
    if short:
        finals["screening.attack_accuracy"] = short.get("attack_accuracy")
        finals["screening.attack_accuracy_low"], finals["screening.attack_accuracy_high"] = short["interval"]
        finals.setdefault("screening.test_accuracy", short.get("test_accuracy"))
    finals |= {f"seconds.{stage}": value for stage, value in trial.seconds.items()}
    finals |= {"trained_params": trial.trained_params, "total_params": trial.total_params}
    numbers = [(name, float(value), 0) for name, value in finals.items() if is_number(value)]
    for stage, epochs in (trial.history or {}).items():
        for step, epoch in enumerate(epochs):
            numbers += [(f"{stage}.{k}", float(v), step) for k, v in epoch.items() if is_number(v)]
    return numbers


def interval_ends(trial: TrialRecord) -> dict[str, float]:
    """Return the ends of a trial's intervals, by name with ``_low`` and ``_high``."""
    ends: dict[str, float] = {}
    for name, (low, high) in trial.interval.items():
        ends[f"{name}_low"], ends[f"{name}_high"] = low, high
    return ends


def pair_figures(trial: TrialRecord) -> dict[str, float]:
    """Return what a trial's figures are against those of the undefended one, which may change."""
    numbers: dict[str, Any] = {metric.name: trial.metrics.get(metric.name) for metric in OF_PAIRS}
    return {name: float(value) for name, value in numbers.items() if is_number(value)}


def fresh_figures(trial: TrialRecord) -> dict[str, float]:
    """Return the fresh measurements of a trial: means, interval ends, chance to be on the front, seeds."""
    fresh = trial.confirmed
    if fresh is None:
        return {}
    numbers: dict[str, Any] = {f"confirmed.{name}": value for name, value in fresh.values.items()}
    for name, (low, high) in fresh.interval.items():
        numbers[f"confirmed.{name}_low"], numbers[f"confirmed.{name}_high"] = low, high
    numbers |= {"front_probability": fresh.front_probability, "confirmed.seeds": fresh.seeds}
    return {name: float(value) for name, value in numbers.items() if is_number(value)}


def confirmed_under(trial: TrialRecord) -> str:
    """Return which confirmation a trial's fresh figures are of, "" without one: another is another text."""
    fresh = trial.confirmed
    if fresh is None:
        return ""
    attacks = ", ".join([f"{fresh.seeds} seeds", *(fresh.attacks or {})])
    return f"{attacks}; fresh: {', '.join(fresh.fresh)}; {content_key(figures=fresh_figures(trial))[:8]}"


def is_number(value: Any) -> bool:
    """Return whether MLflow can hold `value` as a metric."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def milliseconds(moment: str | None) -> int:
    """Return an ISO moment, or now, as MLflow counts time."""
    when = datetime.fromisoformat(moment) if moment else datetime.now().astimezone()
    return int(when.timestamp() * 1000)
