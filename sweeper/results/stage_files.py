"""Files of a trial's stages, as far as the store is on this machine: key parts and verdicts.

Stage folders appear complete and never change, so what is read of them is kept.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeper.results.trial_record import Replicate, TrialRecord

Floats = NDArray[np.float64]
Index = dict[tuple[Path, str], dict[tuple[str, str], Path]]  # store, stage -> keys of attack, judge -> folder


@functools.lru_cache(maxsize=16384)
def key_parts(folder: str) -> dict[str, Any] | None:
    """Return what the content key of a stage `folder` was made of, or None if the folder is not here."""
    parts: dict[str, Any] | None = _json(Path(folder) / "key.json")
    return parts


def stage_folder(folder: str, stage: str, key: str) -> str:
    """Return the folder of another stage of the store that `folder` lies in."""
    return str(Path(folder).parent.parent / stage / key)


def attack_folders(artifacts: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each attack among a trial's artifacts by name; a single one has the name ""."""
    named = {k.removeprefix("attack."): v for k, v in artifacts.items() if k.startswith("attack.")}
    return named or ({"": artifacts["attack"]} if artifacts.get("attack") else {})


def per_identity(trials: Sequence[TrialRecord]) -> list[Floats | None]:
    """Return, for each trial, what the judge said of each identity: the share of restarts recognised, (N,).

    Their mean is the trial's attack accuracy: of the attack that it reports, or the mean over all its
    attacks; and the mean over seeds, for a trial with replicates. None where the files are not here, or say
    something else than the trial does.
    """
    index: Index = {}
    return [_over_seeds(trial, index) for trial in trials]


def _over_seeds(trial: TrialRecord, index: Index) -> Floats | None:
    return _mean([_per_identity(seed, index) for seed in _seeds(trial)])


def _mean(rates: Sequence[Floats | None]) -> Floats | None:
    """Return the mean of rates (N,) of the same identities; None if some are not known."""
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates) or len({len(rate) for rate in known}) != 1:
        return None
    mean: Floats = np.mean(known, axis=0)
    return mean


def _per_identity(trial: TrialRecord | Replicate, index: Index) -> Floats | None:
    artifacts = trial.artifacts
    value = trial.values.get("attack_accuracy")
    if value is None or not artifacts.get("attack") or not artifacts.get("judge"):
        return None

    def recognised(folder: str) -> Floats | None:
        result = _stored("verdict", folder, artifacts["judge"], index)
        return None if result is None else np.array(result["per_identity"], dtype=np.float64)

    for folders in ([artifacts["attack"]], list(attack_folders(artifacts).values())):
        rates = _mean([recognised(folder) for folder in folders])
        if rates is not None and np.isclose(rates.mean(), value, atol=1e-6):
            return rates
    return None


@dataclass(frozen=True, kw_only=True)
class SeedRates:
    """What one training seed of a trial gave.

    Attributes:
        replicate: number of the seed.
        test_accuracy: in [0, 1].
        rates: of each attacked person by the trial's rule, (N,); their mean is the attack accuracy.
        attacks: name -> the same by that attack alone.
    """

    replicate: int
    test_accuracy: float
    rates: Floats
    attacks: Mapping[str, Floats]


