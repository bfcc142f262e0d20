"""Release of a trial: its target's weights, what they are for, its labels, and a card of all figures."""

from pathlib import Path

from sweeper.results.model_card import CARD, card
from sweeper.results.record_types import Replicate, StudyRecords, TrialRecord
from sweeper.results.records import study_records
from sweeper.storage.home import Home
from sweeper.study.loading import stored_study
from trainables import __version__
from trainables.errors import ConfigError
from trainables.storage.store import disk_errors


def export(home: Home, name: str, number: int, folder: Path, *, replicate: int | None = None) -> Path:
    """Write the target of trial `number` of the study `name` into `folder`, which must be new or empty.

    replicate: of a trial that was trained under several seeds, the one to release; None takes the first of
    the search. The private data is read for the names of its identities. Raises `ConfigError` for a trial
    without a target here, and a folder that is in use; `DiskError` if it cannot be written.
    """
    import torch

    from trainables.config import load_trial
    from trainables.released import load_released, write_released
    from trainables.stages.data import load_data
    from trainables.storage.store import to_json

    records = study_records(home, name, history=False)
    trial = find_trial(records, number)
    study = stored_study(home.study(name))
    seeds = trained_seeds(trial, study.trial.get("replicate", 0))
    chosen = next(iter(seeds)) if replicate is None else replicate
    if chosen not in seeds:
        raise ConfigError(
            f"trial {number} was trained under the seeds {', '.join(map(str, seeds))}; got {chosen} (--seed)"
        )
    weights = Path(seeds[chosen].artifacts.get("target") or "nowhere") / "target.pt"
    if not weights.is_file():
        raise ConfigError(
            f"expected the target of trial {number} at {weights}, found nothing; export where the sweep ran, "
            "or with its store at the same place"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"expected a new or empty folder to release into, got {folder} (-o)")
    config = load_trial({**study.document(trial.params), "replicate": chosen}, f"{name}, trial {number}")
    labels = load_data(config).split.train.names
    crop = config.private.crop
    about = {
        "architecture": config.target.architecture,
        "image_size": config.image_size,
        "normalization": config.target.normalization,
        "defense": to_json(config.defense),
        **({"crop": crop} if crop else {}),
        "recipe": to_json(config.target),
        "study": name,
        "trial": number,
        "seed": [config.seed, chosen],
        "written_by": __version__,
    }
    with disk_errors(folder):
        write_released(
            folder,
            weights=torch.load(weights, map_location="cpu", weights_only=True),
            labels=labels,
            config=about,
        )
        text = card(records, trial, seeds[chosen], to_json(config), len(labels), folder.name)
        (folder / CARD).write_text(text, encoding="utf-8")
    load_released(folder)  # what was written can be used
    return folder


def find_trial(records: StudyRecords, number: int) -> TrialRecord:
    """Return the finished trial `number`; raise `ConfigError` naming those there are."""
    trial = next((trial for trial in records.trials if trial.number == number), None)
    if trial is None or not trial.complete:
        have = ", ".join(str(other.number) for other in records.complete)
        state = "no such trial" if trial is None else f"a {trial.state} one"
        raise ConfigError(
            f"expected a finished trial of '{records.study}', got {number}, {state} (--trial); finished: "
            f"{have or 'none'}"
        )
    return trial


def trained_seeds(trial: TrialRecord, first: int) -> dict[int, Replicate]:
    """Return replicate number -> values, interval and artifacts of every target that the trial trained."""
    own = Replicate(replicate=first, values=trial.values, interval=trial.interval, artifacts=trial.artifacts)
    fresh = trial.confirmed.replicates if trial.confirmed else ()
    return {seed.replicate: seed for seed in (*(trial.replicates or [own]), *fresh)}
