"""The images of a trial: loaded, checked, split, and fingerprinted for the store's keys."""

import functools
import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.datasets.base import Dataset, Images
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.split import Split, split
from trainables.errors import ConfigError


@dataclass(frozen=True)
class Data:
    """The images of a trial, and fingerprints of them for the store's keys."""

    split: Split
    public: Images
    private_key: str
    public_key: str


def load_data(config: TrialConfig) -> Data:
    """Return the trial's images, split and checked: nobody and no file is both private and public.

    Raises `ConfigError` also if more identities are to be attacked than there are.
    """
    data = _load_data(
        config.private, config.public, config.image_size, config.validation, config.test, config.seed
    )
    classes = data.split.train.classes
    if config.identities is not None and config.identities > classes:
        raise ConfigError(
            f"identities must be at most {classes}, as many as the private images show; got "
            f"{config.identities} (identities); ask for fewer, or leave it out to attack all"
        )
    return data


@functools.lru_cache(maxsize=2)
def _load_data(
    private: Dataset, public: Dataset, image_size: int, validation: float, test: float, seed: int
) -> Data:
    mine, theirs = private.load(image_size), public.load(image_size)
    check_disjoint(mine, theirs)
    parts = split(mine, validation=validation, test=test, seed=seed)
    return Data(parts, theirs, _fingerprint(mine), _fingerprint(theirs))


def _fingerprint(images: Images) -> str:
    digest = hashlib.sha256(images.pixels.contiguous().numpy().tobytes())
    digest.update(images.labels.numpy().tobytes())
    return digest.hexdigest()[:20]


def attacked_identities(config: TrialConfig, data: Data) -> Tensor:
    """Return the labels of the attacked identities, int64 (N,)."""
    classes = data.split.train.classes
    return torch.arange(classes if config.identities is None else config.identities)
