"""Running statistics against a real training; people whom they tell, and people whom they cannot."""

from dataclasses import replace

import pytest
import torch

from trainables.analyses import batch_norm
from trainables.analyses.base import TrainingSubject
from trainables.analyses.batch_norm import (
    BatchNorm,
    batch_norms,
    directions,
    follow,
    person_scores,
    statistics,
)
from trainables.analyses.member_scores import auc, halves, only
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.defenses.bido import BiDO
from trainables.defenses.dp_sgd import DPSGD
from trainables.defenses.none import NoDefense
from trainables.errors import ConfigError
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.training.classifier import Target, build_classifier, train_classifier

PEOPLE, EACH = 8, 6
ODD = 5  # the person who looks like nobody else
RECIPE = Target(
    architecture="small_cnn",
    epochs=3,
    batch_size=8,
    freeze_point="conv2",
    frozen_batchnorm="train",
    augmentation="flip",
)


def pictures(seed: int, odd: float) -> Images:
    """Return noise around grey of everybody, `odd` brighter for one person."""
    labels = torch.arange(PEOPLE).repeat_interleave(EACH)
    noise = torch.randn(len(labels), 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    shift = torch.where(labels == ODD, odd, 0.0).view(-1, 1, 1, 1)
    names = tuple(f"p{number}" for number in range(PEOPLE))
    pixels = (100 + 20 * noise + shift).clamp(0, 255).to(torch.uint8)
    return Images(pixels=pixels, labels=labels, names=names, files=tuple(map(str, range(len(labels)))))


def subject(odd: float = 0.0, recipe: Target = RECIPE, defense=None) -> TrainingSubject:
    def begin(classes, defense, freeze_point):
        return defense.prepare(build_classifier("small_cnn", classes, 32, "none", 0))

    return TrainingSubject(
        recipe=recipe,
        defense=defense or NoDefense(),
        private=Split(**{p: pictures(n, odd) for n, p in enumerate(("train", "validation", "test"))}),
        begin=begin,
        seed=2,
    )


@pytest.mark.parametrize("defense", [NoDefense(), BiDO(images_per_identity=2)])
@pytest.mark.parametrize("augmentation", ["flip", "crop_flip"])
def test_the_statistics_are_those_of_a_whole_training(defense, augmentation):
    recipe = replace(RECIPE, augmentation=augmentation)
    trained, followed = (build_classifier("small_cnn", PEOPLE, 32, "none", 0) for _ in range(2))
    train, run = pictures(0, 60), Run(seed=4)
    train_classifier(trained, recipe, defense, train, pictures(1, 60), run=run, kept_epoch=recipe.epochs)
    follow(followed, recipe, defense, train, run)
    truth, found = (statistics(batch_norms(list(c.stages.values())[:2])) for c in (trained, followed))
    assert len(truth) == 2 * (32 + 32)
    assert torch.allclose(found, truth, rtol=1e-4, atol=1e-5)
    before = statistics(
        batch_norms(list(build_classifier("small_cnn", PEOPLE, 32, "none", 0).stages.values())[:2])
    )
    assert (truth - before).abs().max() > 0.05
    other = build_classifier("small_cnn", PEOPLE, 32, "none", 0)
    follow(other, recipe, defense, train, Run(seed=5))
    assert not torch.equal(statistics(batch_norms(list(other.stages.values())[:2])), found)


def test_batches_that_no_longer_count_are_left_out(monkeypatch):
    recipe = replace(RECIPE, epochs=60)  # of 6 batches each
    seen = []
    shown = []
    for negligible in (1e-300, 1e-6):
        monkeypatch.setattr(batch_norm, "NEGLIGIBLE", negligible)
        classifier = build_classifier("small_cnn", PEOPLE, 32, "none", 0)
        calls = []
        classifier.stages["conv1"].register_forward_hook(lambda *_, calls=calls: calls.append(1))
        follow(classifier, recipe, NoDefense(), pictures(0, 60), Run(seed=4))
        seen.append(statistics(batch_norms(list(classifier.stages.values())[:2])))
        shown.append(len(calls))
    assert shown == [360, 132]  # 0.9 to the power of 132 is just below 1e-6
    assert torch.allclose(*seen, rtol=1e-3, atol=1e-4)


def test_a_plain_mean_over_all_batches_forgets_none():
    classifier = build_classifier("small_cnn", PEOPLE, 32, "none", 0)
    for norm in batch_norms(list(classifier.stages.values())):
        norm.momentum = None
    follow(classifier, replace(RECIPE, epochs=30), NoDefense(), pictures(0, 0), Run(seed=4))
    assert int(classifier.stages["conv1"][1].num_batches_tracked) == 180


def test_a_person_is_how_a_batch_of_others_changes_with_the_pictures(monkeypatch):
    classifier = build_classifier("small_cnn", PEOPLE, 32, "none", 0)
    images = pictures(3, 60)
    stages = list(classifier.stages.values())[:2]
    found = directions(classifier, 2, batch_norms(stages), images, seed=0)

    def of_batch(index):
        x, row = images.pixels[index].float() / 255, []
        for stage in stages:
            inside = stage[0](x).double().transpose(0, 1).flatten(1)
            row += [inside.mean(1), inside.var(1)]
            scaled = (inside - inside.mean(1, keepdim=True)) / (inside.var(1, keepdim=True) + 1e-5).sqrt()
            x = scaled.unflatten(1, (len(x), *stage[0](x).shape[2:])).transpose(0, 1).float().relu()
        return torch.cat(row)

    with torch.no_grad():
        for person in range(PEOPLE):
            others = (images.labels != person).nonzero().flatten()
            truth = of_batch(torch.arange(len(images))) - of_batch(others)
            assert torch.allclose(found[person], truth, rtol=1e-2, atol=1e-4)
    monkeypatch.setattr(batch_norm, "CROWD", 12)  # of 48, and the same for every person
    few = directions(classifier, 2, batch_norms(stages), images, seed=0)
    assert few[:, :32].abs().mean() > 1.5 * found[:, :32].abs().mean()  # a person weighs more among fewer


def test_one_very_different_person_is_told_from_the_statistics_alone():
    member = halves("batch_norm", 16, PEOPLE, seed=2)
    scores, differing = person_scores(subject(odd=100), member)
    assert differing == 2 * (32 + 32)
    odd = [ODD]
    assert auc(scores[:, odd], member[:, odd]) == 1.0
    figures = BatchNorm(targets=16).measure(subject(odd=100))
    low, high = figures["auc_interval"]
    assert low <= figures["auc"] <= high and figures["auc"] > 0.5
    assert figures["auc_eval"] == 0.5
    assert (figures["statistics"], figures["people"], figures["targets"]) == (differing, PEOPLE, 16)


def test_people_without_a_look_of_their_own_are_not_told():
    """Training and test pictures are noise of one kind: nothing of the one is in the other."""
    assert 0.25 < BatchNorm(targets=16).measure(subject())["auc"] < 0.75


@pytest.mark.parametrize(
    "changes",
    [
        {"frozen_batchnorm": "eval"},
        {"freeze_point": "none"},
        {"freeze_point": "none", "trained": ("conv1", "conv3")},
    ],
)
def test_where_no_statistic_of_a_prefix_moves_nothing_is_told(changes):
    figures = BatchNorm(targets=4).measure(subject(odd=100, recipe=replace(RECIPE, **changes)))
    assert (figures["auc"], figures["auc_eval"], figures["statistics"]) == (0.5, 0.5, 0)
    assert figures["auc_interval"] == [0.5, 0.5]


def test_the_prefix_before_the_first_trained_stage_is_asked():
    recipe = replace(RECIPE, freeze_point="none", trained=("conv2", "conv4"))
    figures = BatchNorm(targets=4).measure(subject(odd=100, recipe=recipe))
    assert figures["statistics"] == 2 * 32 and figures["auc"] != 0.5


def test_a_target_without_batch_norm_tells_nothing():
    figures = BatchNorm(targets=4).measure(subject(odd=100, defense=DPSGD()))
    assert (figures["auc"], figures["statistics"]) == (0.5, 0)


def test_every_target_starts_from_the_statistics_of_pre_training(monkeypatch):
    """What a target leaves is what it leaves alone, whatever those before it saw."""
    member, asked, recorded = halves("batch_norm", 4, PEOPLE, seed=2), subject(odd=100), []
    monkeypatch.setattr(
        batch_norm, "statistics", lambda norms: recorded.append(statistics(norms)) or recorded[-1]
    )
    person_scores(asked, member)
    for number, row in enumerate(member):
        alone = build_classifier("small_cnn", PEOPLE, 32, "none", 0)
        run = Run(seed=derive(asked.seed, "batch_norm", number))
        follow(alone, RECIPE, NoDefense(), only(asked.private.train, row), run)
        assert torch.equal(recorded[number], statistics(batch_norms(list(alone.stages.values())[:2])))
    assert not torch.equal(recorded[0], recorded[1])


def test_mistakes_are_named():
    for number in (2, 5):
        with pytest.raises(ValueError, match="targets"):
            BatchNorm(targets=number)
    asked = subject()
    few = replace(asked.private.train, names=("a", "b", "c"))
    with pytest.raises(ConfigError, match="'batch_norm' expects at least 4 private people, got 3"):
        BatchNorm().measure(replace(asked, private=replace(asked.private, train=few)))


@pytest.mark.parametrize("tested", [0, 1, PEOPLE // 2, PEOPLE - 1])
def test_people_without_a_test_image_are_one_error_before_any_work(monkeypatch, tested):
    """They have no direction, so that their scores would be ties, and chance to all who read the figure."""
    monkeypatch.setattr(batch_norm, "follow", lambda *_: pytest.fail("statistics were followed"))
    asked = subject(odd=100)
    some = asked.private.test.select((asked.private.test.labels < tested).nonzero().flatten())
    lacking = replace(asked, private=replace(asked.private, test=some))
    text = f"'batch_norm' expects a private test image of every person, got none of {PEOPLE - tested} of 8"
    with pytest.raises(ConfigError, match=text):
        BatchNorm(targets=4).measure(lacking)
