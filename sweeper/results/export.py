"""Release of a trial: its target's weights, what they are for, its labels, and a card of all figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.results.model_card import CARD, card
from sweeper.results.one_data import check_one_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.records import study_records
from sweeper.results.stage_files import key_parts, stage_result
from sweeper.results.trial_record import Replicate, TrialRecord
from sweeper.storage.home import Home
from sweeper.study.loading import stored_study
from trainables import __version__
from trainables.errors import ConfigError
from trainables.storage.disk import disk_errors, load, write_text

if TYPE_CHECKING:  # torch takes seconds
    from torch import Tensor

    from trainables.config import TrialConfig
    from trainables.operating_point import OperatingPoint


def export(
    home: Home, name: str, number: int, folder: Path, *, replicate: int | None = None, names: bool = True
) -> Path:
    """Write the target of trial `number` of the study `name` into `folder`, which must be new or empty.

    replicate: of a trial that was trained under several seeds, the one to release; None takes the first of
    the search. names: whether its labels are the names that it was trained on, whatever the data are called
    today; else ``person 0`` and so on. Raises `ConfigError` for a trial without a target here, and a folder
    that is in use; `DiskError` if it cannot be written.
    """
    from trainables.config import load_trial
    from trainables.released import load_released, write_released
    from trainables.stages.target import load_defense
    from trainables.storage.store import to_json

    records = study_records(home, name, history=False)
    check_one_data(records)
    trial = find_trial(records, number)
    study = stored_study(home.study(name))
    seeds = trained_seeds(trial, study.trial.get("replicate", 0))
    chosen = next(iter(seeds)) if replicate is None else replicate
    if chosen not in seeds:
        raise ConfigError(
            f"trial {number} was trained under the seeds {', '.join(map(str, seeds))}; got {chosen} "
            "(--replicate)"
        )
    weights = Path(seeds[chosen].artifacts.get("target") or "nowhere") / "target.pt"
    if not weights.is_file():
        raise ConfigError(
            f"expected the target of trial {number} at {weights}, found nothing; export where the sweep ran, "
            "or with its store at the same place"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"expected a new or empty folder to release into, got {folder} (-o)")
    document = {**study.document(trial.params), **seeds[chosen].changes, "replicate": chosen}
    config = load_trial(document, f"{name}, trial {number}")
    labels = trained_labels(config, weights.parent)
    about = {
        "architecture": config.target.architecture,
        "image_size": config.image_size,
        "normalization": config.target.normalization,
        "defense": to_json(config.defense),
        **config.private.view,
        "recipe": to_json(config.target),
        "study": name,
        "trial": number,
        "seed": [config.seed, chosen],
        "written_by": __version__,
    }
    state = load(weights)
    stored = load_defense(weights.parent) if config.defense.changes_answers else {}
    point = measured_threshold(config, weights.parent, trial.data, state, labels, stored)
    if point is not None:
        about["operating_point"] = point.to_json()
    with disk_errors(folder):
        write_released(
            folder,
            weights=state,
            labels=labels if names else tuple(f"person {label}" for label in range(len(labels))),
            config=about,
            stored=stored,
        )
        text = card(
            records,
            trial,
            seeds[chosen],
            to_json(config),
            len(labels),
            folder.name,
            point,
            names=study.tracking.images,
        )
        write_text(folder / CARD, text)
    load_released(folder)  # what was written can be used
    return folder


def measured_threshold(
    config: "TrialConfig",
    folder: Path,
    noted: Mapping[str, str],
    state: dict[str, "Tensor"],
    labels: tuple[str, ...],
    stored: dict[str, "Tensor"] | None = None,
) -> "OperatingPoint | None":
    """Return the score from which the target's answer counts; None where its data are not as they were.

    One image more deals the parts anew: what is a test image today the target may have been trained on.

    folder: the target's stage. noted: role -> content key of the data that its trial saw.
    """
    from trainables.operating_point import operating_point
    from trainables.stages.data import load_data
    from trainables.stages.target import new_target

    try:
        data = load_data(config)
    except ConfigError:
        return None
    same_private = _private_key(folder) in (data.private_key, data.images_key)
    same_public = noted.get("public", data.public_key) == data.public_key
    if not same_private or not same_public or data.split.test.names != labels:
        return None
    classifier = new_target(config, len(labels))
    classifier.load_state_dict(state)
    shield = config.defense.shield(stored) if stored else None
    return operating_point(classifier, data.split.test, data.public, shield=shield)


def trained_labels(config: "TrialConfig", folder: Path) -> tuple[str, ...]:
    """Return the names that the target in the stage `folder` was trained on, in label order.

    A stage of an earlier version does not hold them: they are then those of the private data, if its images
    are still those that the target was trained on. Raises `ConfigError` if they are not, and for a damaged
    stage.
    """
    from trainables.stages.data import load_data

    result = stage_result(folder)
    if result is None:
        raise ConfigError(
            f"expected the target in {folder} to be whole, its result.json is missing or damaged; export "
            "where the sweep ran, or run the study again under another name"
        )
    names = result.get("identities")
    if names is not None:
        return tuple(names)
    data = load_data(config)
    if _private_key(folder) not in (data.private_key, data.images_key):
        raise ConfigError(
            f"expected the private data that the target in {folder} was trained on, for the names of its "
            "people; the images (private) are others today, so labels would name the wrong people; put the "
            "images of then back, and export again"
        )
    return data.split.train.names


def _private_key(folder: Path) -> str | None:
    """Return the content key of the private data that the target in the stage `folder` was trained on."""
    key: str | None = (key_parts(str(folder)) or {}).get("private")
    return key


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
    """Return replicate number -> values, interval and artifacts of every target that the trial trained.

    first: the study's first seed, for a trial under one seed that no space has chosen. A confirmation without
    fresh training seeds measured the search's own: its figures do not replace those.
    """
    number = trial.params.get("replicate", first)
    own = Replicate(replicate=number, values=trial.values, interval=trial.interval, artifacts=trial.artifacts)
    fresh = trial.confirmed.replicates if trial.confirmed else ()
    seeds = {seed.replicate: seed for seed in trial.replicates or [own]}
    return seeds | {seed.replicate: seed for seed in fresh if seed.replicate not in seeds}
