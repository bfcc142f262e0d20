"""Preset studies: where they lie, and how a reference finds one."""

from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.documents import expand_home, suggestion

PRESETS = Path(__file__).parent / "presets"
SUFFIXES = (".yaml", ".yml")  # of a study's file


def preset_files() -> dict[str, Path]:
    """Return each preset's file by the name that refers to it: ``quickstart``, or ``folder/name``.

    Files that start with an underscore are no studies: what others share by extending them.
    """
    paths = (path for path in sorted(PRESETS.rglob("*.yaml")) if not path.name.startswith("_"))
    return {_name(path): path for path in paths}


def find_preset(reference: str) -> Path | None:
    """Return the file of a preset by its name, with or without its folder; None if there is none."""
    presets = preset_files()
    named = [path for path in presets.values() if path.stem == reference]
    return presets.get(reference) or (named[0] if len(named) == 1 else None)


def find_study(reference: str) -> Path:
    """Return the file of a study; raise `ConfigError` naming the nearest presets if there is none."""
    path = Path(expand_home(reference))
    presets = preset_files()
    known = find_preset(reference)
    if known is not None:
        return known
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        if path.is_dir():
            raise ConfigError(f"expected a study file, got the folder {path}")
        if not path.is_file():
            others = [p.name for folder in {path.parent} if folder.is_dir() for p in folder.glob("*.y*ml")]
            raise ConfigError(
                f"expected a study file, found nothing at {path}"
                f"{suggestion(path.name, others) or suggestion(reference, presets)}"
            )
        return path
    raise ConfigError(
        f"study must be a YAML file or one of the presets {', '.join(presets)}; "
        f"got '{reference}'{suggestion(reference, [*presets, *(p.stem for p in presets.values())])}"
    )


Row = dict[str, Any]


def preset(path: Path) -> Row:
    """Return the row of a study file: its ``# summary:`` and ``# source:`` among the comments at its top."""
    row = {"name": _name(path), "summary": "", "source": ""}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        key, _, text = line.lstrip("# ").partition(":")
        if key in ("summary", "source"):
            row[key] = text.strip()
    return row


def _name(path: Path) -> str:
    if path.is_relative_to(PRESETS):
        return path.relative_to(PRESETS).with_suffix("").as_posix()
    return path.stem
