"""What every analysis must keep, whatever it is."""

import json
from dataclasses import replace

import pytest
import torch

from trainables.analyses import ANALYSES
from trainables.analyses.base import Opinion, Subject, TrainingAnalysis, TrainingSubject
from trainables.datasets.split import split
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses.none import NoDefense
from trainables.judges.base import JudgeModel
from trainables.storage.content import with_content
from trainables.training.classifier import Target, build_classifier
from trainables.training.freeze import freeze

pytestmark = pytest.mark.parametrize("name", ANALYSES)


@pytest.fixture(scope="module")
def training() -> TrainingSubject:
    """Return one epoch of a target frozen half way, on four people."""

    def begin(classes, defense, freeze_point):
        classifier = defense.prepare(build_classifier("small_cnn", classes, 32, "none", 0))
        freeze(classifier, freeze_point, "eval")
        return classifier

    faces = SyntheticFaces(population="private", identities=4, images_per_identity=8)
    return TrainingSubject(
        recipe=Target(architecture="small_cnn", epochs=1, freeze_point="conv3"),
        defense=NoDefense(),
        private=split(faces.load(32)),
        begin=begin,
    )


@pytest.fixture(scope="module")
def measured():
    """Return what an analysis says of a subject, measured once."""
    return {}


@pytest.fixture
def figures(name, request, measured):
    if name not in measured:
        of_training = issubclass(ANALYSES[name], TrainingAnalysis)
        subject = request.getfixturevalue("training" if of_training else "subject")
        measured[name] = ANALYSES[name]().measure(subject)
    return measured[name]


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
        opinions=tuple(
            Opinion(
                judge=judge,
                choices=torch.randint(0, 4, (2, 3), generator=noise),
                test_accuracy=0.5,
            )
            for judge in ("classifier", "embedder")
        ),
    )


def test_says_what_it_is(name):
    analysis = ANALYSES[name]
    assert analysis.kind == name and analysis.summary and analysis.source
    assert "\n" not in analysis.summary
    assert analysis.limits and "\n" not in analysis.limits and not analysis.limits.endswith(".")
    assert with_content(analysis())["kind"] == name


def test_figures_are_plain_and_the_same_again(name, figures, request):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert not {"trial", "attack"} & figures.keys()  # a row names those itself
    analysis = ANALYSES[name]
    if not issubclass(analysis, TrainingAnalysis):
        assert analysis().measure(request.getfixturevalue("subject")) == figures
    elif analysis.repeatable:
        assert analysis().measure(request.getfixturevalue("training")) == figures


def test_a_table_can_show_its_columns(name, figures):
    columns = ANALYSES[name].columns
    assert columns and set(columns) <= figures.keys()
    for column, (low, high) in ((k, v) for k, v in figures.items() if k.endswith("_interval")):
        assert low <= figures[column.removesuffix("_interval")] <= high
    for figure in () if issubclass(ANALYSES[name], TrainingAnalysis) else ANALYSES[name].compared:
        per_identity = [v for k, v in figures.items() if k.startswith(f"{figure}_per_identity")]
        assert per_identity and all(len(values) == len(figures["labels"]) for values in per_identity)


def test_the_order_of_identities_does_not_matter(name, figures, subject):
    if issubclass(ANALYSES[name], TrainingAnalysis):
        return  # no attack, no order
    turned = replace(
        subject,
        reconstructions=subject.reconstructions.flip(1),
        identities=subject.identities.flip(0),
        opinions=tuple(replace(each, choices=each.choices.flip(1)) for each in subject.opinions),
    )
    other = ANALYSES[name]().measure(turned)
    assert figures.keys() == other.keys()
    for key, value in figures.items():
        assert other[key] == pytest.approx(value), key
