"""What a reader must know of a trial's figures: of its target, its prior, its frozen stages, its batches."""

import functools

import pytest
import torch

from trainables.config import load_trial
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.priors import PRIORS
from trainables.stages.data import load_data
from trainables.stages.warnings import (
    batch_warnings,
    config_warnings,
    lost_pretraining,
    low_accuracy,
    normalization_warnings,
    prior_warnings,
    size_warnings,
    target_warnings,
)
from trainables.storage.documents import merge
from trainables.storage.store import Store
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn", "epochs": 1, "batch_size": 10},
    "defense": {"kind": "none"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 1, "restarts": 1},
    "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1, "batch_size": 10},
}


@pytest.mark.parametrize(
    ("chance", "expected"),
    [(1 / 1000, 0.2), (1 / 30, 0.2), (1 / 10, 0.3), (1 / 5, 0.6), (1 / 2, 0.75), (0.9, 0.95)],
)
def test_low_accuracy_is_a_fifth_or_three_times_chance_and_never_out_of_reach(chance, expected):
    assert low_accuracy(chance) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reached", "probe", "tested", "changes", "warned"),
    [
        (0.23, 0.33, 1000, {}, True),
        (0.23, 0.33, 50, {}, False),  # within two errors, 2 x sqrt((.33 x .67 + .23 x .77) / 50)
        (0.33, 0.23, 1000, {}, False),
        (0.0, 1.0, 1, {}, True),
        (0.23, None, 1000, {}, False),
        (0.23, 0.33, 1000, {"target.freeze_point": "conv1"}, False),
        (0.23, 0.33, 1000, {"target.kept_epoch": 1}, False),
        (0.23, 0.33, 1000, {"defense.kind": "midre"}, False),
    ],
)
def test_an_undefended_target_below_its_own_start_is_a_broken_reference(
    reached, probe, tested, changes, warned
):
    texts = lost_pretraining(load_trial(merge(DOCUMENT, changes)), reached, probe, tested)
    assert len(texts) == warned
    if warned:
        assert f"names {reached:.3f}" in texts[0] and f"as they were {probe:.3f}" in texts[0]


def test_a_target_at_eleven_percent_is_a_warning():
    labels = torch.arange(100).repeat_interleave(3)
    assert "weak target: its test accuracy is 0.110, below 0.200" in target_warnings(0.11, 1.0, labels)[0]
    assert target_warnings(0.21, 1.0, labels) == []


@pytest.mark.parametrize(
    ("judge", "texts"),
    [
        ({"kind": "embedder"}, ["whether judge 'embedder' was trained on the private people nobody said"]),
        ({"kind": "onnx", "overlap": "unknown"}, ["whether judge 'onnx' was trained on the private people"]),
        ({"kind": "onnx", "overlap": "none"}, []),
        ({"kind": "onnx", "overlap": "half of them, in MS1M"}, ["private people: half of them, in MS1M"]),
    ],
)
def test_what_nobody_said_of_a_pretrained_judge_is_a_warning_also_of_a_second_one(judge, texts):
    first = DOCUMENT["judge"]
    pretrained = {"path": "weights", **judge}
    for document in (pretrained, [first, pretrained]):
        warnings = config_warnings(load_trial({**DOCUMENT, "judge": document}))
        assert len(warnings) == len(texts)
        assert all(text in warning for text, warning in zip(texts, warnings, strict=True))
    assert config_warnings(load_trial(DOCUMENT)) == []


@pytest.mark.parametrize(
    ("pretraining", "texts"),
    [
        ({}, ["whether pretraining 'checkpoint' was trained on the private people nobody said"]),
        ({"overlap": "none"}, []),
        ({"overlap": "half of them"}, ["'checkpoint' may have been trained on the private people: half of"]),
        ({"kind": "torchvision", "weights": "none such"}, ["whether pretraining 'torchvision' was trained"]),
        ({"kind": "torchvision", "weights": "none such", "overlap": "none"}, []),
    ],
)
def test_what_nobody_said_of_the_backbones_people_is_a_warning(pretraining, texts):
    usual = {"kind": "checkpoint", "path": "weights"} if "kind" not in pretraining else {}
    warnings = config_warnings(load_trial({**DOCUMENT, "pretraining": usual | pretraining}))
    assert len(warnings) == len(texts)
    assert all(text in warning for text, warning in zip(texts, warnings, strict=True))


