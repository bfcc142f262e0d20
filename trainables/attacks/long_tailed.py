"""Surrogate of a target that shows scores: experts that learn its answers to a pool, rare labels the most."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.errors import TrialError
from trainables.nn.optimizers import gradient_step
from trainables.pretraining.checkpoint import FromCheckpoint
from trainables.runtime.resumable_loop import resumable_loop
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.runtime.upload import upload
from trainables.training.batches import shuffled
from trainables.training.classifier import Normalization, build_classifier

# Of the released code of SMILE.
TOP = 10  # labels of an image that count as seen in it
RARENESS = 0.9  # the beta of the effective number of samples (Cui et al., CVPR 2019)
TEMPERATURE = 0.5
LARGEST = 20.0  # logit over temperature, in the experts' diversity
SMALLEST = 1e-38  # of a probability, so that its logarithm stays finite


def label_weights(scores: Tensor) -> Tensor:
    """Return (1 - b) / (1 - b^(n + 1)) of each label, (K,), b being `RARENESS`: 1 for one never seen.

    scores: of a pool, (M, K).  n: how many images have the label among their `TOP` highest scores.
    """
    seen = scores.topk(min(TOP, scores.shape[1]), dim=1).indices.flatten()
    counts = torch.bincount(seen, minlength=scores.shape[1]).double()
    return ((1 - RARENESS) / (1 - RARENESS ** (counts + 1))).float()


def surrogate_loss(
    outputs: Tensor,
    answers: Tensor,
    weights: Tensor,
    *,
    label_weight: float,
    diversity_weight: float,
) -> Tensor:
    """Return the loss of a batch, a sum over its images b and the experts e, with t = `TEMPERATURE`.

    Σ_b w_b Σ_e [KL(softmax(a_b / t) || softmax(o_eb / t)) + label_weight · CE(o_eb, argmax a_b)]
    + diversity_weight · Σ_e 1 / (1/B Σ_b KL(softmax(o_eb / t²) || softmax(mean_e o_eb / t)))

    t² is of the released code, which divides an expert's logits by t twice, and bounds them in between.

    outputs: logits o of the experts, (E, B, K).  answers: logits a of the target, (B, K).  weights: w, (B,).
    The released code multiplies the weights by the mean of the batch, so that no image has its own; here each
    has. Both agree where all weights are equal. A single expert has no diversity.
    """
    experts, count, _ = outputs.shape
    labels = answers.argmax(1)
    theirs = (answers / TEMPERATURE).softmax(1).expand_as(outputs)
    distance = functional.kl_div((outputs / TEMPERATURE).log_softmax(2), theirs, reduction="none").sum(2)
    surprise = functional.cross_entropy(
        outputs.flatten(0, 1), labels.repeat(experts), reduction="none"
    ).reshape(experts, count)
    loss = (weights * (distance + label_weight * surprise).sum(0)).sum()
    if experts == 1 or diversity_weight == 0:
        return loss
    mean = (outputs.mean(0) / TEMPERATURE).log_softmax(1).expand_as(outputs)
    own = ((outputs / TEMPERATURE).clamp(-LARGEST, LARGEST) / TEMPERATURE).softmax(2)
    apart = functional.kl_div(mean, own, reduction="none").sum((1, 2)) / count
    return loss + diversity_weight * (1 / apart).sum()


class Experts(nn.Module):
    """Classifiers that share all stages but the last; the logits are the mean of theirs.

    trunk: gives the stages that they share.  experts: classifiers of the same architecture, of which the last
    stage, the neck and the head are used.
    """

    def __init__(self, trunk: Classifier, experts: list[Classifier]) -> None:
        super().__init__()
        self.shared = len(trunk.stages) - 1
        for network, unused in [(trunk, slice(-1, None)), *((each, slice(-1)) for each in experts)]:
            for name in list(network.stages)[unused]:
                network.stages[name] = nn.Identity()
        trunk.neck = trunk.head = nn.Identity()
        self.trunk, self.experts = trunk, nn.ModuleList(experts)

    def features(self, images: Tensor) -> Tensor:
        """Return what the shared stages make of images (n, 3, S, S) in [0, 1]."""
        return self.trunk.run(images, 0, self.shared)

    def outputs(self, features: Tensor) -> Tensor:
        """Return the logits of all experts, (E, n, K), of `features`."""
        return torch.stack([expert(features, start=self.shared) for expert in self.experts])

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean logits (n, K) of images (n, 3, S, S) in [0, 1]."""
        return self.outputs(self.features(images)).mean(0)


def new_experts(
    architecture: str,
    classes: int,
    image_size: int,
    *,
    count: int,
    path: str,
    normalization: Normalization,
    seed: int,
) -> Experts:
    """Return untrained experts on a trunk with the weights of the file `path`, or random ones without it."""
    trunk, *experts = (
        build_classifier(architecture, classes, image_size, normalization, derive(seed, "expert", number))
        for number in range(1 + count)
    )
    if path:
        trunk.stages.load_state_dict(FromCheckpoint(path=path).read(architecture, image_size))
    return Experts(trunk, experts)


def train_experts(
    experts: Experts,
    pixels: Tensor,
    scores: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    label_weight: float,
    diversity_weight: float,
    frozen: bool,
    run: Run,
    done: Callable[[int], None],
) -> None:
    """Train `experts`, on the device of `run`, on the scores (M, K) of images `pixels` (M, 3, S, S), uint8.

    frozen: leave the shared stages as they are, in eval mode.  ``done(count)``: that many more epochs are
    done. Resumes from an epoch. Adam; the images that fill no whole batch are left out of an epoch. The
    released code leaves frozen stages in train mode, which moves their batch norm.
    Raises `TrialError` if the loss is not finite.
    """
    experts.train()
    experts.trunk.requires_grad_(not frozen).train(not frozen)
    optimizer = torch.optim.Adam([w for w in experts.parameters() if w.requires_grad], lr=learning_rate)
    answers = scores.clamp_min(SMALLEST).log().to(run.device)
    weights = label_weights(scores).to(run.device)[answers.argmax(1)]
    begin, loss = 0, torch.zeros(())
    saved = run.resume.read("surrogate")
    if saved is not None:
        begin = saved["epoch"]
        experts.load_state_dict(saved["weights"])
        optimizer.load_state_dict(saved["optimizer"])
        done(begin)
    epoch = begin

    def steps() -> Iterator[bool]:
        nonlocal epoch, loss
        for number in range(begin, epochs):
            torch.manual_seed(derive(run.seed, "surrogate", "dropout", number))
            for part in shuffled(len(pixels), batch_size, run.stream("surrogate", "order", number)):
                index = upload(part, run.device)
                images = upload(pixels[part], run.device).float() / 255
                with torch.set_grad_enabled(not frozen):
                    features = experts.features(images)
                loss = surrogate_loss(
                    experts.outputs(features),
                    answers[index],
                    weights[index],
                    label_weight=label_weight,
                    diversity_weight=diversity_weight,
                )
                gradient_step(optimizer, loss)
            epoch = number + 1
            yield epoch == epochs
            done(1)

    def tell() -> None:
        value = loss.item()
        if not math.isfinite(value):
            raise TrialError(
                f"the surrogate's loss is not finite in epoch {epoch} of {epochs} "
                f"(surrogate_rate {learning_rate})"
            )

    def save() -> None:
        state = {"epoch": epoch, "weights": experts.state_dict(), "optimizer": optimizer.state_dict()}
        run.resume.write("surrogate", state)

    resumable_loop(steps(), tell, save, run.resume)
