"""Analyses on the run of the trial that they looked at: figures as metrics, all of them as JSON."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeper.tracking.mlflow_fields import is_number, milliseconds
from trainables.storage.store import content_key

Rows = Sequence[Mapping[str, Any]]


def analysis_metrics(name: str, rows: Rows) -> dict[str, float]:
    """Return the numbers of an analysis of one trial: ``NAME.figure``, or ``NAME.ATTACK.figure`` of several.

    An interval is two numbers, with ``_low`` and ``_high`` for ``_interval``. Lists and texts are none.
    """
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = f"{name}.{row['attack']}." if len(rows) > 1 else f"{name}."
        for figure, value in row.items():
            if figure == "trial":
                continue
            if figure.endswith("_interval") and value is not None:
                start = prefix + figure.removesuffix("_interval")
                metrics[f"{start}_low"], metrics[f"{start}_high"] = map(float, value)
            elif is_number(value):
                metrics[prefix + figure] = float(value)
    return metrics


def log_analyses(client: Any, run: str, analyses: Mapping[str, Rows], attach: Callable[..., bool]) -> None:
    """Write to a run what it lacks of the analyses of its trial; a tag of each, which comes last, says which.

    analyses: name -> rows of this trial. attach: writes an artifact, as ``Tracker._attach``.
    """
    from mlflow.entities import Metric

    seen = client.get_run(run).data.tags if analyses else {}
    for name, rows in analyses.items():
        tag, key = f"analysis.{name}", content_key(rows=[dict(row) for row in rows])
        if seen.get(tag) == key:
            continue
        now = milliseconds(None)
        metrics = [Metric(figure, value, now, 0) for figure, value in analysis_metrics(name, rows).items()]
        client.log_batch(run, metrics)
        attach(client.log_dict, run, {"analysis": name, "rows": list(rows)}, f"analyses/{name}.json")
        client.set_tag(run, tag, key)
