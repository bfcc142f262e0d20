"""What the stages of a trial left in the store, as far as it is on this machine: what went in, and verdicts.

Stage folders appear complete and never change, so what is read of them is kept.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Trial = Mapping[str, Any]


@functools.lru_cache(maxsize=16384)
def key_parts(folder: str) -> dict[str, Any] | None:
    """Return what the content key of a stage `folder` was made of, or None if the folder is not here."""
    parts: dict[str, Any] | None = _json(Path(folder) / "key.json")
    return parts


def stage_folder(folder: str, stage: str, key: str) -> str:
    """Return the folder of another stage of the store that `folder` lies in."""
    return str(Path(folder).parent.parent / stage / key)


def attack_folders(trial: Trial) -> dict[str, str]:
    """Return the folder of each of the trial's attacks by name; a single one has the name ""."""
    artifacts = trial.get("artifacts") or {}
    named = {k.removeprefix("attack."): v for k, v in artifacts.items() if k.startswith("attack.")}
    return named or ({"": artifacts["attack"]} if artifacts.get("attack") else {})


def per_identity(trials: Sequence[Trial]) -> list[Floats | None]:
    """Return, for each trial, what the judge said of each identity: the share of restarts recognised, (N,).

    Their mean is the trial's attack accuracy: of the attack that it reports, or the mean over all its
    attacks; and the mean over seeds, for a trial with replicates. None where the files are not here, or say
    something else than the trial does.
    """
    index: dict[Path, dict[tuple[str, str], Path]] = {}
    return [_over_seeds(trial, index) for trial in trials]


def _over_seeds(trial: Trial, index: dict[Path, dict[tuple[str, str], Path]]) -> Floats | None:
    found = [_per_identity(one, index) for one in trial.get("replicates") or [trial]]
    kept = [one for one in found if one is not None]
    if len(kept) < len(found) or len({len(one) for one in kept}) != 1:
        return None
    mean: Floats = np.mean(kept, axis=0)
    return mean


def _per_identity(trial: Trial, index: dict[Path, dict[tuple[str, str], Path]]) -> Floats | None:
    artifacts = trial.get("artifacts") or {}
    value = (trial.get("values") or {}).get("attack_accuracy")
    if value is None or not artifacts.get("attack") or not artifacts.get("judge"):
        return None
    judge = Path(artifacts["judge"]).name
    root = Path(artifacts["attack"]).parent.parent
    if root not in index:
        index[root] = _verdicts(root)

    def said(folder: str) -> Floats | None:
        place = index[root].get((Path(folder).name, judge))
        found = None if place is None else _json(place / "result.json")
        return None if found is None else np.array(found["result"]["per_identity"], dtype=np.float64)

    headline = said(artifacts["attack"])
    if headline is not None and np.isclose(headline.mean(), value, atol=1e-6):
        return headline
    every = [said(folder) for folder in attack_folders(trial).values()]
    kept = [one for one in every if one is not None]
    if len(kept) == len(every) and len({len(one) for one in kept}) == 1:
        mean: Floats = np.mean(kept, axis=0)
        if np.isclose(mean.mean(), value, atol=1e-6):
            return mean
    return None


def _verdicts(root: Path) -> dict[tuple[str, str], Path]:
    """Return the verdict folders of a store by what was judged and by whom: keys of attack and judge."""
    found: dict[tuple[str, str], Path] = {}
    for place in sorted((root / "verdict").glob("*/key.json"), key=lambda p: p.stat().st_mtime):
        parts = key_parts(str(place.parent)) or {}
        found[str(parts.get("attack")), str(parts.get("judge"))] = place.parent
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
