"""Small pieces of work of every family, and everything that comes out of them; files that knobs name."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import dcgan_files
import numpy as np
import torch
import toy_networks as toys
from onnx_files import write_embedder
from PIL import Image
from torch import Tensor

from trainables.analyses.base import Opinion, Subject, TrainingSubject
from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.small_cnn import build as small_cnn
from trainables.config import load_trial
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses.none import NoDefense
from trainables.defenses.rule import Batch, Training
from trainables.errors import ConfigError
from trainables.judges.base import JudgeModel
from trainables.metrics.base import Evidence, Skipped
from trainables.nn.mobilefacenet import MobileFaceNet
from trainables.nn.stylegan2 import checkpoint as published
from trainables.nn.stylegan2.discriminator import Discriminator, DiscriminatorShape
from trainables.nn.stylegan2.generator import Generator, GeneratorShape
from trainables.oracle import observe
from trainables.pretraining.torchvision import Torchvision
from trainables.priors.base import state
from trainables.runtime.run import Run
from trainables.stages.data import load_data
from trainables.training.classifier import Target, build_classifier, train_classifier

Outcome = Any


@dataclass(frozen=True)
class FromFolder:
    """A knob's value that needs files: ``make(folder)`` writes them and returns it."""

    make: Callable[[Path], Any]


@functools.cache
def _scene(kind: str) -> tuple[Any, Any]:
    prior = toys.prior(kind)
    return toys.target(prior), prior


@functools.cache
def _learnt(prior: str, recipe: Any) -> Any:
    return recipe.make(_scene(prior)[0], toys.colours(), run=Run(seed=0))


def attack_outcome(prior: str) -> Callable[[Any], Outcome]:
    def outcome(attack: Any) -> Outcome:
        target, networks = _scene(prior)
        seen = observe(target, attack.threat_model, "cpu")
        recipe = attack.auxiliary
        learnt = None if recipe is None else _learnt(prior, recipe)
        found = attack.invert(seen, networks, torch.tensor([3, 0, 2]), run=Run(seed=0), auxiliary=learnt)
        return found.latents, found.images, found.history, found.queries, repr(recipe)

    return outcome


def prior_outcome(prior: Any) -> Outcome:
    networks = prior.train(toys.colours(), run=Run(seed=0), target=toys.target())
    with torch.no_grad():
        latents = torch.randn(3, networks.latent_size, generator=torch.Generator().manual_seed(0))
        return state(networks), networks.generator(latents)


def takes(architecture: str, defense: Any) -> bool:
    """Return whether targets of `architecture` can have the defense."""
    try:
        defense.check(ARCHITECTURES[architecture], toys.SIZE)
    except ConfigError:
        return False
    return True


def defense_outcome(defense: Any) -> Outcome:
    """Two steps on a batch of the defense's own and one in its second phase, and which images meet in it."""
    network = next(name for name in ("small_cnn", "small_resnet") if takes(name, defense))
    classifier = defense.prepare(build_classifier(network, toys.CLASSES, toys.SIZE, "none", 0))
    images = toys.colours()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1)
    rule = defense.begin(
        Training(classifier=classifier, optimizer=optimizer, frozen=0, epochs=2, images=images, seed=0)
    )
    index = torch.arange(0, len(images), 2)
    pixels = images.pixels[index].float() / 255
    batch = Batch(index=index, images=pixels, labels=images.labels[index], inputs=pixels)
    torch.manual_seed(0)
    losses = [rule.step(batch, epoch)[0] for epoch in (1, 2, 3)]
    return losses, classifier.state_dict(), defense.images_per_identity, defense.extra_epochs


def shield_outcome(defense: Any) -> Outcome:
    """Return what a target answers under a defense that changes answers."""
    classifier, images = toys.target(toys.prior("gmi")), toys.colours()
    shield = defense.shield(defense.finish(classifier, images, {}, "cpu"))
    pixels = images.pixels.float() / 255
    with torch.no_grad():
        return shield(classifier(pixels).softmax(1), pixels)


