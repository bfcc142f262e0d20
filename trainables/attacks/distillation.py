"""Knowledge of a target from public images: its mean feature, and students that imitate it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.architectures.base import Classifier
from trainables.architectures.head_noise import head_noise
from trainables.attacks.base import Auxiliary
from trainables.datasets.base import Images, as_float
from trainables.errors import ConfigError, TrialError
from trainables.method import named_knob
from trainables.nn.inference import inference_copy
from trainables.nn.optimizers import gradient_step
from trainables.pretraining.torchvision import Torchvision
from trainables.runtime.checks import above, at_least
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.runtime.short_run import ShortRun, of_epochs
from trainables.runtime.upload import upload
from trainables.storage.documents import suggestion
from trainables.training.batches import shuffled

EFFICIENTNETS = ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2")
STUDENTS = (*ARCHITECTURES, *EFFICIENTNETS)

HALVING = 20  # epochs after which the learning rate is halved, again and again


def distillation_loss(student: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Return KL(softmax(target / t) || softmax(student / t)) / t², mean over rows; logits (n, K), from 0 up.

    The released code of LOMMA divides by t² where Hinton et al. (2015) multiply; for its t of 1 they agree.
    """
    probabilities = (target / temperature).softmax(1)
    log_probabilities = (student / temperature).log_softmax(1)
    return functional.kl_div(log_probabilities, probabilities, reduction="batchmean") / temperature**2


@torch.no_grad()
def ask(target: Classifier, batches: Iterable[Tensor], averaged: int) -> tuple[Tensor, Tensor]:
    """Return the target's mean feature (F,) of the first `averaged` images, and its logits (N, K) of all.

    batches: of images (n, 3, S, S) in [0, 1], on the target's device.
    """
    total, seen, answers = torch.zeros(()), 0, []
    for images in batches:
        features = target.features(images)
        answers.append(target.head(features))
        counted = features[: averaged - seen].double()
        total = total.to(counted) + counted.sum(0)
        seen += len(counted)
    return (total / seen).to(answers[0].dtype), torch.cat(answers)


