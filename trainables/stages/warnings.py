"""Warnings: what a reader must know before believing a trial's figures, each in one line.

`config_warnings` and `batch_warnings` are known before any work; the others once a stage is finished.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from trainables.architectures import get_architecture
from trainables.attacks.adversarial_tuning import AdversarialTuning
from trainables.config import TrialConfig
from trainables.datasets.base import as_float
from trainables.judges.base import Judge
from trainables.pretraining.base import UNKNOWN, Pretraining
from trainables.pretraining.dataset import OnDataset, learnt
from trainables.pretraining.none import Scratch
from trainables.results import AttackResult
from trainables.stages.data import Data
from trainables.stages.evaluation import judge_warnings
from trainables.storage.digests import digest
from trainables.storage.disk import load
from trainables.storage.store import Stage
from trainables.training.batches import share_of_pass
from trainables.training.effect import is_active
from trainables.training.recipe import Recipe

LOW_ACCURACY = 0.2  # of a target that nobody would release
LEAST_SEEN = 0.9  # share of the images that an epoch should show
MOST_ROUGHNESS = 2.0  # of a prior's samples, in times that of public images
LEAST_SPREAD = 1 / 3  # the same
COMPARED = 1024  # public images that samples are compared with


def trial_warnings(
    config: TrialConfig,
    data: Data,
    trained: Stage,
    judges: Sequence[Stage],
    attacks: Iterable[AttackResult],
) -> list[str]:
    """Return all that a reader must know of a trial whose stages are finished, each text once.

    judges: as many of the trial's as are at hand, in its order, the one that counts at least.
    """
    accuracy = trained.result["test_accuracy"]
    texts = [
        *data.warnings,
        *judges_warnings(config, judges, accuracy, identities=data.split.train.classes),
        *target_warnings(accuracy, trained.result.get("images_seen"), data.split.test.labels),
        *config_warnings(config),
        *batch_warnings(config, data),
        *(text for attack in attacks for text in attack.warnings),
    ]
    return list(dict.fromkeys(texts))


def judges_warnings(
    config: TrialConfig, judges: Sequence[Stage], target: float | None = None, *, identities: int
) -> list[str]:
    """Return what a reader must know of the judges, see `judge_warnings`; of the others with their number."""
    texts = []
    for number, (judge, stage) in enumerate(zip(config.judges, judges, strict=False), 1):
        name = f"judge {number} ({judge.kind}): " if number > 1 else ""
        about = judge_warnings(stage.result["test_accuracy"], target, identities=identities)
        texts += [f"{name}{text}" for text in about]
    return texts


def config_warnings(config: TrialConfig) -> list[str]:
    """Return what the configuration alone shows: random frozen stages, a defense without effect or without
    anything to adapt to, images of a size that the backbone does not know, weights from outside whose
    training may have shown the private people, a judge that saw what the backbone saw."""
    texts, target = [], config.target
    point, trained, kind = target.freeze_point, target.trained, config.defense.kind
    if target.frozen != "none" and isinstance(config.pretraining, Scratch):
        stages = "the stages up to the freeze point" if trained is None else "the frozen stages"
        texts.append(
            f"frozen without pre-training: {stages} keep random weights "
            "(pretraining: none); freezing keeps what was pre-trained, so choose a pre-training"
        )
    if not is_active(target.architecture, config.image_size, point, kind, trained):
        said = f"freeze_point: {point}" if trained is None else f"trained: {', '.join(trained) or 'nothing'}"
        texts.append(
            f"defense '{kind}' has no effect: no weights are trained before what it measures "
            f"(target.{said}); freeze less, or read this trial as undefended"
        )
    if config.defense.changes_answers:
        texts += [
            f"defense '{config.defense.kind}' changes answers alone: attack '{name}' is white-box and sees "
            "the undefended weights; read its figures as those of an undefended target, and attack by scores "
            "or labels to measure the defense"
            for name, plan in config.attack_plans.items()
            if plan.attack.threat_model == "white-box"
        ]
    if not config.defense.adapts:
        texts += [
            f"attack '{name}' is adaptive and finds nothing to adapt to in defense '{config.defense.kind}': "
            "its figures are those without adaptive: true"
            for name, plan in config.attack_plans.items()
            if plan.adaptive
        ]
    texts += size_warnings(config) + normalization_warnings(config)
    overlap = config.pretraining.overlap_stated
    if overlap == UNKNOWN:
        texts.append(
            f"whether pretraining '{config.pretraining.kind}' was trained on the private people nobody said "
            "(pretraining.overlap: unknown); stages that were know them however little is trained here: "
            "state `none`, or what it saw"
        )
    elif overlap not in (None, "none"):
        texts.append(
            f"pretraining '{config.pretraining.kind}' may have been trained on the private people: {overlap}"
        )
    for judge in config.judges:
        overlap = judge.overlap_stated
        if overlap == UNKNOWN:
            texts.append(
                f"whether judge '{judge.kind}' was trained on the private people nobody said (judge.overlap: "
                "unknown); one that was recognises them in less: state `none`, or what it saw"
            )
        elif overlap not in (None, "none"):
            texts.append(f"judge '{judge.kind}' may have been trained on the private people: {overlap}")
        if shared := _seen_by_both(config.pretraining, judge):
            texts.append(
                f"judge '{judge.kind}' saw what the target's backbone saw ({shared}): it recognises what the "
                "backbone recognises, and is no independent judge of it; take one of other data"
            )
    return texts


def size_warnings(config: TrialConfig) -> list[str]:
    """Return how the study's images differ in size from those that the backbone's weights know."""
    texts, size = [], config.image_size
    architecture = get_architecture(config.target.architecture)
    if architecture.body is not None and size != architecture.body[0]:
        height, width = architecture.body
        texts.append(
            f"{architecture.kind} sees images of {size} pixels scaled to {height} and cut to {height} x "
            f"{width} (image_size): scaling adds no detail and loses some of larger ones; "
            f"image_size: {height} fits where the images have that many pixels"
        )
    usual = config.pretraining.usual_size(architecture.kind)
    if usual is not None and size < usual:
        texts.append(
            f"pretraining '{config.pretraining.kind}' learnt from images of {usual} pixels, and these have "
            f"{size} (image_size): its frozen stages see everything at another scale than they learnt"
        )
    return texts


def normalization_warnings(config: TrialConfig) -> list[str]:
    """Return that the target feeds its backbone other pixel values than its weights were trained with."""
    target = config.target
    usual = config.pretraining.usual_normalization(target.architecture)
    if usual in (None, target.normalization):
        return []
    return [
        f"the weights of pretraining '{config.pretraining.kind}' for {target.architecture} were trained with "
        f"normalization '{usual}'; got '{target.normalization}' (target.normalization): frozen stages see "
        f"colours that they never learnt; set normalization: {usual}"
    ]


def _seen_by_both(pretraining: Pretraining, judge: Judge) -> str:
    """Return what shows that backbone and judge were trained on the same data, "" if nothing does."""
    ours, theirs = pretraining.trained_on_stated, judge.trained_on_stated
    if UNKNOWN != ours.strip().casefold() == theirs.strip().casefold():
        return f"both were trained on {ours.strip()}"
    files = [Path(getattr(method, "path", "") or ".") for method in (pretraining, judge)]
    if all(file.is_file() for file in files) and files[0].stat().st_size == files[1].stat().st_size:
        return "their files are the same" if digest(files[0]) == digest(files[1]) else ""
    return ""


def batch_warnings(config: TrialConfig, data: Data) -> list[str]:
    """Return which trainings beside the target's leave out more than a tenth of their images in an epoch."""
    return [
        f"an epoch of {name} shows {share:.0%} of {images}, for a batch takes {size} of {count}; {remedy}"
        for name, images, size, count, remedy in _batches(config, data)
        if count > 0 and (share := share_of_pass(count, size)) < LEAST_SEEN  # too few is said elsewhere
    ]


