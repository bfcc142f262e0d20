"""Registries as the rows of ``sweeper list``."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

from sweeper.study.adaptive_attackers import adaptive_attacker
from sweeper.study.metrics import ROOT, reconstruction_metrics
from sweeper.study.presets import Row, preset, preset_files
from sweeper.study.static_knobs import knobs
from sweeper.study.static_registry import registry_entries
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

BESIDE = {"architectures": "any other classifier: torchvision:NAME or timm:NAME (its freeze points: list it)"}

PASSES = Path(__file__).parent / "attack_passes.json"  # computed by `attack_passes`, held equal by a test


def rows(what: str) -> list[Row]:
    """Return ``[{"name", "summary", "source", ...}]`` of `what`, one of `KINDS`; else `ConfigError`."""
    if what not in KINDS:
        raise ConfigError(f"list expects one of {', '.join(KINDS)}; got '{what}'")
    return KINDS[what]()


def details(what: str, name: str) -> Row:
    """Return the row of one entry of `what` with its "knobs", see `static_knobs`; [] where it has none.

    Those of a recipe are what it sets, with their "value" in the place of what they take and their default.
    Of ``torchvision:NAME`` and ``timm:NAME`` it has the "freeze_points" too: to know them is to import torch.
    Raises `ConfigError` for a name that is not among them.
    """
    if what == "architectures" and ":" in name:
        return _library_architecture(name)
    listed = {str(row["name"]): row for row in rows(what)}
    if name not in listed:
        raise ConfigError(
            f"{what} are {', '.join(listed)}; got '{name}'{suggestion(name, listed)} (sweeper list {what})"
        )
    about: Row = {}
    if what == "defenses":
        attacker = adaptive_attacker(name)
        about = {"adaptive_attacker": attacker.text, "adaptive_attack": attacker.runs_here}
    return {**listed[name], **about, "knobs": _knobs(what, name)}


def _library_architecture(name: str) -> Row:
    from trainables.architectures import get_architecture

    entry = get_architecture(name)
    row = {"name": name, "summary": entry.summary, "source": entry.source}
    return {**row, "freeze_points": ", ".join(entry.freeze_points), "knobs": []}


def _knobs(what: str, name: str) -> list[Row]:
    if what == "recipes":
        return _recipe_knobs(name)
    if what not in REGISTRIES:
        return []
    package, registry = f"trainables.{what}", REGISTRIES[what]
    if what == "analyses" and name in study_analyses():
        package, registry = STUDY_ANALYSES
    node = registry_entries(ROOT, package, registry)[name].node
    return knobs(ROOT, package, node.id) if isinstance(node, ast.Name) else []


# Families are read from the text of their files: importing them imports torch, which takes seconds.


REGISTRIES = {
    "attacks": "ATTACKS",
    "defenses": "DEFENSES",
    "architectures": "ARCHITECTURES",
    "datasets": "DATASETS",
    "priors": "PRIORS",
    "judges": "JUDGES",
    "pretraining": "PRETRAININGS",
    "metrics": "METRICS",
    "analyses": "ANALYSES",
}

STUDY_ANALYSES = "sweeper.analyses", "STUDY_ANALYSES"


def published_datasets() -> dict[str, str]:
    """Return name -> summary of the data sets that say where they are obtained."""
    entries = registry_entries(ROOT, "trainables.datasets", "DATASETS")
    return {name: entry.text("summary") for name, entry in entries.items() if entry.has("obtain")}


def study_analyses() -> list[str]:
    """Return the names of the analyses that run trials of their own."""
    return list(registry_entries(ROOT, *STUDY_ANALYSES))


def analyses() -> list[str]:
    """Return the names of all analyses."""
    return [*registry_entries(ROOT, "trainables.analyses", REGISTRIES["analyses"]), *study_analyses()]


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


def _priors() -> list[Row]:
    return _family("trainables.priors", "PRIORS", "threat_model")


def _judges() -> list[Row]:
    return _family("trainables.judges", "JUDGES")


def _pretraining() -> list[Row]:
    return _family("trainables.pretraining", "PRETRAININGS")


def _metrics() -> list[Row]:
    columns = ("name", "summary", "source", "direction", "unit")
    return [
        {column: getattr(metric, column) for column in columns}
        for metric in reconstruction_metrics().values()
    ]


def _analyses() -> list[Row]:
    return [*_family("trainables.analyses", "ANALYSES"), *_family(*STUDY_ANALYSES)]


def _spaces() -> list[Row]:
    from search_spaces import SPACES

    return [
        {"name": name, "summary": space.summary, "source": space.source} for name, space in SPACES.items()
    ]


def _recipes() -> list[Row]:
    from trainables.training.recipes import RECIPES

    return [
        {"name": name, "summary": recipe.summary, "source": recipe.source, "departures": recipe.departures}
        for name, recipe in RECIPES.items()
    ]


def _recipe_knobs(name: str) -> list[Row]:
    """Return ``{"name", "value", "meaning"}`` of each knob that a recipe sets."""
    from trainables.training.recipes import RECIPES

    of_targets = knobs(ROOT, "trainables.training.classifier", "Target")
    meanings = {row["name"]: row["meaning"] for row in of_targets}
    return [
        {"name": knob, "value": value, "meaning": meanings[knob]}
        for knob, value in RECIPES[name].knobs.items()
    ]


def _presets() -> list[Row]:
    return [preset(path) for path in preset_files().values()]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "attacks": _attacks,
    "defenses": _defenses,
    "architectures": _architectures,
    "datasets": _datasets,
    "priors": _priors,
    "judges": _judges,
    "pretraining": _pretraining,
    "metrics": _metrics,
    "analyses": _analyses,
    "spaces": _spaces,
    "recipes": _recipes,
    "presets": _presets,
}
