"""DP-SGD: each image moves the weights by a bounded amount, and noise hides how."""

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from trainables.architectures.base import Classifier, Trace
from trainables.datasets.base import Images
from trainables.defenses.base import Defense
from trainables.defenses.rule import Batch, Rule, Training
from trainables.errors import ConfigError
from trainables.nn.sample_norm import SampleNorm, replace_batchnorm
from trainables.runtime.checks import above
from trainables.runtime.seeds import stream
from trainables.runtime.upload import upload

AT_ONCE = 1 << 28  # numbers in the gradients of the images that are worked on together: 1 GB
NEAR_ONE = tuple(1 + 2.0**-power for power in range(1, 11))  # orders of Rényi divergence for little noise
EXTRA = "pip install 'inversion-sweeper[dp]'"


class PrivateRule(Rule):
    """A step on the sum of clipped gradients of single images, plus noise, by Opacus's ``DPOptimizer``.

    Gradients of single images come from ``torch.func``; clipping, noise and the division by the expected size
    of a batch are Opacus's.

    A training that was killed takes the steps since its last whole epoch again, with the same images and the
    same noise: what it ends with, and the privacy of that, are those of one that was never killed.
    """

    def __init__(self, defense: "DPSGD", training: Training) -> None:
        optimizers = _opacus("opacus.optimizers")
        self._classifier, self._frozen = training.classifier, training.frozen
        self._uncompiled = _Uncompiled(self._classifier)
        for stage in self._classifier.stages.values():
            frozen = not any(weight.requires_grad for weight in stage.parameters())
            for module in stage.modules():
                if frozen and isinstance(module, SampleNorm):
                    module.use_statistics()
        self._weights = {
            name: weight for name, weight in self._classifier.named_parameters() if weight.requires_grad
        }
        size = sum(weight.numel() for weight in self._weights.values())
        self._at_once = max(1, AT_ONCE // size)
        count = len(training.images)
        self._expected = min(training.batch_size, count)
        self._images, self._steps, self._classes = count, 0, training.images.classes
        self._noise = stream(training.seed, "dp_sgd")
        self._optimizer = _with_noise_of_the_cpu(optimizers.DPOptimizer)(
            training.optimizer,
            noise_multiplier=defense.noise_multiplier,
            max_grad_norm=defense.max_grad_norm,
            expected_batch_size=self._expected,
            generator=self._noise,
        )

    def state(self) -> dict[str, Any]:
        return {"noise": self._noise.get_state(), "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        self._noise.set_state(state["noise"])
        self._steps = state["steps"]

    def step(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the batch, which may be empty (0 then), and its logits."""
        self._steps += 1
        weights = {name: weight.detach() for name, weight in self._weights.items()}
        gradients = vmap(grad(self._loss, has_aux=True), in_dims=(None, 0, 0), randomness="different")
        losses, logits = [], [batch.inputs.new_zeros(0, self._classes)]
        cut = (torch.split(values, self._at_once) for values in (batch.inputs, batch.labels))
        parts = list(zip(*cut, strict=True))  # of an empty batch one, which is empty
        for number, (inputs, labels) in enumerate(parts, 1):
            slopes = {name: weight.new_zeros(0, *weight.shape) for name, weight in weights.items()}
            if len(inputs):
                slopes, (loss, logit) = gradients(weights, inputs, labels)
                losses.append(loss.detach())
                logits.append(logit.detach())
            for name, weight in self._weights.items():
                weight.grad_sample = slopes[name]  # type: ignore[attr-defined]
            self._optimizer.signal_skip_step(do_skip=number < len(parts))  # clip, and wait for the others
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        mean = torch.cat(losses).mean() if losses else batch.inputs.new_zeros(())
        return mean, torch.cat(logits)

    def spent(self) -> dict[str, Tensor]:
        """Return what the privacy of all steps follows from: their number, and the images of which each
        was in a step with probability ``batch_size`` / ``images``."""
        counts = {"steps": self._steps, "batch_size": self._expected, "images": self._images}
        return {name: torch.tensor(count) for name, count in counts.items()}

    def _loss(
        self, weights: dict[str, Tensor], inputs: Tensor, label: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        weights = {f"network.{name}": weight for name, weight in weights.items()}
        logits = functional_call(self._uncompiled, weights, (inputs[None], self._frozen))
        loss = functional.cross_entropy(logits, label[None])
        return loss, (loss, logits[0])


class _Uncompiled(nn.Module):
    """Calls a network's own forward: a compiled one cannot be differentiated image by image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> Tensor:
        logits: Tensor = self.network.forward(*inputs)
        return logits


@dataclass(frozen=True, kw_only=True)
class DPSGD(Defense):
    """Abadi et al., CCS 2016, algorithm 1: w <- w - rate · (sum_i clip(g_i, C) + N(0, (sigma C)²)) / B.

    With little noise it is the baseline of high utility that Aerni et al. (CCS 2024, arXiv 2404.17399) ask
    other defenses to be compared with. Its privacy budget says nothing then, and ``dp_epsilon`` tells: that
    of all steps, at ``dp_delta`` = 1/N, by Opacus's accountant of Rényi divergence (Mironov et al. 2019). It
    holds because each batch is a Poisson sample: every image is in it with probability B/N by itself. Which
    epoch is kept is chosen on other images, and costs nothing of it.

    It is the budget of one image. An inversion shows what all images of a person have in common, and k of
    them together have a budget of k · ``dp_epsilon`` or so (Dwork & Roth 2014, theorem 2.2): one that is
    meaningful for an image may promise a person nothing.

    Batch norm mixes the images of a batch, so group norm takes its place, with the same weights and names;
    batch norm of frozen stages keeps the statistics of pre-training, whatever ``target.frozen_batchnorm``
    says. A frozen stage keeps nothing of private images, so freezing costs nothing and leaves fewer weights
    to put noise on.

    noise_multiplier: sigma, above 0; tuned for accuracy it is far below the 1 of a meaningful budget.
    max_grad_norm: C, the length that the gradient of an image is clipped to.
    """

    kind: ClassVar[str] = "dp_sgd"
    summary: ClassVar[str] = "clipped gradients of single images, and noise; needs the extra dp"
    source: ClassVar[str] = "Abadi et al., CCS 2016 (DP-SGD), through Opacus"
    adaptive: ClassVar[str] = "gains nothing by knowing of it: any attack on the weights or the answers"
    adaptive_attack: ClassVar[str | None] = "*"
    figures_told: ClassVar[str] = (
        "an image has a privacy budget of epsilon {dp_epsilon:.3g} at delta {dp_delta:.2g}, and the k images "
        "of a person together one of k times as much or so"
    )
    poisson_batches: ClassVar[bool] = True

    noise_multiplier: float = 0.01
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        above(self, 0, "noise_multiplier", "max_grad_norm")

    def check_installed(self) -> None:
        """Raise `ConfigError` without Opacus."""
        _opacus("opacus.optimizers")

    def prepare(self, classifier: Classifier) -> Classifier:
        """Return the classifier with group norm in the place of batch norm."""
        replace_batchnorm(classifier)
        return classifier

    def begin(self, training: Training) -> Rule:
        """Return the rule that clips, adds noise and counts."""
        return PrivateRule(self, training)

    def loss(self, logits: Tensor, labels: Tensor, images: Tensor, trace: Trace) -> Tensor:
        """Return the mean cross-entropy; the rule takes its gradient image by image."""
        return functional.cross_entropy(logits, labels)

    def figures(
        self, classifier: Classifier, stored: Mapping[str, Tensor], test: Images, device: str
    ) -> dict[str, float]:
        """Return ``dp_epsilon`` and ``dp_delta``; nothing for a target that somebody else trained."""
        if "steps" not in stored:
            return {}
        steps, expected, images = (int(stored[name]) for name in ("steps", "batch_size", "images"))
        epsilon = spent_epsilon(self.noise_multiplier, expected / images, steps, 1 / images)
        return {"dp_epsilon": epsilon, "dp_delta": 1 / images}


def spent_epsilon(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Return epsilon at `delta` of so many steps on Poisson samples, by Rényi divergence; Opacus's figure.

    Orders near 1 are tried beside Opacus's own, for with little noise they bound best.
    """
    accountant = _opacus("opacus.accountants").RDPAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is the first: the budget is vacuous then
        epsilon = accountant.get_epsilon(delta=delta, alphas=[*NEAR_ONE, *accountant.DEFAULT_ALPHAS])
    return float(epsilon)


def _with_noise_of_the_cpu(optimizer: Any) -> Any:
    """Return Opacus's optimiser, its noise drawn on the CPU: the same from one seed on every device."""

    class Optimizer(optimizer):  # type: ignore[misc]
        def add_noise(self) -> None:
            """Put the sum of the clipped gradients, and noise, into the gradients."""
            for weight in self.params:
                noise = torch.randn(weight.shape, generator=self.generator)
                noise *= self.noise_multiplier * self.max_grad_norm
                weight.grad = (weight.summed_grad + upload(noise, weight.device)).view_as(weight)

    return Optimizer


def _opacus(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"defense 'dp_sgd' expects opacus, which is not installed (defense.kind); {EXTRA}"
        ) from None
