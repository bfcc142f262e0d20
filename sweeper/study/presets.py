"""Preset studies: where they lie, and how a reference finds one."""

from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

PRESETS = Path(__file__).parent / "presets"


def find_study(reference: str) -> Path:
    """Return the file of a study; raise `ConfigError` naming the nearest presets if there is none."""
    path = Path(reference)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.is_dir():
            raise ConfigError(f"expected a study file, got the folder {path}")
        if not path.is_file():
            others = [p.name for folder in {path.parent} if folder.is_dir() for p in folder.glob("*.y*ml")]
            raise ConfigError(
                f"expected a study file, found nothing at {path}{suggestion(path.name, others)}"
            )
        return path
    presets = {p.stem: p for p in sorted(PRESETS.glob("*.yaml"))}
    if reference not in presets:
        raise ConfigError(
            f"study must be a YAML file or one of the presets {', '.join(presets)}; "
            f"got '{reference}'{suggestion(reference, presets)}"
        )
    return presets[reference]


Row = dict[str, Any]


def preset(path: Path) -> Row:
    """Return the row of a study file: its ``# summary:`` and ``# source:`` among the comments at its top."""
    found = {"name": path.stem, "summary": "", "source": ""}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        key, _, text = line.lstrip("# ").partition(":")
        if key in ("summary", "source"):
            found[key] = text.strip()
    return found
