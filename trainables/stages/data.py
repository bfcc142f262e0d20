"""The images of a trial: loaded, checked, split, and fingerprinted for the store's keys."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.datasets.base import Dataset, Images
from trainables.datasets.overlap import check_disjoint, check_parts, check_pretraining
from trainables.datasets.split import Split, split
from trainables.errors import ConfigError
from trainables.pretraining.dataset import OnDataset, usable


@dataclass(frozen=True)
class Data:
    """The images of a trial, fingerprints of them for the store's keys, and what to know of them.

    images_key: of the private images alone; `private_key` also has the parts and names that a data set gives.
    """

    split: Split
    public: Images
    private_key: str
    public_key: str
    images_key: str = ""
    warnings: tuple[str, ...] = ()


def load_data(config: TrialConfig) -> Data:
    """Return the trial's images, split and checked: nobody and no file is both private and public.

    Raises `ConfigError` also for fewer than two private people, for equal images in two parts of the private
    data or under two people, and if more identities are to be attacked than there are. A split of a seed of
    its own enters `Data.private_key`, and so the keys of all that is made of it.
    """
    own = config.split_seed is not None and config.split_seed != config.seed
    seed = config.split_seed if own else config.seed
    data = _load_data(
        config.private, config.public, config.image_size, config.validation, config.test, int(seed or 0)
    )
    if own:
        key = hashlib.sha256(json.dumps([data.private_key, "split", seed]).encode()).hexdigest()[:20]
        data = dataclasses.replace(data, private_key=key)
    classes = data.split.train.classes
    missing = [label for label in config.attacked or () if not 0 <= label < classes]
    if missing:
        raise ConfigError(
            f"attacked must be labels from 0 to {classes - 1}, as many as the private images show; got "
            f"{missing[0]} (attacked); leave it out to attack all"
        )
    if config.identities is not None and config.identities > classes:
        raise ConfigError(
            f"identities must be at most {classes}, as many as the private images show; got "
            f"{config.identities} (identities); ask for fewer, or leave it out to attack all"
        )
    if isinstance(config.pretraining, OnDataset) and may_share(config.private, config.pretraining.data):
        return dataclasses.replace(data, warnings=(*data.warnings, *pretraining_warnings(config)))
    return data


def may_share(private: Dataset, other: Dataset) -> bool:
    """Return whether the user says that images of `private` may be in `other` too."""
    return bool(private.allow_duplicates or other.allow_duplicates)


LOADED: dict[Any, tuple[Any, Data]] = {}  # the last few: what they were loaded from, its stamps, the data
KEPT = 2


def _load_data(
    private: Dataset, public: Dataset, image_size: int, validation: float, test: float, seed: int
) -> Data:
    """Return the data, from memory while their folders stay as they are."""
    knobs = (private, public, image_size, validation, test, seed)
    stamps, data = LOADED.pop(knobs, (None, None))
    if data is None or stamps != (private.stamp(), public.stamp()):
        data = _read_data(*knobs)
        stamps = (private.stamp(), public.stamp())
    LOADED[knobs] = (stamps, data)
    for old in list(LOADED)[:-KEPT]:
        LOADED.pop(old, None)
    return data


def _read_data(
    private: Dataset, public: Dataset, image_size: int, validation: float, test: float, seed: int
) -> Data:
    mine = private.load(image_size)
    if mine.classes < 2:
        raise ConfigError(
            f"private data must show at least 2 people, to tell them apart; got {mine.classes} "
            f"('{mine.names[0]}', {len(mine)} images) (private); put the images of each person into a folder "
            "named for them"
        )
    theirs = public.load(image_size)
    check_disjoint(mine, theirs, names=not (private.anonymous_names or public.anonymous_names))
    parts = split(mine, validation=validation, test=test, seed=seed)
    warnings = [f"private data: {text}" for text in mine.warnings]
    warnings += [f"public data: {text}" for text in theirs.warnings]
    warnings += check_parts(parts, allow=private.allow_duplicates)
    return Data(
        parts, theirs, _private_fingerprint(mine), _fingerprint(theirs), _fingerprint(mine), tuple(warnings)
    )


def pretraining_warnings(config: TrialConfig) -> list[str]:
    """Return what to know of the pre-training data, beside the private images; [] without such data.

    Raises `ConfigError` for too few images, and for images that both hold, unless `allow_duplicates` of
    either says that they may.
    """
    if not isinstance(config.pretraining, OnDataset):
        return []
    private, other = config.private, config.pretraining.data
    images = other.load(config.image_size)
    _check_enough(images)
    shared = check_pretraining(private.load(config.image_size), images, allow=may_share(private, other))
    return [*(f"pre-training data: {text}" for text in images.warnings), *shared]


def _check_enough(images: Images) -> None:
    """Raise `ConfigError` for pre-training data that teach nothing.

    Without a validation part of its own a tenth of the images chooses the epoch, one at least. Of one image
    for each person, nobody who is held out would be trained on. Batch norm needs two images to train on.
    """
    free, checked = usable(images)
    learnt = int(free.sum())
    if images.classes < 2 or learnt < 2 or (not checked.any() and learnt <= images.classes):
        raise ConfigError(
            "pre-training data must show at least 2 people, to tell them apart, in more images than people, "
            f"of which a part is held out to choose the epoch by; got {images.classes} in {learnt} images "
            "that are not reserved (pretraining.data); give more images, or choose another pretraining"
        )


def data_warnings(config: TrialConfig) -> list[str]:
    """Return all that a reader must know of a trial's data, read and checked; see `load_data` for errors."""
    return list(dict.fromkeys([*load_data(config).warnings, *pretraining_warnings(config)]))


def _fingerprint(images: Images) -> str:
    digest = hashlib.sha256(images.pixels.contiguous().numpy().data)  # no copy: there may be millions
    digest.update(images.labels.numpy().data)
    return digest.hexdigest()[:20]


def _private_fingerprint(images: Images) -> str:
    """Return the fingerprint of images and, where the data set gives them, of its parts and names.

    Elsewhere the split follows from shares and seed, which enter the keys by themselves.
    """
    plain = _fingerprint(images)
    if images.reserved is None:
        return plain
    given = [None if part is None else part.tolist() for part in (images.reserved, images.checked)]
    text = json.dumps([plain, list(images.names), given])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def attacked_identities(config: TrialConfig, data: Data) -> Tensor:
    """Return the labels of the attacked identities, int64 (N,)."""
    if config.attacked is not None:
        return torch.tensor(config.attacked, dtype=torch.int64)
    classes = data.split.train.classes
    return torch.arange(classes if config.identities is None else config.identities)
