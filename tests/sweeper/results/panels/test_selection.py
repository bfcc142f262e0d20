import random

import pytest
import torch

from sweeper.results.panels.selection import Attacked, People, controls, reconstructions, swapped
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.errors import ConfigError


def images(values):
    """Return flat 2 x 2 images of (label, value) pairs."""
    labels = torch.tensor([label for label, _ in values])
    pixels = torch.stack([torch.full((3, 2, 2), value, dtype=torch.uint8) for _, value in values])
    names = tuple("ab")
    return Images(pixels=pixels, labels=labels, names=names, files=tuple(str(v) for _, v in values))


def people(*, train=5, test=((0, 100), (1, 200)), doubles=()):
    rows = [(label, 10 * label + number) for label in (0, 1) for number in range(train)]
    split = Split(
        train=images([*rows, *doubles]), validation=images([(0, 9), (1, 19)]), test=images(list(test))
    )
    return People(split, [0, 1])


def value(image):
    return int(image[0, 0, 0])


def test_a_reference_is_never_the_image_that_is_shown_though_a_copy_is_in_training():
    """The private test image of each person is in the training part too, as allow_duplicates permits."""
    holders = people(doubles=((0, 100), (1, 200)))
    for panel in controls([0, 1], holders, seed=3, count=40):
        assert value(panel.shown[0]) not in [value(image) for image in panel.references]


def test_too_few_images_of_somebody_are_named():
    assert len(people(train=3).references(0, random.Random(0))) == 4  # the one of validation counts
    with pytest.raises(ConfigError, match=r"expected 4 different private images .* got 3 of person 0"):
        people(train=2)
    with pytest.raises(ConfigError, match="expected 4 private images of person 0 that are no held-out image"):
        twin = people(train=2, doubles=((0, 100), (1, 200)))
        twin.references(0, random.Random(0), but=torch.full((3, 2, 2), 100, dtype=torch.uint8))


def test_few_panels_are_spread_over_trials_and_without_repetition():
    made = [
        Attacked(
            trial=number,
            images=torch.zeros(2, 2, 3, 2, 2, dtype=torch.uint8),
            identities=[0, 1],
            named=torch.tensor([[0, 0], [1, 1]]),
        )
        for number in (4, 7)
    ]
    panels = reconstructions(made, people(), seed=0, most=6)
    chosen = [(p.about["trial"], p.about["identity"], p.about["restart"]) for p in panels]
    assert len(set(chosen)) == 6 and [trial for trial, _, _ in chosen].count(4) == 3
    assert all(p.about["judge"] == (p.about["identity"] == p.about["restart"]) for p in panels)
    assert len(reconstructions(made, people(), seed=0, most=None)) == 8
    assert len(reconstructions(made, people(), seed=0, most=99)) == 8


def test_controls_take_people_in_turn():
    panels = controls([0, 1], people(), seed=0, count=4)
    kinds = [(panel.about["kind"], panel.about["identity"]) for panel in panels]
    for kind in ("genuine", "impostor"):
        assert sorted(label for k, label in kinds if k == kind) == [0, 0, 1, 1]


def test_swapped_panels_show_somebody_else_of_every_trial_in_turn():
    made = [
        Attacked(
            trial=number,
            images=torch.tensor([[10, 20]], dtype=torch.uint8).view(1, 2, 1, 1, 1).expand(1, 2, 3, 2, 2),
            identities=[0, 1],
            named=torch.tensor([[1, 1]]),
        )
        for number in (4, 7)
    ]
    panels = swapped(made, people(), seed=0, count=4)
    assert sorted(panel.about["identity"] for panel in panels) == [0, 0, 1, 1]
    assert [panel.about["trial"] for panel in panels] == [4, 7, 4, 7]
    for panel in panels:
        about = panel.about
        assert about["shows"] == 1 - about["identity"] and value(panel.shown[0]) == 10 * (1 + about["shows"])
        assert all(value(image) // 10 == about["identity"] for image in panel.references)
        assert about["judge"] == (about["identity"] == 1)
    alone = [Attacked(trial=0, images=made[0].images[:, :1], identities=[0], named=None)]
    assert swapped(alone, people(), seed=0, count=4) == []


def test_controls_are_of_people_who_have_a_test_image():
    panels = controls([0, 1], people(test=((1, 200), (2, 201))), seed=0, count=3)
    assert [panel.about["identity"] for panel in panels if panel.about["kind"] == "genuine"] == [1, 1, 1]
    for test in (((1, 200), (2, 201)), ((0, 200), (0, 201))):
        with pytest.raises(ConfigError, match="test images of attacked people and of others"):
            controls([0], people(test=test), seed=0, count=1)