def _batches(config: TrialConfig, data: Data) -> Iterator[tuple[str, str, int, int, str]]:
    """Yield name, images, batch size, number of images and remedy of every training that drops a batch."""
    lower, public = "lower its batch_size", len(data.public)
    if isinstance(config.pretraining, OnDataset):
        count = learnt(config.pretraining.data.load(config.image_size))
        yield "the pre-training", "its images", config.pretraining.batch_size, count, lower
    for number, judge in enumerate(config.judges, 1):
        if isinstance(judge, Recipe):
            name = "the judge" if number == 1 else f"judge {number}"
            yield name, "the private training images", judge.batch_size, len(data.split.train), lower
    for prior in dict.fromkeys(plan.prior for plan in config.attack):
        if prior.drops_last_batch:
            yield f"prior '{prior.kind}'", "the public images", prior.batch_size, public, lower
    for attack in (plan.attack for plan in config.attack):
        recipe = attack.auxiliary
        if recipe is not None and recipe.drops_last_batch:  # of a size that no knob of an attack says
            name = f"what '{attack.kind}' learns of the target"
            yield name, "the public images", recipe.batch_size, public, "add public images"
        if isinstance(attack, AdversarialTuning):
            name, images = f"a tuning of '{attack.kind}'", "its public images and reconstructions"
            yield name, images, attack.batch_size, attack.tuned_on(public), lower


def low_accuracy(chance: float) -> float:
    """Return the test accuracy below which a target is weak: 0.2, or 3 times `chance` where that is more.

    With few identities, 3 times chance may be out of reach: it counts half way from chance to 1 at most.
    """
    return max(LOW_ACCURACY, min(3 * chance, (1 + chance) / 2))


