"""What there is to choose from, read from the registries: the rows of ``sweeper list``."""

import json
from collections.abc import Callable
from pathlib import Path

from sweeper.study.metrics import ROOT, reconstruction_metrics
from sweeper.study.presets import Row, preset, preset_files
from sweeper.study.static_registry import registry_entries
from trainables.errors import ConfigError

PASSES = Path(__file__).parent / "attack_passes.json"  # computed by `attack_passes`, held equal by a test


def rows(what: str) -> list[Row]:
    """Return ``[{"name", "summary", "source", ...}]`` of `what`, one of `KINDS`; else `ConfigError`."""
    if what not in KINDS:
        raise ConfigError(f"list expects one of {', '.join(KINDS)}; got '{what}'")
    return KINDS[what]()


# Families are read from the text of their files: importing them imports torch, which takes seconds.


def _family(package: str, registry: str, *fields: str) -> list[Row]:
    entries = registry_entries(ROOT, package, registry)
    return [
        {"name": name} | {field: entry.text(field) for field in ("summary", "source", *fields)}
        for name, entry in entries.items()
    ]


def _attacks() -> list[Row]:
    rows = _family("trainables.attacks", "ATTACKS", "threat_model")
    written = json.loads(PASSES.read_text(encoding="utf-8"))
    for row in rows:  # with the published settings' passes through the target, for one identity
        row |= written[row["name"]] if row["name"] in written else attack_passes(row["name"])
    return rows


def attack_passes(name: str) -> dict[str, int]:
    """Return the "target_forward" and "target_backward" that `PASSES` has of an attack; imports torch."""
    from trainables.attacks import ATTACKS

    passes = ATTACKS[name]().passes()
    return {"target_forward": passes.target_forward, "target_backward": passes.target_backward}


def _defenses() -> list[Row]:
    return _family("trainables.defenses", "DEFENSES")


def _architectures() -> list[Row]:
    return _family("trainables.architectures", "ARCHITECTURES")


def _datasets() -> list[Row]:
    return _family("trainables.datasets", "DATASETS")


def _metrics() -> list[Row]:
    columns = ("name", "summary", "source", "direction", "unit")
    return [
        {column: getattr(metric, column) for column in columns}
        for metric in reconstruction_metrics().values()
    ]


def _analyses() -> list[Row]:
    return _family("trainables.analyses", "ANALYSES")


def _spaces() -> list[Row]:
    from search_spaces import SPACES

    return [
        {"name": name, "summary": space.summary, "source": space.source} for name, space in SPACES.items()
    ]


def _presets() -> list[Row]:
    return [preset(path) for path in preset_files().values()]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "attacks": _attacks,
    "defenses": _defenses,
    "architectures": _architectures,
    "datasets": _datasets,
    "metrics": _metrics,
    "analyses": _analyses,
    "spaces": _spaces,
    "presets": _presets,
}