def recipe_outcome(recipe: Any) -> Outcome:
    """Return what training by a target's recipe gives."""
    split = toys.parts()
    classifier = build_classifier(recipe.architecture, toys.CLASSES, toys.SIZE, recipe.normalization, 0)
    trained = train_classifier(
        classifier, recipe, NoDefense(), split.train, split.validation, run=Run(seed=0)
    )
    return trained.history, classifier.state_dict(), classifier(split.test.pixels.float() / 255)


def _noting() -> tuple[Run, list[Any]]:
    """Return a run, and what it is told: the best epoch alone would hide what the others did."""
    told: list[Any] = []
    return Run(seed=0, report=lambda *done, **figures: told.append((done, figures))), told


def judge_outcome(judge: Any) -> Outcome:
    split = toys.parts()
    run, told = _noting()
    fitted = judge.fit(split, run=run)
    model = judge.restore(fitted, split, "cpu")
    with torch.no_grad():
        return fitted, model.logits(split.test.pixels.float() / 255), told


def pretraining_outcome(pretraining: Any) -> Outcome:
    run, told = _noting()
    return pretraining.stages_state("small_cnn", toys.SIZE, run=run, normalization="half"), told


def dataset_outcome(dataset: Any) -> Outcome:
    """Return the images, and what a trial says of them as private ones, or the error that refuses them."""
    images = dataset.load(toys.SIZE)
    public = SyntheticFaces(population="public", identities=3, images_per_identity=2)
    rest = {"kind": "synthetic_faces", "population": "near", "identities": 2, "images_per_identity": 4}
    config = load_trial(
        {
            "image_size": toys.SIZE,
            "private": rest,
            "public": rest,
            "pretraining": {"kind": "none"},
            "target": {"architecture": "small_cnn"},
            "defense": {"kind": "none"},
            "prior": {"kind": "gmi"},
            "attack": {"kind": "gmi"},
            "judge": {"kind": "classifier", "architecture": "small_cnn"},
        }
    )
    try:
        told: Any = load_data(replace(config, private=dataset, public=public)).warnings
    except ConfigError as error:
        told = str(error)
    return images.pixels, images.labels, images.names, images.files, images.reserved, told


def distillation_outcome(recipe: Any) -> Outcome:
    """Torchvision's weights are stood in for: they would have to be downloaded."""

    def downloaded(self: Any, name: str, size: int, **_: Any) -> dict[str, Tensor]:
        torch.manual_seed(9)
        return ARCHITECTURES[name].build(2, size).stages.state_dict()

    with mock.patch.object(Torchvision, "stages_state", downloaded):
        return recipe.make(toys.target(), toys.colours(), run=Run(seed=0))


def analysis_outcome(analysis: Any) -> Outcome:
    split = toys.parts()
    target, prior = _scene("gmi")
    network = toys.target(toys.prior("plg"))
    judge = JudgeModel(logits=network, features=network.features, test_accuracy=1.0)
    with torch.no_grad():
        drawn = prior.generator(
            torch.randn(10, prior.latent_size, generator=torch.Generator().manual_seed(0))
        )
    return analysis.measure(
        Subject(
            reconstructions=(255 * drawn).to(torch.uint8).reshape(2, 5, 3, toys.SIZE, toys.SIZE),
            identities=torch.arange(5),
            private=split,
            judge=judge,
            target=target,
            device="cpu",
            opinions=(Opinion(judge="classifier", choices=torch.zeros(2, 5).long(), test_accuracy=1.0),),
        )
    )


def training_analysis_outcome(analysis: Any) -> Outcome:
    def begin(classes: int, defense: Any, freeze_point: str) -> Classifier:
        return defense.prepare(build_classifier("small_cnn", classes, toys.SIZE, "none", 0))

    return analysis.measure(
        TrainingSubject(
            recipe=Target(architecture="small_cnn", epochs=1),
            defense=NoDefense(),
            private=toys.parts(),
            begin=begin,
        )
    )


