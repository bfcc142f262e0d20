"""What MLflow is told of a trial: tags to filter by, numbers, curves. No mlflow in here."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sweeper.study.study import Study
from trainables.errors import ConfigError

LONGEST = 500  # characters of a tag or a parameter


def tags(study: Study, record: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a trial: state, defense, freeze_point, attack, attacks, data, version, reason.

    Those that a failed trial did not live to tell are read from its settings. ``on_front`` is "false": who is
    on the front is known at the end.
    """
    settings = _settings(study, record)
    found = {
        "trial.number": str(record["number"]),
        "kind": "trial",
        "study": study.name,
        "state": str(record["state"]),
        "on_front": "false",
        "defense": record.get("defense") or settings.get("defense"),
        "freeze_point": record.get("freeze_point") or settings.get("freeze_point"),
        "attack": record.get("strongest") or settings.get("attack"),
        "attacks": ", ".join(record.get("attacks") or {}),
        "reason": record.get("reason") or (record.get("screening") or {}).get("reason"),
        "version": record.get("version"),
    }
    found |= {f"data.{name}": fingerprint for name, fingerprint in (record.get("data") or {}).items()}
    return {name: str(value)[:LONGEST] for name, value in found.items() if value}


def _settings(study: Study, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return defense, freeze point and attack of a trial's document, as far as it names them."""
    try:
        document = study.document(record["params"])
    except (ConfigError, KeyError):  # the view must not fail where the trial did
        return {}
    attack = document.get("attack")
    first = attack[0] if isinstance(attack, list) and attack else attack
    first = first.get("attack", first) if isinstance(first, Mapping) else {}
    return {
        "defense": (document.get("defense") or {}).get("kind"),
        "freeze_point": (document.get("target") or {}).get("freeze_point"),
        "attack": first.get("kind") if isinstance(first, Mapping) else None,
    }


def kinds_of_data(study: Study) -> dict[str, str]:
    """Return what the private and the public images of a study are: role -> kind."""
    found = {role: study.trial.get(role) for role in ("private", "public")}
    return {role: str(one.get("kind", role)) for role, one in found.items() if isinstance(one, Mapping)}


def view(objectives: Mapping[str, str]) -> str:
    """Return what MLflow's page of runs opens with, as JSON: the trials, in columns that a front is about."""
    columns = [f"metrics.`{name}`" for name in objectives]
    columns += [f"tags.`{name}`" for name in ("on_front", "freeze_point", "defense", "attack", "state")]
    best = next(iter(objectives.values()))
    order = {"orderByKey": columns[0], "orderByAsc": best == "minimize"}
    return json.dumps({"selectedColumns": columns, "searchFilter": "tags.kind = 'trial'", **order})


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as MLflow keeps a table; ``log_table`` itself would append to one that is there."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}


def figures(record: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Return every number of a trial as (name, value, step): finals at step 0, curves by epoch."""
    finals: dict[str, Any] = {**(record.get("metrics") or {}), **(record.get("values") or {})}
    for name, interval in (record.get("interval") or {}).items():
        finals[f"{name}_low"], finals[f"{name}_high"] = interval
    short = record.get("screening") or {}
    if short:
        finals["screening.attack_accuracy"] = short.get("attack_accuracy")
        finals["screening.attack_accuracy_low"], finals["screening.attack_accuracy_high"] = short["interval"]
        finals.setdefault("screening.test_accuracy", short.get("test_accuracy"))
    finals |= {f"seconds.{stage}": value for stage, value in (record.get("seconds") or {}).items()}
    for name in ("trained_params", "total_params"):
        finals[name] = record.get(name)
    found = [(name, float(value), 0) for name, value in finals.items() if _number(value)]
    for stage, epochs in (record.get("history") or {}).items():
        for step, epoch in enumerate(epochs):
            found += [(f"{stage}.{k}", float(v), step) for k, v in epoch.items() if _number(v)]
    return found


def fresh_figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Return what ``sweeper confirm`` measured: means, interval ends, chance to be on the front, seeds."""
    fresh = record.get("confirmed") or {}
    found: dict[str, Any] = {
        f"confirmed.{name}": value for name, value in (fresh.get("values") or {}).items()
    }
    for name, (low, high) in (fresh.get("interval") or {}).items():
        found[f"confirmed.{name}_low"], found[f"confirmed.{name}_high"] = low, high
    found["front_probability"] = fresh.get("front_probability")
    found["confirmed.seeds"] = fresh.get("seeds")
    return {name: float(value) for name, value in found.items() if _number(value)}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def milliseconds(moment: str | None) -> int:
    """Return an ISO moment, or now, as MLflow counts time."""
    when = datetime.fromisoformat(moment) if moment else datetime.now().astimezone()
    return int(when.timestamp() * 1000)
