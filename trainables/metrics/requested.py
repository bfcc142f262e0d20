"""Metrics that a trial asks for: names, groups of names and mappings read as metrics."""

from collections.abc import Callable
from typing import Any

from trainables.errors import ConfigError
from trainables.metrics import GROUPS
from trainables.metrics.base import Metric


def requested(documents: Any, build: Callable[..., Metric], where: str, path: str) -> tuple[Metric, ...]:
    """Return the metrics that a list of names and mappings asks for, each once.

    build: makes a metric of a mapping with its kind, found at ``path``. Raises `ConfigError` else.
    """
    if not isinstance(documents, list | tuple):
        raise ConfigError(f"expected a list of metrics, got {documents!r} ({where}: {path})")
    metrics: dict[Metric, None] = {}
    for position, given in enumerate(documents):
        place = f"{path}[{position}]"
        if not isinstance(given, str | dict):
            raise ConfigError(f"expected a metric's name or a mapping, got {given!r} ({where}: {place})")
        knobs = {"kind": given} if isinstance(given, str) else given
        kind = knobs.get("kind")
        for name in GROUPS.get(str(kind), (kind,)):
            metrics[build({**knobs, "kind": name}, path=place)] = None
    return tuple(metrics)
