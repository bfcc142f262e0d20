"""Checks of a device against the CPU, on small methods: the same results, no waiting, no memory left behind.

A case is ``case(device, length) -> results``: plain tensors on the CPU, of work `length` times as long.
Needs neither pytest nor Ray, Optuna or MLflow, so that it runs wherever torch does.
"""

import gc
import json
import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import small_attacks
import small_priors
import torch
from pretend_card import DEVICE as PRETEND
from pretend_card import pretend_card
from torch import Tensor

import trainables
from trainables.attacks import ATTACKS
from trainables.attacks.base import Reconstructions
from trainables.attacks.sharding import cut, merge
from trainables.datasets.base import Images
from trainables.defenses import DEFENSES
from trainables.defenses.skip_removal import SkipRemoval
from trainables.method import LENGTH, knobs_marked
from trainables.oracle import observe
from trainables.priors import PRIORS
from trainables.priors.base import state
from trainables.runtime.run import Run
from trainables.storage.resume import Resume
from trainables.training.classifier import Target, build_classifier, train_classifier
from trainables.training.freeze import FrozenBatchnorm

Case = Callable[[str, int], list[Tensor]]
EXACT, ROUNDED = 1e-3, 0.1  # shares of how far results could lie apart: for `compare`
FACES = {"kind": "synthetic_faces", "population": "private", "identities": 3, "images_per_identity": 6}
TRIAL = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "dataset", "data": {**FACES, "population": "far"}, "epochs": 1},
    "target": {"architecture": "small_cnn", "freeze_point": "conv2", "epochs": 2},
    "defense": {"kind": "bido"},
    "prior": {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8},
    "attack": {"kind": "gmi", "iterations": 3, "restarts": 2},
    "judge": {"kind": "classifier", "architecture": "small_resnet", "epochs": 2},
}
ASKS_PER_STEP = {  # attackers who decide on the CPU by each answer
    "mirror_blackbox": "the next generation is bred of the answers to the last",
    "smile": "an optimizer on the CPU proposes by the answers to its last proposal",
    "brep": "a radius grows or an identity is done by the answers of each call",
}


@contextmanager
def device_rules(device: str) -> Iterator[Counter[str]]:
    """Let `device` be used; give the count of what waits for it, each with its line.

    The clock stands still inside, so that nothing happens "once a second".
    """
    now = time.monotonic()
    with mock.patch("time.monotonic", lambda: now):
        if device == PRETEND:
            with pretend_card() as card:
                yield card.waits
        elif device == "cpu":
            yield Counter()
        else:
            waits: Counter[str] = Counter()
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("warn")
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    yield waits
            finally:
                torch.cuda.set_sync_debug_mode("default")
            waits.update(
                f"{warning.filename}:{warning.lineno}"
                for warning in caught
                if "synchronizing CUDA operation" in str(warning.message)
            )


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32 throughout: no TF32, no search for the fastest kernel."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def distance(results: list[Tensor], others: list[Tensor]) -> float:
    """Return the mean absolute difference over all numbers of `results` and `others`, of the same shapes."""
    gaps = [(a.double() - b.double()).abs().flatten() for a, b in zip(results, others, strict=True)]
    return float(torch.cat(gaps).mean())


def compare(case: Case, device: str, *, others: list[Tensor], share: float) -> tuple[float, float]:
    """Return how far `device` is from the CPU, and how far it may be: `share` of the way to `others`.

    others: results of other inputs, as of a target turned over. A tolerance that does not know how far the
    results move at all could not fail.
    """
    with full_precision():
        expected = case("cpu", 1)
        with device_rules(device):
            results = case(device, 1)
    return distance(results, expected), share * distance(expected, others)


def waits_per_step(case: Case, device: str) -> dict[str, int]:
    """Return what waits for `device` more often in work that is three times as long, with its place."""
    counts = []
    for length in (1, 3) if device == PRETEND else (1, 1, 3):  # a real one loads kernels and libraries first
        with device_rules(device) as waits:
            case(device, length)
        counts.append(Counter(waits))
    return dict(counts[-1] - counts[-2])


def memory_left(case: Case, device: str) -> int:
    """Return the bytes that a case leaves on a card beyond what it left the first time."""
    left = []
    for _ in range(2):
        case(device, 1)
        gc.collect()
        left.append(torch.cuda.memory_allocated(device))
    return left[1] - left[0]


