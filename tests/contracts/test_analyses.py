"""What every analysis must keep, whatever it is."""

import json
from dataclasses import replace

import pytest
import torch

from trainables.analyses import ANALYSES
from trainables.analyses.base import Subject
from trainables.datasets.split import split
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.judges.base import JudgeModel
from trainables.storage.content import with_content
from trainables.training.classifier import build_classifier

pytestmark = pytest.mark.parametrize("name", ANALYSES)


@pytest.fixture(scope="module")
def subject() -> Subject:
    """Return an untrained target and judge, and noise for the reconstructions of three identities."""
    faces = SyntheticFaces(population="private", identities=4, images_per_identity=8)
    target, judge = (build_classifier("small_cnn", 4, 32, "none", seed).eval() for seed in (0, 1))
    noise = torch.Generator().manual_seed(0)
    return Subject(
        target=target,
        judge=JudgeModel(logits=judge, features=lambda images: images.mean((2, 3)), test_accuracy=1.0),
        private=split(faces.load(32)),
        reconstructions=torch.randint(0, 256, (2, 3, 3, 32, 32), generator=noise, dtype=torch.uint8),
        identities=torch.arange(3),
    )


def test_says_what_it_is(name):
    analysis = ANALYSES[name]
    assert analysis.kind == name and analysis.summary and analysis.source
    assert "\n" not in analysis.summary
    assert with_content(analysis())["kind"] == name


def test_figures_are_plain_and_the_same_again(name, subject):
    figures = ANALYSES[name]().measure(subject)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert ANALYSES[name]().measure(subject) == figures
    assert not {"trial", "attack"} & figures.keys()  # a row names those itself


def test_a_table_can_show_its_columns(name, subject):
    figures = ANALYSES[name]().measure(subject)
    assert ANALYSES[name].columns and set(ANALYSES[name].columns) <= figures.keys()
    for column, (low, high) in ((k, v) for k, v in figures.items() if k.endswith("_interval")):
        assert low <= figures[column.removesuffix("_interval")] <= high


def test_the_order_of_identities_does_not_matter(name, subject):
    turned = replace(
        subject, reconstructions=subject.reconstructions.flip(1), identities=subject.identities.flip(0)
    )
    figures, other = (ANALYSES[name]().measure(one) for one in (subject, turned))
    assert figures.keys() == other.keys()
    for key, value in figures.items():
        assert other[key] == pytest.approx(value), key