def shared_data(tmp_path, *, first=b"one", second=b"two", ours="unknown", theirs="unknown", beside=False):
    """Return the warnings that a judge shares its training with the backbone; beside: a second judge does."""
    (tmp_path / "backbone").write_bytes(first)
    (tmp_path / "judge").write_bytes(second)
    judge = {
        "kind": "embedder",
        "path": str(tmp_path / "judge"),
        "overlap": "none",
        "trained_on": theirs,
    }
    backbone = {
        "kind": "checkpoint",
        "path": str(tmp_path / "backbone"),
        "overlap": "none",
        "trained_on": ours,
    }
    judges = [DOCUMENT["judge"], judge] if beside else judge
    config = load_trial({**DOCUMENT, "pretraining": backbone, "judge": judges})
    return config_warnings(config)


@pytest.mark.parametrize("beside", [False, True])
def test_a_judge_that_saw_what_the_backbone_saw_is_a_warning(tmp_path, beside):
    say = functools.partial(shared_data, tmp_path, beside=beside)
    (named,) = say(ours="CASIA-WebFace", theirs=" casia-webface")
    assert named.startswith("judge 'embedder' saw what the target's backbone saw (both were trained on CASIA")
    assert "recognises what the backbone recognises" in named
    (same,) = say(second=b"one")
    assert "their files are the same" in same
    assert say() == say(ours="VGGFace2", theirs="CASIA-WebFace") == say(theirs="VGGFace2") == []


def test_files_that_are_not_there_are_no_reason(tmp_path):
    judge = {"kind": "onnx", "path": "missing", "overlap": "none"}
    backbone = {"kind": "checkpoint", "path": "missing", "overlap": "none"}
    assert config_warnings(load_trial({**DOCUMENT, "pretraining": backbone, "judge": judge})) == []
    backbone = {"kind": "torchvision", "weights": "none such", "overlap": "none"}
    judge |= {"path": str(tmp_path)}
    assert config_warnings(load_trial({**DOCUMENT, "pretraining": backbone, "judge": judge})) == []


@pytest.mark.parametrize(("size", "words"), [(64, "64 pixels scaled to 112"), (144, "144 pixels"), (112, "")])
def test_images_that_a_backbone_scales_are_a_warning(size, words):
    change = {
        "image_size": size,
        "prior": {"kind": "eigenfaces"},
        "target": {"architecture": "mobilefacenet"},
    }
    texts = size_warnings(load_trial({**DOCUMENT, **change}))
    assert len(texts) == bool(words)
    assert all(words in text and "cut to 112 x 96" in text for text in texts)


@pytest.mark.parametrize(("size", "warned"), [(64, True), (224, False), (256, False)])
def test_images_smaller_than_those_of_the_weights_are_a_warning(size, warned):
    change = {"image_size": size, "prior": {"kind": "eigenfaces"}, "target": {"architecture": "vgg16_bn"}}
    torchvision = {"kind": "torchvision", "weights": "IMAGENET1K_V1"}
    texts = size_warnings(load_trial({**DOCUMENT, **change, "pretraining": torchvision}))
    assert [f"learnt from images of 224 pixels, and these have {size}" in text for text in texts] == (
        [True] if warned else []
    )
    assert size_warnings(load_trial({**DOCUMENT, **change})) == []


@pytest.mark.parametrize(
    ("architecture", "pretraining", "usual"),
    [
        ("mobilefacenet", "checkpoint", "half"),
        ("mobilenet_v2", "checkpoint", None),
        ("mobilenet_v2", "torchvision", "imagenet"),
        ("inception_v3", "torchvision", "half"),
        ("torchvision:googlenet", "torchvision", "half"),
        ("mobilefacenet", "none", None),
        ("vgg16_bn", "dataset", None),
    ],
)
@pytest.mark.parametrize("given", ["none", "half", "imagenet"])
def test_pixels_unlike_those_that_the_weights_learnt_are_a_warning(architecture, pretraining, usual, given):
    knobs = {"checkpoint": {"path": "weights.pt"}, "dataset": {"data": FACES}}
    document = {
        **DOCUMENT,
        "image_size": 96,
        "prior": {"kind": "eigenfaces"},
        "attack": {"kind": "map"},
        "pretraining": {"kind": pretraining, **knobs.get(pretraining, {})},
        "target": {"architecture": architecture, "normalization": given},
    }
    texts = normalization_warnings(load_trial(document))
    assert len(texts) == (usual not in (None, given))
    assert all(f"set normalization: {usual}" in text and f"got '{given}'" in text for text in texts)
    assert set(texts) <= set(config_warnings(load_trial(document)))


