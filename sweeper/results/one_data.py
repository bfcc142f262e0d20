"""One population: the trials of a study were measured on the same data, or nothing is concluded of them."""

from collections.abc import Iterator, Mapping, Sequence

from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialRecord
from trainables.errors import ConfigError

ROLES = {"private": "private data", "public": "public data", "pretraining": "pre-training data"}
SHOWN = 6  # trials that a text names


def check_one_data(records: StudyRecords) -> None:
    """Raise `ConfigError` if finished trials of the study were measured on different data.

    Trials whose searched values say so may differ: those of a data set, or of the image size. What a trial
    does not know of its data, as an older one, is no difference.
    """
    text = mixed_data(records)
    if text:
        raise ConfigError(
            f"the trials of study '{records.study}' are of different data, so no front goes through them: "
            f"{text}; run it again over one of them under another name (-S name=...)"
        )


def mixed_data(records: StudyRecords) -> str:
    """Return in words which finished trials were measured on different data, "" if none were."""
    texts = []
    same = same_images([records])
    for role, name in ROLES.items():
        searched: dict[str, dict[str, set[int]]] = {}
        for trial in records.complete:
            for data in _data(trial):
                if role in data:
                    key = same.get(data[role], data[role])
                    searched.setdefault(_searched(trial, role), {}).setdefault(key, set()).add(trial.number)
        texts += [
            f"{name} {' and '.join(_shown(key, numbers) for key, numbers in _by_first(trials))}"
            for trials in searched.values()
            if len(trials) > 1
        ]
    return "; ".join(texts)


def _data(trial: TrialRecord) -> Iterator[Mapping[str, str]]:
    """Yield the content keys of a trial's data, of each seed where they are noted, fresh ones too."""
    yield trial.data
    yield from (seed.data for seed in trial.replicates)
    if trial.confirmed:
        for seed in trial.confirmed.replicates:
            dealt_anew = "split_seed" in seed.changes and _images(seed.data) == _images(trial.data)
            known = {role: key for role, key in trial.data.items() if role == "private"}
            yield {**seed.data, **known} if dealt_anew else seed.data


def _images(data: Mapping[str, str]) -> str | None:
    """Return the key of the private images, whatever their parts."""
    return data.get("images", data.get("private"))


def same_images(records: Sequence[StudyRecords]) -> dict[str, str]:
    """Return the key of images alone, which older trials noted -> the one that has their parts and names."""
    return {
        data["images"]: data["private"]
        for record in records
        for trial in record.complete
        for data in _data(trial)
        if "images" in data and "private" in data
    }


def _searched(trial: TrialRecord, role: str) -> str:
    """Return the searched values of a trial that choose the data of `role`."""
    chosen = {
        path: value for path, value in trial.params.items() if path.partition(".")[0] in (role, "image_size")
    }
    return str(sorted(chosen.items()))


def _by_first(trials: Mapping[str, set[int]]) -> list[tuple[str, set[int]]]:
    return sorted(trials.items(), key=lambda item: min(item[1]))


def _shown(key: str, numbers: set[int]) -> str:
    listed = sorted(numbers)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    plural = "" if len(listed) == 1 else "s"
    return f"{key[:8]} in trial{plural} {', '.join(map(str, listed[:SHOWN]))}{more}"
