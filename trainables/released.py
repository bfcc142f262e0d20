"""A released target: a folder that holds all it takes to use it, and nothing of the data or the sweep.

``target.safetensors`` (weights), ``config.json`` (what they are for), ``labels.json`` (identity names in
label order). Nothing in it can run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainables.architectures import get_architecture
from trainables.architectures.base import Classifier, Shield
from trainables.datasets.base import as_float
from trainables.datasets.pictures import read_picture
from trainables.defenses import DEFENSES
from trainables.errors import ConfigError
from trainables.storage.disk import draft_of, sync, write_text
from trainables.storage.weights import listed, read_weights
from trainables.training.classifier import MEAN_AND_STD

FORMAT = 1
WEIGHTS, CONFIG, LABELS = "target.safetensors", "config.json", "labels.json"
VIEW = ("crop", "of", "fit", "squeeze", "grey")  # of the private data, as `pictures.square` takes them
DEFENSE = "defense.safetensors"  # of a defense that changes answers: what it needs for that


@dataclass(frozen=True, kw_only=True)
class Identification:
    """The answer of a released target to one image.

    name: the likeliest identity. score: its softmax probability, in [0, 1]; a classifier gives some name to
    everybody, a stranger and a wall too. threshold: of the card, from which a name counts; None where none
    was measured.
    """

    name: str
    score: float
    threshold: float | None

    @property
    def is_known(self) -> bool | None:
        """Return whether the score reaches the threshold; None without one."""
        return None if self.threshold is None else self.score >= self.threshold

    def __str__(self) -> str:
        score = f"score {self.score:.3f}"
        if self.threshold is None:
            return f"{self.name} ({score}, no threshold measured)"
        if self.is_known:
            return f"{self.name} ({score}, threshold {self.threshold:.3f})"
        return f"nobody known (nearest: {self.name}, {score}, threshold {self.threshold:.3f})"


@dataclass(frozen=True)
class Released:
    """A released target, in eval mode, its weights without gradients.

    labels: identity names; label k is ``labels[k]``. config: what ``config.json`` says. shield: of a defense
    that changes answers; what comes out has passed it.
    """

    classifier: Classifier
    labels: tuple[str, ...]
    config: Mapping[str, Any]
    shield: Shield | None = None

    @property
    def image_size(self) -> int:
        """Return the side of the images that the target takes, in pixels."""
        return int(self.config["image_size"])

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, 3, S, S), float in [0, 1]; normalisation is inside.

        A defense with a noisy head (MID) draws fresh noise in every call: it belongs to the defense. Under a
        defense that changes answers (SSD) they are the logarithms of the probabilities that it gives.
        """
        with torch.no_grad():
            logits: Tensor = self.classifier(images)
            return logits if self.shield is None else self.shield(logits.softmax(1), images).log()

    def identify(self, path: str | Path) -> Identification:
        """Return what the target says of the image at `path`, read as the training images were."""
        score, label = self.logits(self.read(path)).double().softmax(1)[0].max(0)
        threshold = (self.config.get("operating_point") or {}).get("score")
        return Identification(name=self.labels[int(label)], score=float(score), threshold=threshold)

    def read(self, path: str | Path) -> Tensor:
        """Return the image at `path` as (1, 3, S, S) in [0, 1], cut, padded and resized as in training.

        An image without colours is made of one with them where the target saw none.

        Raises `ConfigError` for a file that is missing, holds no image, or pixels whose range is not known.
        """
        view = {name: self.config[name] for name in VIEW if name in self.config}
        return as_float(read_picture(path, self.image_size, **view).unsqueeze(0))


def load_released(folder: str | Path) -> Released:
    """Return the target released into `folder`; raise `ConfigError` for what is missing or does not fit."""
    place = Path(folder)
    config = _json(place / CONFIG)
    labels = _json(place / LABELS)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        got = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise ConfigError(f"expected a released target of format {FORMAT} in {place / CONFIG}, got {got!r}")
    if not isinstance(labels, list) or not labels:
        raise ConfigError(f"expected a list of identity names in {place / LABELS}")
    try:
        defense = dict(config["defense"])
        kind, normalization = defense.pop("kind"), config["normalization"]
        if kind not in DEFENSES or normalization not in MEAN_AND_STD:
            raise ConfigError(
                f"{place / CONFIG} names the defense '{kind}' and the normalization '{normalization}', and "
                "this version does not know both; use the version that wrote it"
            )
        method = DEFENSES[kind](**defense)
        with torch.random.fork_rng(devices=[]):  # what is drawn here is replaced below
            classifier = method.prepare(_built(config, len(labels)))
    except (KeyError, TypeError) as error:
        raise ConfigError(f"expected a complete {place / CONFIG}, got an error over {error}") from None
    weights = read_weights(place / WEIGHTS, "a released target")
    expected = classifier.state_dict()
    wrong = [
        name
        for name in {**expected, **weights}
        if name not in expected or name not in weights or expected[name].shape != weights[name].shape
    ]
    if wrong:
        raise ConfigError(
            f"expected in {place / WEIGHTS} the weights of {config['architecture']} for {len(labels)} "
            f"identities; these do not fit: {listed(wrong)}"
        )
    classifier.load_state_dict(weights)
    stored = read_weights(place / DEFENSE, "what the defense needs") if method.changes_answers else {}
    return Released(
        classifier.eval().requires_grad_(False), tuple(map(str, labels)), config, method.shield(stored)
    )


def write_released(
    folder: Path,
    *,
    weights: Mapping[str, Tensor],
    labels: tuple[str, ...],
    config: Mapping[str, Any],
    stored: Mapping[str, Tensor] | None = None,
) -> None:
    """Write what `load_released` reads. config: ``architecture``, ``image_size``, ``normalization``,
    ``defense`` (its kind and knobs), the `Dataset.view` of the private data, and whatever else a user of the
    target should know. stored: what a defense that changes answers stored beside the weights.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    # clones: tensors that share memory may not go into one file
    own = {name: value.detach().cpu().clone().contiguous() for name, value in weights.items()}
    _write(folder / WEIGHTS, save(own))  # save_file meets a full disk without an OSError
    if stored:
        _write(folder / DEFENSE, save({name: value.contiguous() for name, value in stored.items()}))
    write_text(folder / LABELS, json.dumps(list(labels), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / CONFIG, json.dumps({"format": FORMAT, **config}, indent=1) + "\n")


def _write(path: Path, content: bytes) -> None:
    with draft_of(path) as draft:
        draft.write_bytes(content)
        sync(draft)


def _built(config: Mapping[str, Any], classes: int) -> Classifier:
    """Return the network of any weights, the normalization among them.

    Nothing is seeded, for that would reach the GPU's generators too: a noisy head would draw the same there
    in every process.
    """
    entry = get_architecture(config["architecture"])
    entry.check_size(config["image_size"])
    return entry.build(classes, config["image_size"])


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"expected a released target, found nothing at {path}; check the folder") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"expected JSON in {path}, got: {' '.join(str(error).split())}") from None
