"""Selection of panels: reconstructions of trials, and controls that measure whoever reads them.

A control shows a private image that no reference is: of the attacked person (genuine, the answer is yes) or
of another (impostor, no). They are sharp where reconstructions are not, so a reader can tell them from these;
what they measure is how well a reader tells these people apart. What a reader makes of a blurred picture is
measured by reconstructions of one person beside the images of another (swapped): how often they get a yes is
what a reconstruction gets that says nothing of the person.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sweeper.results.panels.layout import REFERENCES
from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.runtime.seeds import derive


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        about: what it is, JSON-ready; `kind` is "attack", "genuine", "impostor", "swapped" or "pair".
        shown: what is asked about, one image or two, uint8 (3, S, S).
        references: private images of the person that none of `shown` is.
    """

    about: Mapping[str, Any]
    shown: tuple[Tensor, ...]
    references: tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Attacked:
    """The reconstructions of one trial.

    Attributes:
        trial: its number.
        images: uint8 (R, N, 3, S, S).
        identities: labels of the people, N.
        named: the person whom the study's judge takes each for, int64 (R, N); None if it is not here.
    """

    trial: int
    images: Tensor
    identities: Sequence[int]
    named: Tensor | None


class People:
    """The private images that panels show: references from training and validation, controls from test."""

    def __init__(self, split: Split, identities: Sequence[int]) -> None:
        """Take the images of `identities`; raise `ConfigError` for one with too few of them."""
        self._test = split.test
        self._owned: dict[int, list[Tensor]] = {}
        for label in identities:
            images = [
                image
                for part in (split.train, split.validation)
                for image in part.pixels[part.labels == label]
            ]
            distinct = {image.numpy().tobytes(): image for image in images}
            self._owned[label] = list(distinct.values())
            if len(distinct) < REFERENCES:
                raise ConfigError(
                    f"expected {REFERENCES} different private images of each attacked person beside the test "
                    f"images, as references; got {len(distinct)} of person {label} (private): give that "
                    "person more images, or attack others"
                )

    def references(self, label: int, dice: random.Random, *, but: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return random private images of the person `label`, none of them equal to `but`."""
        images = [image for image in self._owned[label] if but is None or not torch.equal(image, but)]
        if len(images) < REFERENCES:
            raise ConfigError(
                f"expected {REFERENCES} private images of person {label} that are no held-out image too, got "
                f"{len(images)} (private, allow_duplicates): give that person more images"
            )
        return tuple(dice.sample(images, REFERENCES))

    def tested(self, identities: Sequence[int]) -> list[int]:
        """Return those of `identities` with a test image; raise `ConfigError` without one, and a second."""
        having = set(self._test.labels.tolist())
        if having.isdisjoint(identities) or len(having) < 2:
            raise ConfigError(
                "expected private test images of attacked people and of others, as controls; got those of "
                f"{len(having)} people (private, test): attack people who have some"
            )
        return [label for label in identities if label in having]

    def held_out(self, label: int, dice: random.Random, *, of_another: bool) -> tuple[int, Tensor]:
        """Return a random test image of the person `label`, or of another one, and whom it shows."""
        shows = (self._test.labels != label) if of_another else (self._test.labels == label)
        place = dice.choice(shows.nonzero().flatten().tolist())
        return int(self._test.labels[place]), self._test.pixels[place]


def reconstructions(trials: Sequence[Attacked], people: People, seed: int, most: int | None) -> list[Panel]:
    """Return a panel for each reconstruction of `trials`; of more than `most`, so many random ones.

    The random ones are spread evenly over the trials.
    """
    dice = random.Random(derive(seed, "panels", "reconstructions"))
    piles = [list(_places(trial)) for trial in trials]
    for pile in piles:
        dice.shuffle(pile)
    wanted = sum(map(len, piles)) if most is None else most
    chosen: list[tuple[Attacked, int, int]] = []
    while len(chosen) < wanted and any(piles):
        chosen += [pile.pop() for pile in piles if pile][: wanted - len(chosen)]
    panels = []
    for trial, restart, place in chosen:
        panels.append(_beside(trial.identities[place], trial, restart, place, people, dice))
    return panels


def _beside(
    label: int, trial: Attacked, restart: int, place: int, people: People, dice: random.Random
) -> Panel:
    """Return a reconstruction beside the images of the person `label`, its own or another."""
    owner = trial.identities[place]
    about = {
        "kind": "attack" if owner == label else "swapped",
        "trial": trial.trial,
        "identity": label,
        "restart": restart,
        "judge": None if trial.named is None else int(trial.named[restart, place]) == label,
        **({} if owner == label else {"shows": owner}),
    }
    shown = (trial.images[restart, place],)
    return Panel(about=about, shown=shown, references=people.references(label, dice))


def _places(trial: Attacked) -> Iterator[tuple[Attacked, int, int]]:
    for restart in range(len(trial.images)):
        for place in range(len(trial.identities)):
            yield trial, restart, place


def controls(identities: Sequence[int], people: People, seed: int, count: int) -> list[Panel]:
    """Return `count` genuine and `count` impostor panels, of people in turn, in a random order of theirs.

    Of people who have a test image: where the data set gives them, some may have none.
    """
    dice = random.Random(derive(seed, "panels", "controls"))
    tested = people.tested(identities)
    order = dice.sample(tested, len(tested))
    panels = []
    for kind in ("genuine", "impostor"):
        for number in range(count):
            label = order[number % len(order)]
            shows, image = people.held_out(label, dice, of_another=kind == "impostor")
            about = {"kind": kind, "identity": label, "shows": shows}
            references = people.references(label, dice, but=image)
            panels.append(Panel(about=about, shown=(image,), references=references))
    return panels


def swapped(trials: Sequence[Attacked], people: People, seed: int, count: int) -> list[Panel]:
    """Return `count` panels of a reconstruction beside the images of another attacked person.

    Trials and people take turns; none where only one person is attacked.
    """
    dice = random.Random(derive(seed, "panels", "swapped"))
    identities = sorted({label for trial in trials for label in trial.identities})
    order = dice.sample(identities, len(identities))
    panels = []
    for number in range(count if len(order) > 1 else 0):
        label, trial = order[number % len(order)], trials[number % len(trials)]
        others = [place for place, owner in enumerate(trial.identities) if owner != label]
        restart, place = dice.randrange(len(trial.images)), dice.choice(others)
        panels.append(_beside(label, trial, restart, place, people, dice))
    return panels


def pairs(first: Attacked, second: Attacked, people: People, seed: int, most: int | None) -> list[Panel]:
    """Return panels of two: the same person and restart of two trials, which one stands first at random."""
    dice = random.Random(derive(seed, "panels", "pairs"))
    shared = sorted(set(first.identities) & set(second.identities))
    restarts = range(min(len(first.images), len(second.images)))
    chosen = [(label, restart) for label in shared for restart in restarts]
    dice.shuffle(chosen)
    panels = []
    for label, restart in chosen[:most]:
        both = [(trial, trial.images[restart, trial.identities.index(label)]) for trial in (first, second)]
        dice.shuffle(both)
        about = {
            "kind": "pair",
            "identity": label,
            "restart": restart,
            "trials": [trial.trial for trial, _ in both],
        }
        shown = tuple(image for _, image in both)
        panels.append(Panel(about=about, shown=shown, references=people.references(label, dice)))
    return panels