def test_chance_is_the_share_of_the_person_with_most_images():
    labels = torch.tensor([0] * 30 + [*range(1, 71)])
    assert low_accuracy(0.3) == pytest.approx(0.65)
    assert "below 0.650" in target_warnings(0.6, 1.0, labels)[0]


def test_images_that_an_epoch_leaves_out_are_a_warning():
    labels = torch.arange(100)
    assert "64% of the training images" in target_warnings(0.9, 0.64, labels)[0]
    assert target_warnings(0.9, 0.9, labels) == []
    assert target_warnings(0.9, None, labels) == []  # a target of an older store


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"target.freeze_point": "conv2"}, 1),
        ({"target.trained": ["conv1", "conv2"]}, 1),
        ({"target.trained": ["conv1"], "pretraining": {"kind": "dataset", "data": FACES}}, 0),
        ({"target.freeze_point": "conv2", "pretraining": {"kind": "dataset", "data": FACES}}, 0),
    ],
)
def test_frozen_random_weights_are_a_warning_before_any_work(change, expected):
    found = config_warnings(load_trial(merge(DOCUMENT, change)))
    assert len(found) == expected
    assert all("random weights" in text for text in found)


def test_bido_where_nothing_is_trained_before_its_hooks_is_a_warning_before_any_work():
    def texts(point, **others):
        change = {
            "target": {"architecture": "small_cnn", "freeze_point": point, **others},
            "defense": {"kind": "bido"},
            "pretraining": {"kind": "dataset", "data": DOCUMENT["public"]},
        }
        return config_warnings(load_trial(merge(DOCUMENT, change)))

    (text,) = texts("conv6")
    assert text.startswith("defense 'bido' has no effect") and "target.freeze_point: conv6" in text
    assert texts("conv5") == texts("none") == []
    (text,) = texts("none", trained=[])
    assert text.startswith("defense 'bido' has no effect") and "(target.trained: nothing)" in text
    assert texts("none", trained=["conv1"]) == []


def test_batches_that_leave_images_out_are_a_warning_before_any_work():
    """20 private training images in batches of 10, 32 public ones in batches of 8: nothing is left out."""
    config = load_trial(DOCUMENT)
    assert batch_warnings(config, load_data(config)) == []
    changes = {"judge.batch_size": 13, "prior.batch_size": 20}
    config = load_trial(merge(DOCUMENT, changes))
    judge, prior = batch_warnings(config, load_data(config))
    assert "judge" in judge and "65%" in judge
    assert "prior 'gmi'" in prior and "62%" in prior
    batches = {"kind": "dataset", "data": {**FACES, "population": "far"}, "batch_size": 19}
    config = load_trial(merge(DOCUMENT, {"pretraining": batches}))
    (text,) = batch_warnings(config, load_data(config))
    assert "pre-training" in text and "66%" in text  # 29 of 32 are trained on


@pytest.mark.parametrize("kind", ["plg", "lokt"])
def test_priors_whose_batches_cross_the_end_of_a_pass_leave_nothing_out(kind):
    knobs = {"kind": kind, "batch_size": 20}
    config = load_trial(merge(DOCUMENT, {"prior": knobs, "attack": {"kind": kind}}))
    assert batch_warnings(config, load_data(config)) == []


def warned_of(attack: dict, people: int = 12) -> list[str]:
    """Return what is said of batches where `attack` has 8 public images of each of so many people."""
    public = {**DOCUMENT["public"], "identities": people, "images_per_identity": 8}
    config = load_trial(merge(DOCUMENT, {"public": public, "attack": attack}))
    return batch_warnings(config, load_data(config))