def resumed(device: str, folder: Path) -> tuple[float, float]:
    """Return, for an attack that is killed half-way and taken up, the gap and limit of `compare`."""
    case = AttackCase("gmi")

    class Killed(Exception):
        pass

    class Dying(Resume):
        def write(self, name: str, state: Any) -> None:
            """Save, and die once three steps of the six are done."""
            super().write(name, state)
            if state["iteration"] == 3:
                raise Killed

    with full_precision(), device_rules(device):
        through = case(device, 1)
        try:
            case(device, 1, resume=Dying(folder, every=0.0))
        except Killed:
            again = case(device, 1, resume=Resume(folder, every=0.0))
        else:
            raise AssertionError("the attack was not killed half-way")
    other = AttackCase("gmi", turned=True)("cpu", 1)
    return distance(again, through), EXACT * distance(through, other)


def in_two_shards(device: str, folder: Path) -> tuple[float, float]:
    """Return, for an attack in two parts put together, the gap and limit of `compare`."""
    case, people = AttackCase("gmi"), small_attacks.IDENTITIES
    with full_precision(), device_rules(device):
        parts = cut(len(people), 2, 1, folder)
        merged = merge([case.invert(device, identities=people[part.first : part.stop]) for part in parts])
        through = case(device, 1)
    other = AttackCase("gmi", turned=True)("cpu", 1)
    return distance([merged.latents], through[:1]), EXACT * distance(through[:1], other[:1])


def short_of_memory(device: str, most: int) -> tuple[float, float, int]:
    """Return, for an attack whose device holds `most` images, the gap and limit of `compare`, and the largest
    number of images that went through: the rest was halved.

    The memory ends in the generator, as that of a full card would.
    """
    case = AttackCase("gmi")
    rows: list[int] = []
    forward = torch.nn.Module.__call__

    def limited(module: torch.nn.Module, *inputs: Any, **options: Any) -> Any:
        if isinstance(module, torch.nn.Sequential) and inputs and inputs[0].ndim == 2:
            if len(inputs[0]) > most:
                raise torch.OutOfMemoryError("the device is full")
            rows.append(len(inputs[0]))
        return forward(module, *inputs, **options)

    with full_precision(), device_rules(device):
        through = case(device, 1)
        full = mock.patch.object(torch.nn.Module, "__call__", limited)
        halved = case(device, 1, around=full)
    other = AttackCase("gmi", turned=True)("cpu", 1)
    return distance(halved, through), ROUNDED * distance(through, other), max(rows)


