"""Split labelled images into training, validation and test, identity by identity."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.datasets.base import Images
from trainables.errors import ConfigError
from trainables.runtime.seeds import stream
from trainables.storage.weights import listed

LEAST = {"training": 2, "validation": 1, "test": 1}  # two to train on: BiDO compares images of one identity


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three disjoint parts of one data set. All know every identity; label k is ``names[k]`` in each."""

    train: Images
    validation: Images
    test: Images


def split(images: Images, *, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Split:
    """Return a seeded split of every identity: shares `validation` and `test`, at least one image each.

    Where the data set reserves images for testing, exactly those are the test set and `test` is not used;
    `validation` is then a share of the rest, or not used where the data set gives that part too. There an
    identity may have no test image, as some in PPA's shuffle of all images; `check_parts` counts them. Within
    a part, images keep their order. One identity's split depends on its own images, the seed and its name
    only.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ConfigError(
            "validation and test must be shares between 0 and 1 that leave something to train on; "
            f"got validation {validation} and test {test} (validation, test)"
        )
    least = LEAST if images.reserved is None else {**LEAST, "test": 0}
    parts: dict[str, list[Tensor]] = {name: [] for name in LEAST}
    short: dict[str, dict[str, int]] = {}
    for label, name in enumerate(images.names):
        own = (images.labels == label).nonzero().flatten()
        if images.reserved is None:
            free = own[torch.randperm(len(own), generator=stream(seed, "split", name))]
            tested = max(1, round(test * len(own)))
            reserved, free = free[:tested], free[tested:]
        else:
            tests = images.reserved[own]
            reserved, free = own[tests], own[~tests]
            free = free[torch.randperm(len(free), generator=stream(seed, "split", name))]
        if images.checked is None:
            checked = max(1, round(validation * (len(own) if images.reserved is None else len(free))))
            own_parts = {"training": free[checked:], "validation": free[:checked], "test": reserved}
        else:
            given = images.checked[free]
            own_parts = {"training": free[~given], "validation": free[given], "test": reserved}
        for part, index in own_parts.items():
            parts[part].append(index)
        if any(len(own_parts[part]) < count for part, count in least.items()):
            short[name] = {part: len(index) for part, index in own_parts.items()}
    if short:
        raise _too_few(short, images)
    if not sum(map(len, parts["test"])):
        raise ConfigError(
            f"a data set with parts of its own needs at least 1 test image; got none of {len(images)} images "
            "in the test part; use more of its people"
        )
    train, val, test_part = (images.select(torch.cat(parts[part]).sort().values) for part in LEAST)
    return Split(train=train, validation=val, test=test_part)


def _too_few(short: Mapping[str, Mapping[str, int]], images: Images) -> ConfigError:
    """Return the error that names the people whose images are too few, and what helps them.

    short: name -> part -> images. Lower shares help those alone who have as many images as all parts need.
    """
    wanted, shares, needed = (
        "2 images for training, 1 for validation and 1 for test",
        "validation and test",
        4,
    )
    more = "give each at least 4 images"
    if images.reserved is not None:
        wanted, shares, needed = "2 images for training and 1 for validation", "validation", 3
        more = "give each at least 3 images that are not reserved"
    if images.checked is not None:
        shares, more = "", "put images of each into both parts"
    free = {
        name: sum(got.values()) - (0 if images.reserved is None else got["test"])
        for name, got in short.items()
    }
    lower = bool(shares) and max(free.values()) >= needed
    parts = [
        f"'{name}' ({', '.join(f'{count} for {part}' for part, count in got.items())})"
        for name, got in short.items()
    ]
    remedies = [
        *([more] if not lower or min(free.values()) < needed else []),
        *([f"lower {shares}"] if lower else []),
        "remove them",
    ]
    return ConfigError(
        f"every identity needs at least {wanted}; got too few of {len(short)}: {listed(parts)}; "
        f"{', '.join(remedies[:-1])}, or {remedies[-1]}"
    )