def face_folder(*names: str, equal: bool = False) -> FromFolder:
    """Return a folder of four pictures of each of the people `names`, two of them equal if that is wanted."""

    def write(folder: Path) -> str:
        root = folder / f"{'-'.join(names)}{equal}"
        for person, name in enumerate(names):
            (root / name).mkdir(parents=True, exist_ok=True)
            for number in range(6):
                seed = 0 if equal and number == 0 else 10 * person + number
                drawn = np.random.default_rng(seed).integers(0, 256, (48, 40, 3))
                Image.fromarray(drawn.astype(np.uint8)).save(root / name / f"{number}.png")
        return str(root)

    return FromFolder(write)


def embedder_file(seed: int) -> FromFolder:
    def write(folder: Path) -> str:
        torch.manual_seed(seed)
        torch.save(MobileFaceNet().state_dict(), folder / f"embedder{seed}.pt")
        return str(folder / f"embedder{seed}.pt")

    return FromFolder(write)


def onnx_file(order: str) -> FromFolder:
    """Return an embedder that gives the pixels of an image of any size, along rows or along columns."""

    def write(folder: Path) -> str:
        axes = (0, 1, 2, 3) if order == "hw" else (0, 1, 3, 2)
        return write_embedder(folder / f"{order}.onnx", ["N", 3, "H", "W"], axes=axes)

    return FromFolder(write)


def dcgan_file(part: str, seed: int) -> FromFolder:
    def write(folder: Path) -> str:
        made = {
            "generator": lambda: dcgan_files.tutorial_generator(5, 2),
            "discriminator": lambda: dcgan_files.tutorial_discriminator(2),
        }
        return dcgan_files.save(made[part](), folder / f"{part}{seed}.pt", seed=seed)

    return FromFolder(write)


def weights_file(seed: int) -> FromFolder:
    def write(folder: Path) -> str:
        torch.manual_seed(seed)
        torch.save(small_cnn(3, toys.SIZE).state_dict(), folder / f"weights{seed}.pt")
        return str(folder / f"weights{seed}.pt")

    return FromFolder(write)


def stylegan_file(folder: Path) -> str:
    """A published checkpoint of 64 pixels and three classes."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"label_size": 3, "mapping_layers": 2, "clamp": 256.0}
    shapes = published.Shapes(
        GeneratorShape(latent_size=5, style_size=4, channels=(3, 3, 2, 2, 2), **sizes),
        DiscriminatorShape(channels=(3, 3, 2, 2, 2), **sizes),
    )
    states = [net.state_dict() for net in (Generator(shapes.generator), Discriminator(shapes.discriminator))]
    states[1].pop("b4.usual")
    (folder / "source.pkl").touch()
    found = published.StyleGAN2Checkpoint(shapes, *states)
    with mock.patch.object(published, "_published", lambda _: found):
        published.convert(folder / "source.pkl", folder / "net.safetensors")
    return str(folder / "net.safetensors")


def metric_outcome(metric: Any) -> Outcome:
    """Return the figure of random evidence, or the reason why there is none."""
    noise = torch.Generator().manual_seed(0)
    restarts, people, classes = 6, 3, 4
    try:
        return metric.measure(
            Evidence(
                reconstructions=torch.randint(
                    0, 256, (restarts, people, 3, 16, 16), dtype=torch.uint8, generator=noise
                ),
                identities=torch.arange(people),
                logits=torch.randn(restarts, people, classes, generator=noise),
                features=torch.randn(restarts, people, 5, generator=noise),
                confidences=torch.rand(restarts, people, classes, generator=noise),
                private_features=torch.randn(8 * classes, 5, generator=noise),
                private_labels=torch.arange(classes).repeat(8),
                private_images=torch.randint(
                    0, 256, (8 * classes, 3, 16, 16), dtype=torch.uint8, generator=noise
                ),
            )
        )
    except Skipped as reason:
        return str(reason)