def rates_of_seeds(trial: TrialRecord, index: Index) -> list[SeedRates] | None:
    """Return what each seed of a finished trial gave; None where files of its evaluations are not here.

    index: of the stores that were read; {} at first, and the same for all trials of a study.
    """
    rows = []
    for seed in _seeds(trial):
        rates, judge = _per_identity(seed, index), str(seed.artifacts.get("judge", ""))
        attacks = {}
        for name, folder in attack_folders(seed.artifacts).items():
            stored = _stored("verdict", folder, judge, index)
            if stored is not None:
                own = np.array(stored["per_identity"], dtype=np.float64)
                attacks[name or str(trial.strongest)] = own
        if rates is None or set(attacks) != set(trial.attacks):
            return None
        replicate = 0 if isinstance(seed, TrialRecord) else seed.replicate
        accuracy = seed.values["test_accuracy"]
        rows.append(SeedRates(replicate=replicate, test_accuracy=accuracy, rates=rates, attacks=attacks))
    return rows


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the judge said of one attack on one target.

    Attributes:
        identities: labels of the attacked people, N.
        rates: share of each one's restarts that the judge recognised, in [0, 1], N.
        restarts: reconstructions of each.
        scores: of each one's best reconstruction, the judge's own, as a cosine; None where it kept none.
        names: of all people whom the judge knows, by label; empty where an earlier version kept none.
    """

    identities: Sequence[int]
    rates: Sequence[float]
    restarts: int
    scores: Sequence[float] | None
    names: Sequence[str]


def judged_attacks(trials: Sequence[TrialRecord]) -> list[list[Judged] | None]:
    """Return, for each trial, what the judge said of all attacks on all its seeds, fresh ones too.

    An attack that a confirmation let another judge see again counts once, by the judge of the study. None
    where a file of them is not here, or an earlier version wrote it without the number of restarts.
    """
    index: Index = {}
    rows: list[list[Judged] | None] = []
    for trial in trials:
        fresh = trial.confirmed.replicates if trial.confirmed else ()
        judges: dict[str, str] = {}
        for seed in (*_seeds(trial), *fresh):
            for folder in attack_folders(seed.artifacts).values() or ("",):
                judges.setdefault(folder, str(seed.artifacts.get("judge", "")))
        judged = [_judged(folder, judge, index) for folder, judge in judges.items()]
        known = [attack for attack in judged if attack is not None]
        rows.append(known if known and len(known) == len(judged) else None)
    return rows


def _judged(folder: str, judge: str, index: Index) -> Judged | None:
    result = _stored("verdict", folder, judge, index) if folder and judge else None
    if result is None or "restarts" not in result:
        return None
    rates = result["per_identity"]
    attacked = (key_parts(folder) or {}).get("identities")  # how many of the first, None for all, or which
    labels = attacked if isinstance(attacked, list) and len(attacked) == len(rates) else range(len(rates))
    opinion = _stored("opinion", folder, judge, index) or {}
    scores: list[list[float]] = opinion.get("scores") or []  # of each restart
    names = (stage_result(Path(judge)) or {}).get("identities")
    return Judged(
        identities=opinion.get("identities") or list(labels),
        rates=rates,
        restarts=result["restarts"],
        scores=[max(own) for own in zip(*scores, strict=True)] or None,
        names=names or (),
    )


def _stored(stage: str, folder: str, judge: str, index: Index) -> dict[str, Any] | None:
    """Return the result of a stage in which the judge in `judge` looks at the attack in `folder`.

    None if it is not here.
    """
    root = Path(folder).parent.parent
    if (root, stage) not in index:
        index[root, stage] = _judgements(root, stage)
    place = index[root, stage].get((Path(folder).name, Path(judge).name))
    return None if place is None else stage_result(place)


def stage_result(folder: Path) -> dict[str, Any] | None:
    """Return what the stage in `folder` gave; None where it is not here, or damaged."""
    record = _json(folder / "result.json")
    result = record.get("result") if isinstance(record, dict) else None
    return result if isinstance(result, dict) else None


def per_image(trials: Sequence[TrialRecord]) -> list[Floats | None]:
    """Return, for each trial, which test images its target gets right: 1 or 0, (M,); with seeds their mean.

    None where the target's files are not here, are older than the list, or say something else than the trial.
    """
    return [_mean([_per_image(seed) for seed in _seeds(trial)]) for trial in trials]


def _seeds(trial: TrialRecord) -> Sequence[TrialRecord | Replicate]:
    return trial.replicates or [trial]


def _per_image(trial: TrialRecord | Replicate) -> Floats | None:
    value, folder = trial.values.get("test_accuracy"), trial.artifacts.get("target")
    right = (stage_result(Path(folder)) or {}).get("test_correct") if folder else None
    if value is None or not right:
        return None
    flags = np.array([float(flag) for flag in right], dtype=np.float64)
    return flags if np.isclose(flags.mean(), value, atol=1e-6) else None


def _judgements(root: Path, stage: str) -> dict[tuple[str, str], Path]:
    """Return the folders of a stage of a store by what was judged and by whom: keys of attack and judge."""
    folders: dict[tuple[str, str], Path] = {}
    for place in sorted((root / stage).glob("*/key.json"), key=lambda p: p.stat().st_mtime):
        parts = key_parts(str(place.parent)) or {}
        folders[str(parts.get("attack")), str(parts.get("judge"))] = place.parent
    return folders


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