def largest_share(labels: Tensor) -> float:
    """Return the accuracy of always naming the identity with most of the images; labels (N,)."""
    return (labels.bincount().max() / len(labels)).item()


def target_warnings(test_accuracy: float, images_seen: float | None, labels: Tensor) -> list[str]:
    """Return what must be known of a target with these figures.

    images_seen: share of its training images that an epoch showed; None where nobody counted.
    labels: of the test images, (N,); chance is the share of the identity with most of them.
    """
    texts = []
    limit = low_accuracy(largest_share(labels))
    if test_accuracy < limit:
        texts.append(
            f"weak target: its test accuracy is {test_accuracy:.3f}, below {limit:.3f}; what an attack "
            "reaches on it says little about a target that could be released"
        )
    if images_seen is not None and images_seen < LEAST_SEEN:
        texts.append(
            f"an epoch of the target shows {images_seen:.0%} of the training images; lower its batch_size "
            "or, under a defense that batches by identity, images_per_identity"
        )
    return texts


def lost_pretraining(
    config: TrialConfig, test_accuracy: float, probe: float | None, tested: int
) -> list[str]:
    """Return whether an undefended target, a study's reference, knows less than what it began from.

    probe: test accuracy of a linear classifier of the pre-trained stages as they were; None where there is
    none. tested: test images. Told from two standard errors of the difference on; of a target that something
    protects, that is frozen or stopped early, nothing is said: it may pay with accuracy.
    """
    target = config.target
    protected = config.defense.kind != "none" or target.frozen != "none" or target.kept_epoch is not None
    if probe is None or protected:
        return []
    error = math.sqrt((probe * (1 - probe) + test_accuracy * (1 - test_accuracy)) / tested)
    if probe - test_accuracy <= 2 * error:
        return []
    return [
        f"training lost what pre-training knew: the undefended target names {test_accuracy:.3f} of the test "
        f"images, a linear classifier of its pre-trained stages as they were {probe:.3f}; take a lower "
        "learning_rate, another optimizer or more epochs, else every defense is held against a broken target"
    ]


def prior_warnings(kind: str, samples: Tensor, public: Tensor) -> list[str]:
    """Return whether a prior draws noise, or one picture again and again, beside the public images.

    samples: uint8 (n, 3, S, S), drawn at random; public: uint8 (N, 3, T, T). Compared are the roughness, the
    mean squared difference of neighbouring pixels over the variance within a picture, and the spread, the
    standard deviation of a pixel over pictures. A GMI prior on rendered faces goes from 10 times the public
    images' roughness (untrained) over 5.7 (1 epoch), 2.6 (3) to 1.5 (6), and from 0.35 of their spread to
    0.78.
    """
    stride = max(1, len(public) // COMPARED)
    size = min(samples.shape[-1], public.shape[-1])
    drawn, real = (functional.adaptive_avg_pool2d(as_float(x), size) for x in (samples, public[::stride]))
    rough = _roughness(drawn) / max(_roughness(real), 1e-12)
    if rough > MOST_ROUGHNESS:
        return [
            f"prior '{kind}' draws noise: neighbouring pixels differ {rough:.1f} times as much as in the "
            "public images; attack accuracy is too low, train it longer"
        ]
    spread = _spread(drawn) / max(_spread(real), 1e-12)
    if spread < LEAST_SPREAD:
        return [
            f"prior '{kind}' draws nearly the same picture every time: its pictures differ {spread:.2f} "
            "times as much as the public images; attack accuracy is too low, train it longer"
        ]
    return []


def stored_prior_warnings(kind: str, prior: Stage, public: Tensor) -> list[str]:
    """Return the same of a prior in the store, as far as its samples are there, and what its fit says."""
    texts, path = fit_warnings(kind, prior.result.get("fit")), prior.path / "samples.pt"
    if not path.is_file():
        return texts
    return texts + prior_warnings(kind, load(path), public)


def fit_warnings(kind: str, fit: Mapping[str, float] | None) -> list[str]:
    """Return whether a prior shows no public images, of the figures of its fit, if it has any."""
    if fit is None or fit["error"] < fit["mean_image_error"]:
        return []
    return [
        f"prior '{kind}' does not fit the public images: of {fit['images']} that it has not seen its nearest "
        f"pictures are {fit['error']:.3f} off (root mean square of pixels in [0, 1]), their mean picture "
        f"{fit['mean_image_error']:.3f}; choose a prior of such images, aligned as they are"
    ]


def _roughness(images: Tensor) -> float:
    across = (images[..., 1:] - images[..., :-1]).square().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).square().mean()
    within = images.var(dim=(2, 3)).mean().clamp_min(1e-12)
    return ((across + down) / (4 * within)).item()


def _spread(images: Tensor) -> float:
    return images.std(0).mean().item()