@dataclass(frozen=True, kw_only=True)
class Distillation(Auxiliary):
    """Train students on the answers of a target to public images, as LOMMA's released code does.

    KL divergence, SGD, no varied images; the rate is halved every 20 epochs. The target answers each image
    once, in eval mode; the images that do not fill the last batch of an epoch are left out of it.

    students: names of architectures, of this package or torchvision's EfficientNets b0 to b2.
    weights: "imagenet" starts the students for which torchvision has weights from these, as published, and
        downloads them on first use; "none", and any other student, starts at random.
    temperature: of `distillation_loss`.
    feature_images: how many public images, drawn at random, the mean feature is taken over.
    """

    kind: ClassVar[str] = "distillation"
    summary: ClassVar[str] = "students that imitate the target, and its mean feature"
    source: ClassVar[str] = "Nguyen et al., CVPR 2023 (LOMMA)"

    students: tuple[str, ...] = named_knob(ARCHITECTURES, EFFICIENTNETS)
    weights: Literal["imagenet", "none"] = "imagenet"
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    temperature: float = 1.0
    feature_images: int = 5000

    def __post_init__(self) -> None:
        at_least(self, 1, "epochs", "feature_images")
        at_least(self, 2, "batch_size")  # batch norm needs two
        above(self, 0, "learning_rate", "temperature")
        at_least(self, 0, "momentum", "weight_decay")
        for name in self.students:
            if name not in STUDENTS:
                raise ValueError(
                    f"students must be among {', '.join(STUDENTS)}; got '{name}'{suggestion(name, STUDENTS)}"
                )

    @property
    def drops_last_batch(self) -> bool:
        """Return whether students learn, in whole batches; the mean feature needs none."""
        return bool(self.students)

    def short_run(self, few: int, public: int, classes: int) -> ShortRun:
        """Return runs of one and three epochs; the target answers each public image once."""
        return of_epochs(self, few, public, asks=True)

    def make(self, target: Classifier, public: Images, *, run: Run) -> dict[str, Any]:
        """Return ``feature_mean`` (F,) and ``students``, a list that `restore_students` takes, on the CPU.

        Deterministic for one seed, device and thread count. Raises `TrialError` if a loss is not finite.
        """
        order = torch.randperm(len(public), generator=run.stream("auxiliary", "features"))
        if not self.students:
            order = order[: self.feature_images]
        target = inference_copy(target, run.device)
        pixels = public.pixels.to(run.device)
        parts = (as_float(pixels[part.to(run.device)]) for part in torch.split(order, 256))
        with head_noise(target, run.stream("auxiliary", "head")):
            mean, drawn = ask(target, parts, self.feature_images)
        answers = (
            torch.empty_like(drawn).index_copy_(0, order.to(run.device), drawn) if self.students else drawn
        )
        run.report("auxiliary", 0, max(1, len(self.students) * self.epochs))
        students = []
        for position, name in enumerate(self.students):
            torch.manual_seed(derive(run.seed, "auxiliary", "weights", position))
            student = new_student(name, answers.shape[1], pixels.shape[-1], self.weights)
            student.mean.copy_(target.mean.cpu())
            student.std.copy_(target.std.cpu())
            self._train(student.to(run.device), pixels, answers, position, run)
            students.append(
                {
                    "architecture": name,
                    "classes": answers.shape[1],
                    "image_size": pixels.shape[-1],
                    "weights": {key: value.cpu() for key, value in student.state_dict().items()},
                }
            )
        if not students:
            run.report("auxiliary", 1, 1)
        return {"feature_mean": mean.cpu(), "students": students}

    def _train(self, student: Classifier, pixels: Tensor, answers: Tensor, position: int, run: Run) -> None:
        optimizer = torch.optim.SGD(
            student.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        order, epochs = run.stream("auxiliary", "order", position), len(self.students) * self.epochs
        student.train()
        for epoch in range(self.epochs):
            optimizer.param_groups[0]["lr"] = self.learning_rate * 0.5 ** (epoch // HALVING)
            total, batches = torch.zeros((), device=pixels.device), 0
            for part in shuffled(len(pixels), self.batch_size, order):
                index = upload(part, pixels.device)
                loss = distillation_loss(student(as_float(pixels[index])), answers[index], self.temperature)
                gradient_step(optimizer, loss)
                total += loss.detach()
                batches += 1
            mean = total.item() / batches
            if not math.isfinite(mean):
                raise TrialError(
                    f"the loss of student '{self.students[position]}' is not finite in epoch {epoch + 1} of "
                    f"{self.epochs} (learning_rate {self.learning_rate})"
                )
            run.report("auxiliary", position * self.epochs + epoch + 1, epochs, student_loss=mean)


def new_student(name: str, classes: int, image_size: int, weights: str) -> Classifier:
    """Return an untrained student with torchvision's weights or random ones; see `Distillation`.

    Raises `ConfigError` if the weights cannot be had.
    """
    if name in ARCHITECTURES:
        ARCHITECTURES[name].check_size(image_size)
        student = ARCHITECTURES[name].build(classes, image_size)
        if weights == "imagenet" and ARCHITECTURES[name].torchvision_weights is not None:
            published = Torchvision().stages_state(name, image_size, normalization="none", run=Run(seed=0))
            student.stages.load_state_dict(published)
        return student
    from torchvision.models import get_model, get_model_weights

    network: Any = get_model(name, weights=None)
    if weights == "imagenet":
        entry = get_model_weights(name)["IMAGENET1K_V1"]
        try:
            network.load_state_dict(entry.get_state_dict(progress=False, check_hash=True))
        except (URLError, OSError, RuntimeError) as error:
            raise ConfigError(
                f"the student '{name}' expects to download {entry.url}; got: {error} (students); go online "
                "once, or set the students' weights to 'none', or choose small students such as small_cnn"
            ) from error
    feature_size = network.classifier[-1].in_features
    student = Classifier(
        {"features": network.features},
        neck=nn.Sequential(network.avgpool, nn.Flatten()),
        head=nn.Linear(feature_size, classes),  # without torchvision's dropout, as in the released code
    )
    return student.to(memory_format=torch.channels_last)


def restore_students(students: Iterable[Mapping[str, Any]], device: str) -> list[Classifier]:
    """Return lean copies of the students that `Distillation.make` made, on `device`."""
    restored = []
    for saved in students:
        student = new_student(saved["architecture"], saved["classes"], saved["image_size"], "none")
        student.load_state_dict(saved["weights"])
        restored.append(inference_copy(student, device).to(device))
    return restored