def test_what_an_attack_makes_of_public_images_without_batches_leaves_nothing_out():
    """96 public images: a mean feature, and a copy of them, are made of all."""
    assert warned_of({"kind": "lomma_gmi", "students": []}) == []
    assert warned_of({"kind": "ppdg_gmi", "public_images": 96, "restarts": 32, "batch_size": 64}) == []


def test_students_want_more_public_images_for_nobody_can_choose_their_batches():
    students = {"kind": "lomma_gmi", "students": ["small_cnn"]}
    (text,) = warned_of(students)
    assert "'lomma_gmi'" in text and "67%" in text and "64 of 96" in text
    assert text.endswith("add public images")
    assert warned_of(students, people=16) == []


def test_a_tuning_of_a_prior_is_looked_at_with_its_own_batches_and_images():
    """Public images up to `public_images`, and reconstructions up to `points`; both are in its batches."""
    tuning = {"kind": "ppdg_gmi", "batch_size": 32, "restarts": 4, "points": 8, "public_images": 60}
    assert warned_of(tuning) == []  # 60 and 4
    (text,) = warned_of({**tuning, "restarts": 9, "public_images": 50})
    assert "tuning of 'ppdg_gmi'" in text and "55%" in text and "32 of 58" in text
    assert text.endswith("lower its batch_size")
    (text,) = warned_of({**tuning, "batch_size": 70, "public_images": 1000})
    assert "70 of 100" in text


@pytest.fixture(scope="module")
def public():
    return SyntheticFaces(population="public", identities=60, images_per_identity=4).load(32).pixels


def samples(kind: str, public: torch.Tensor) -> torch.Tensor:
    """Return 64 pictures as a prior might draw them."""
    g = torch.Generator().manual_seed(0)
    noise = torch.rand(64, 3, 32, 32, generator=g)
    own = public[torch.arange(64) * 3].double() / 255
    smooth = torch.nn.functional.avg_pool2d(torch.rand(64, 3, 40, 40, generator=g), 9, 1)
    made = {
        "other people": SyntheticFaces(population="private", identities=16, images_per_identity=4)
        .load(32)
        .pixels.double()
        / 255,
        "softened": torch.nn.functional.avg_pool2d(own, 3, 1, 1),
        "grainy": own + 0.02 * noise,
        "enlarged": torch.nn.functional.interpolate(own, size=64),
        "white noise": noise,
        "noise on one face": own[:1] + 0.3 * noise,
        "grey clouds": smooth,
        "one face": own[:1].expand(64, -1, -1, -1),
    }[kind]
    return (255 * made.clamp(0, 1)).to(torch.uint8)


@pytest.mark.parametrize("kind", ["other people", "softened", "grainy", "enlarged"])
def test_pictures_like_the_public_ones_are_no_warning(kind, public):
    assert prior_warnings("gmi", samples(kind, public), public) == []


@pytest.mark.parametrize("kind", ["white noise", "noise on one face"])
def test_noise_is_a_warning(kind, public):
    (text,) = prior_warnings("gmi", samples(kind, public), public)
    assert "prior 'gmi' draws noise" in text


@pytest.mark.parametrize("kind", ["grey clouds", "one face"])
def test_pictures_that_are_all_alike_are_a_warning(kind, public):
    (text,) = prior_warnings("gmi", samples(kind, public), public)
    assert "prior 'gmi' draws nearly the same picture" in text


def test_public_noise_is_what_a_prior_of_noise_shows(public):
    noise = torch.randint(
        0, 256, (200, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    assert prior_warnings("gmi", samples("white noise", public), noise) == []


def test_an_untrained_generator_draws_noise(public):
    torch.manual_seed(0)
    networks = PRIORS["gmi"](width=8).build(32)
    with torch.no_grad():
        drawn = networks.generator(torch.randn(64, networks.latent_size))
    assert prior_warnings("gmi", (255 * drawn.clamp(0, 1)).to(torch.uint8), public) != []


def test_a_trial_says_all_that_applies(tmp_path):
    config = load_trial(merge(DOCUMENT, {"target.freeze_point": "conv6", "judge.batch_size": 13}))
    found = run_trial(config, store=Store(tmp_path))
    text = "\n".join(found.warnings)
    assert "random weights" in text and "prior 'gmi' draws" in text and "of the private" in text
    assert len(set(found.warnings)) == len(found.warnings)