def whole_trial(device: str, folder: Path) -> dict[str, Any]:
    """Return the result of ``python -m trainables`` on a small trial; raise if it fails."""
    file = folder / "trial.json"
    file.write_text(json.dumps(TRIAL))  # JSON is YAML
    command = [sys.executable, "-m", "trainables", str(file), "--home", str(folder), "--device", device]
    root = str(Path(trainables.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise AssertionError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@dataclass
class AttackCase:
    """One attack on a small target; `turned` turns the target's head over. Results are latents and images."""

    name: str
    turned: bool = False

    def __call__(self, device: str, length: int, **run: Any) -> list[Tensor]:
        """Return latents and images (as floats from 0 to 1)."""
        result = self.invert(device, length, **run)
        return [result.latents, result.images.float() / 255]

    def invert(
        self, device: str, length: int = 1, identities: Any = None, around: Any = None, **run: Any
    ) -> Reconstructions:
        """Return what the attack gives; `around` is entered for it alone, `run` holds fields of a `Run`."""
        attack = small_attacks.small(self.name)
        steps = {knob: getattr(attack, knob) * length for knob in knobs_marked(attack, LENGTH)}
        target, prior = small_attacks.victim(self.name)
        if self.turned:
            with torch.no_grad():
                target.head.weight.neg_()
        for network in (target, prior.generator, prior.discriminator):
            network.to(device)
        seen = observe(target, ATTACKS[self.name].threat_model, device)
        context = Run(device=device, **run)
        learnt = None
        if attack.auxiliary is not None:
            learnt = attack.auxiliary.make(seen, small_attacks.public(), run=Run(device=device))
        people = small_attacks.IDENTITIES if identities is None else identities
        with around or nullcontext():
            return replace(attack, **steps).invert(seen, prior, people, run=context, auxiliary=learnt)


@dataclass
class AdaptedCase:
    """An attack on what one who knows `defense` makes of a target; `turned` as for an attack."""

    defense: str
    turned: bool = False

    def __call__(self, device: str, length: int) -> list[Tensor]:
        """Return the latents of few steps."""
        defense, (_, prior) = DEFENSES[self.defense](), small_attacks.victim("gmi")
        architecture = "small_resnet" if isinstance(defense, SkipRemoval) else "small_cnn"
        target = defense.prepare(build_classifier(architecture, small_attacks.CLASSES, 32, "none", 0)).eval()
        if self.turned:
            with torch.no_grad():
                list(target.head.parameters())[-2].neg_()  # the weights that give the logits
        for network in (target, prior.generator, prior.discriminator):
            network.to(device)
        triggers = torch.rand(small_attacks.CLASSES, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        seen = defense.adapted(target, {"triggers": triggers})
        attack = replace(small_attacks.SMALL["gmi"], iterations=4 * length, identity_weight=1e4)
        return [attack.invert(seen, prior, small_attacks.IDENTITIES, run=Run(device=device)).latents]


@dataclass
class DistillationCase:
    """What LOMMA learns of a small target; `turned` as for an attack. Results are weights and a mean."""

    turned: bool = False

    def __call__(self, device: str, length: int) -> list[Tensor]:
        """Return the student's weights and the mean feature."""
        target, _ = small_attacks.victim("lomma_gmi")
        if self.turned:
            with torch.no_grad():
                target.head.weight.neg_()
        recipe = replace(small_attacks.SMALL["lomma_gmi"].auxiliary, batch_size=2, epochs=1)
        public = _faces(8 * length)
        learnt = recipe.make(target.to(device), public, run=Run(device=device))
        weights = learnt["students"][0]["weights"].values()
        return [learnt["feature_mean"], *(value for value in weights if value.is_floating_point())]


@dataclass
class PriorCase:
    """The training of one small prior; `still` trains at no learning rate. Results are its weights."""

    name: str
    still: bool = False

    def __call__(self, device: str, length: int) -> list[Tensor]:
        """Return the weights of both networks."""
        prior = small_priors.SMALL[self.name]
        public, run = small_priors.public(), Run(device=device)
        if not hasattr(prior, "learning_rate"):  # in closed form, or read: `still` is what there was before
            torch.manual_seed(0)
            networks = prior.build(small_priors.SIZE) if self.still else prior.train(public, run=run)
        else:
            knob = "iterations" if hasattr(prior, "iterations") else "epochs"
            knobs = {knob: getattr(prior, knob) * length, **({"learning_rate": 1e-20} if self.still else {})}
            target = small_priors.victim().to(device) if prior.needs_target else None
            networks = replace(prior, **knobs).train(public, run=run, target=target)
        return [v for part in state(networks).values() for v in part.values() if v.is_floating_point()]


@dataclass
class TrainingCase:
    """The training of a small target under a defense; `still` as for a prior. Results are its weights."""

    defense: str
    freeze_point: str = "none"
    frozen_batchnorm: FrozenBatchnorm = "eval"
    augmentation: Any = "crop_flip"
    still: bool = False

    def __call__(self, device: str, length: int) -> list[Tensor]:
        """Return weights and batch norm statistics."""
        defense = DEFENSES[self.defense]()
        with_skips = isinstance(defense, SkipRemoval)
        architecture = "small_resnet" if with_skips else "small_cnn"
        point = self.freeze_point.replace("conv", "block") if with_skips else self.freeze_point
        recipe = Target(
            architecture=architecture,
            freeze_point=point,
            frozen_batchnorm=self.frozen_batchnorm,
            augmentation=self.augmentation,
            epochs=2,
            batch_size=8,
            learning_rate=1e-20 if self.still else 0.01,
        )
        classifier = defense.prepare(build_classifier(architecture, 4, 32, "none", 0))
        train_classifier(classifier, recipe, defense, _faces(24 * length), _faces(8), run=Run(device=device))
        return [value.cpu() for value in classifier.state_dict().values() if value.is_floating_point()]


def _faces(count: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 4
    return Images(pixels=pixels, labels=labels, names=tuple("abcd"), files=tuple(map(str, range(count))))


def _cases() -> dict[str, tuple[Case, Case]]:
    """Return, by name, each case and the one that says how far its results could lie apart."""
    cases: dict[str, tuple[Case, Case]] = {
        f"attack {name}": (AttackCase(name), AttackCase(name, turned=True)) for name in ATTACKS
    }
    cases |= {
        f"adapted {name}": (AdaptedCase(name), AdaptedCase(name, turned=True))
        for name, defense in DEFENSES.items()
        if defense().adapts
    }
    cases["distillation"] = DistillationCase(), DistillationCase(turned=True)
    cases |= {f"prior {name}": (PriorCase(name), PriorCase(name, still=True)) for name in PRIORS}
    for point, batchnorm, augmentation in (
        ("none", "eval", "crop_flip"),
        ("conv3", "eval", "flip"),
        ("conv3", "train", "none"),
    ):
        for kind in DEFENSES:
            case = TrainingCase(kind, point, batchnorm, augmentation)  # type: ignore[arg-type]
            name = f"training {kind}, frozen to {point}, batch norm {batchnorm}, {augmentation}"
            cases[name] = (case, replace(case, still=True))
    return cases


CASES = _cases()
