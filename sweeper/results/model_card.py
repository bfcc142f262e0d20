"""The model card of an exported target: all that was measured, in Markdown."""

import json
from collections.abc import Mapping
from typing import Any

from sweeper.results import formatting
from sweeper.study.metrics import TrialMetric, column_metrics, trial_metrics
from trainables.storage.documents import FILE_KNOBS

CARD = "README.md"


Trial = dict[str, Any]


def card(
    records: Mapping[str, Any],
    trial: Trial,
    released: Trial,
    config: Mapping[str, Any],
    identities: int,
    folder: str,
) -> str:
    """Return the model card: what it is, how to load it, what it can do, and what leaks as measured."""
    target = config["target"]
    lines = [
        f"# {records['study']}, trial {trial['number']}",
        "",
        f"A `{target['architecture']}` that tells {identities} identities apart on images of "
        f"{config['image_size']} pixels. Frozen as pre-trained up to: `{formatting.freeze_point(trial)}`. "
        f"Defense against model inversion: {formatting.defense(trial)}.",
        "",
        "```python",
        "from trainables.released import load_released",
        f'released = load_released("{folder}")',
        'print(released.identify("face.png"))',
        "```",
        "",
        "`released.logits(images)` takes float images (N, 3, S, S) in [0, 1]; normalisation is inside.",
        "",
        "## What it can do",
        "",
        *_table(["", "test accuracy"], _utility(records, trial, released)),
        "",
        "Measured on private test images that were neither trained on nor used to choose the epoch.",
        "",
        "## What leaks, as far as measured",
        "",
        " ".join([*map(_explained, _searched()), "Ranges are 95 % intervals."]),
        "",
        *_table(
            ["attack", "sees", *(metric.short_label for metric in _columns())],
            _attacks(trial, config),
        ),
        "",
        *[f"- {text}" for text in _remarks(records, trial, released, config)],
        "",
        "No attack that fails proves that none succeeds: a stronger one, or one with better public images, "
        "may recover more.",
        "",
        "## How it was trained and attacked",
        "",
        "```json",
        json.dumps(_settings(config), indent=1, ensure_ascii=False),
        "```",
        "",
        "`labels.json` holds the names of the identities, which are private as well if they name people.",
        "",
    ]
    return "\n".join(lines)


def _columns() -> list[TrialMetric]:
    return [*column_metrics(), trial_metrics()["queries"]]


def _searched() -> list[TrialMetric]:
    """Return the metrics of attacks that a study may search for: those that a reader must understand."""
    return [trial_metrics()["attack_accuracy"], *(metric for metric in column_metrics() if metric.objective)]


def _explained(metric: TrialMetric) -> str:
    head, better = metric.short_label, "Lower" if metric.direction == "minimize" else "Higher"
    return f"{head[:1].upper()}{head[1:]}: {metric.explanation}. {better} is better."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _shown(name: str, holder: Mapping[str, Any]) -> str:
    ends = holder["interval"].get(name)
    text = formatting.value(name, holder["values"].get(name))
    return f"{text} [{formatting.value(name, ends[0])}, {formatting.value(name, ends[1])}]" if ends else text


def _utility(records: Mapping[str, Any], trial: Trial, released: Trial) -> list[list[str]]:
    rows = [["these weights", _shown("test_accuracy", released)]]
    fresh = trial.get("confirmed")
    if fresh:
        rows.append(
            [
                f"the same recipe under {formatting.fresh_seeds(fresh['seeds'])}",
                _shown("test_accuracy", fresh),
            ]
        )
    plain = _undefended(records, trial)
    if plain:
        rows.append(["undefended, same study", _shown("test_accuracy", plain)])
    return rows


def _undefended(records: Mapping[str, Any], trial: Trial) -> Trial | None:
    found = (
        t
        for t in records["trials"]
        if t["state"] == "complete" and formatting.undefended(t) and t["number"] != trial["number"]
    )
    return next(found, None)


def _attacks(trial: Trial, config: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each attack of the search, and of the confirmation if it had others."""
    metrics = trial["metrics"]
    alone = {
        config["attack"][0]["attack"]["kind"] if config.get("attack") else "attack": {
            "threat_model": "",
            "interval": trial["interval"].get("attack_accuracy"),
            "metrics": metrics,
        }
    }
    rows = []
    for name, one in (trial.get("attacks") or alone).items():
        rows.append(_row(name, one))
    for name, one in ((trial.get("confirmed") or {}).get("attacks") or {}).items():
        rows.append(_row(f"{name}, fresh seeds", one))
    return rows


def _row(name: str, one: Mapping[str, Any]) -> list[str]:
    reached, ends = one["metrics"], one.get("interval")
    cells = {metric.name: formatting.value(metric.name, reached.get(metric.name)) for metric in _columns()}
    if ends:
        cells["attack_accuracy_top1"] += f" [{formatting.percent(ends[0])}, {formatting.percent(ends[1])}]"
    return [name, str(one.get("threat_model") or ""), *cells.values()]


def _remarks(
    records: Mapping[str, Any], trial: Trial, released: Trial, config: Mapping[str, Any]
) -> list[str]:
    metrics, found = trial["metrics"], []
    attacked = config.get("identities")
    found.append(f"Attacked identities: {'all' if attacked is None else f'the first {attacked}'}.")
    if metrics.get("chance") is not None:
        found.append(f"Guessing would reach {formatting.percent(metrics['chance'])}.")
    if metrics.get("judge_test_accuracy") is not None:
        found.append(f"The judge's own test accuracy: {formatting.percent(metrics['judge_test_accuracy'])}.")
    plain = _undefended(records, trial)
    if plain and "attack_accuracy" in plain["values"]:
        found.append(
            f"Undefended, trial {plain['number']} of the same study: attack accuracy "
            f"{_shown('attack_accuracy', plain)}, test accuracy {_shown('test_accuracy', plain)}."
        )
    if "attack_accuracy" in released["values"]:
        found.append(f"These very weights: attack accuracy {_shown('attack_accuracy', released)}.")
    fresh = trial.get("confirmed")
    if fresh:
        if "attack_accuracy" in fresh["values"]:
            found.append(
                f"The same recipe under {formatting.fresh_seeds(fresh['seeds'])}: attack accuracy "
                f"{_shown('attack_accuracy', fresh)}."
            )
        if fresh["front_probability"] is not None:
            found.append(
                f"That no other confirmed trial of the study is better in everything: "
                f"{fresh['front_probability']:.0%}."
            )
    else:
        found.append(
            "Measured once. Of many trials it looked good, so these figures are likely to be a little too "
            "good; `sweeper confirm` measures it again."
        )
    return [*found, *(f"**{text}.**" for text in trial.get("warnings") or [])]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the figures, without paths of the machine it ran on."""
    kept = (
        "image_size",
        "validation",
        "test",
        "target",
        "defense",
        "attack",
        "identities",
        "seed",
        "replicate",
    )
    kinds = {
        name: config[name]["kind"]
        for name in ("private", "public", "pretraining", "judge")
        if isinstance(config.get(name), Mapping)
    }
    return {**kinds, **{name: _without_paths(config[name]) for name in kept if name in config}}


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(inner) for key, inner in value.items() if key not in FILE_KNOBS}
    if isinstance(value, list):
        return [_without_paths(inner) for inner in value]
    return value
