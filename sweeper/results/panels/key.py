"""Key of exported panels: which panel is what. It stays in the study's home; readers must not see it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.storage.home import Home
from trainables.errors import ConfigError
from trainables.storage.disk import disk_errors, write_text

FOLDER = "panels"


def identifiers(study: str, seed: int, panels: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an identifier for each of `panels`, in their order: ``4f09a2-017``.

    The first part tells exports apart, the number is the place in the order that is shown, which is random.
    """
    text = json.dumps([study, seed, [dict(panel) for panel in panels]], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:6]
    digits = max(3, len(str(len(panels))))
    return [f"{name}-{number + 1:0{digits}d}" for number in range(len(panels))]


def write_key(home: Home, study: str, seed: int, panels: Mapping[str, Mapping[str, Any]]) -> str:
    """Write what each of `panels` is into the home, and return the path of the file."""
    export = next(iter(panels)).partition("-")[0]
    path = home.study(study) / FOLDER / f"{export}.key.json"
    document = {
        "warning": "keep this from whoever answers: it says which panel is what",
        "study": study,
        "seed": seed,
        "panels": {name: dict(about) for name, about in panels.items()},
    }
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(document, indent=1))
    return str(path)


def read_keys(home: Home, study: str) -> dict[str, dict[str, Any]]:
    """Return what each panel of all exports of `study` is, by its identifier; {} without any.

    Raises `ConfigError` for a key that was changed.
    """
    keys: dict[str, dict[str, Any]] = {}
    for path in sorted((home.study(study) / FOLDER).glob("*.key.json")):
        try:
            keys |= json.loads(path.read_text(encoding="utf-8"))["panels"]
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"expected the key of exported panels at {path}, got a file that is none; the same "
                "`sweeper export panels` command, into another folder, writes it again"
            ) from None
    return keys
