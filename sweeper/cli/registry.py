"""What there is to choose from, read from the registries: the rows of ``sweeper list``."""

from collections.abc import Callable, Mapping
from typing import Any

from sweeper.study.presets import PRESETS, Row, preset
from trainables.errors import ConfigError


def rows(what: str) -> list[Row]:
    """Return ``[{"name", "summary", "source", ...}]`` of `what`, one of `KINDS`; else `ConfigError`."""
    if what not in KINDS:
        raise ConfigError(f"list expects one of {', '.join(KINDS)}; got '{what}'")
    return KINDS[what]()


def _registry(registry: Mapping[str, Any]) -> list[Row]:
    return [
        {"name": name, "summary": entry.summary, "source": entry.source} for name, entry in registry.items()
    ]


# The registries are imported when they are asked for: most of them import torch, which takes seconds.


def _attacks() -> list[Row]:
    from trainables.attacks import ATTACKS

    rows = _registry(ATTACKS)  # with the published settings' passes through the target, for one identity
    for row, attack in zip(rows, ATTACKS.values(), strict=True):
        passes = attack().passes()
        row["threat_model"] = attack.threat_model
        row["target_forward"], row["target_backward"] = passes.target_forward, passes.target_backward
    return rows


def _defenses() -> list[Row]:
    from trainables.defenses import DEFENSES

    return _registry(DEFENSES)


def _architectures() -> list[Row]:
    from trainables.architectures import ARCHITECTURES

    return _registry(ARCHITECTURES)


def _datasets() -> list[Row]:
    from trainables.datasets import DATASETS

    return _registry(DATASETS)


def _spaces() -> list[Row]:
    from search_spaces import SPACES

    return _registry(SPACES)


def _presets() -> list[Row]:
    return [preset(path) for path in sorted(PRESETS.glob("*.yaml"))]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "attacks": _attacks,
    "defenses": _defenses,
    "architectures": _architectures,
    "datasets": _datasets,
    "spaces": _spaces,
    "presets": _presets,
}
