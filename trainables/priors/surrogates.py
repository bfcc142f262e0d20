"""Surrogates: classifiers that learn a target's labels on images of a conditional GAN, for LOKT."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures import ARCHITECTURES
from trainables.errors import ConfigError
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.optimizers import gradient_step
from trainables.priors.training_loop import Checkpoint, Order, train_loop
from trainables.runtime.run import Run
from trainables.runtime.upload import upload
from trainables.storage.documents import suggestion

DENSENETS = ("densenet121", "densenet161", "densenet169")
SURROGATES = tuple(dict.fromkeys((*ARCHITECTURES, *DENSENETS)))
JITTER_SHARE = 0.5


def check_names(names: tuple[str, ...], where: str) -> None:
    """Raise ValueError for a name that `build` does not know."""
    for name in names:
        if name not in SURROGATES:
            raise ValueError(
                f"{where} must name architectures out of {', '.join(SURROGATES)}; got '{name}'"
                f"{suggestion(name, SURROGATES)}"
            )


def build(name: str, classes: int, image_size: int) -> nn.Module:
    """Return an untrained network of images (n, 3, S, S) in [0, 1] -> logits (n, `classes`)."""
    if name not in DENSENETS:  # which stay torchvision's, head and all, as in every trial that is stored
        ARCHITECTURES[name].check_size(image_size)
        return ARCHITECTURES[name].build(classes, image_size)
    if image_size < 32:
        raise ConfigError(f"{name} expects an image_size from 32; got {image_size} (image_size); choose 64")
    from torchvision.models import get_model  # importing torchvision costs seconds

    network: nn.Module = get_model(name, weights=None, num_classes=classes)
    return network


def teach(
    network: nn.Module,
    images: Callable[[Tensor], Tensor],
    labels: Tensor,
    *,
    epochs: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
    run: Run,
    before: int = 0,
    units: int | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train `network` in place on ``images(index)`` (n, 3, S, S) and `labels` (N,), on the labels' device.

    The loss is half the cross-entropy of the images and half that of a random view of each (released code of
    LOKT). SGD, momentum 0.9, weight decay 5e-4, the rate falling to 0 by a cosine over `epochs` of `steps`
    batches. before, units: as in `train_loop`, in batches. Raises `TrialError` if the loss is not finite.
    checkpoint: of this training alone, which holds the network; its steps are batches.
    """
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    size = min(batch_size, len(labels))
    batches = Order(len(labels), size, generator, goes_on=True)
    checkpoint = checkpoint or Checkpoint()
    checkpoint.hold(optimizer=optimizer, schedule=schedule, batches=batches)

    def learnt() -> Iterator[dict[str, Tensor]]:
        for batch in range(checkpoint.done + 1, epochs * steps + 1):
            taken = next(batches)
            with torch.no_grad():
                plain = images(taken)
                draws = upload(torch.randn(size, AUGMENTATION_DRAWS, generator=generator), plain.device)
                viewed = random_augmentation(plain, draws, JITTER_SHARE)
            own = labels[upload(taken, labels.device)]
            loss = 0.5 * functional.cross_entropy(network(plain), own)
            loss = loss + 0.5 * functional.cross_entropy(network(viewed), own)
            gradient_step(optimizer, loss)
            if batch % steps == 0:
                schedule.step()
            yield {"surrogate_loss": loss.detach()}

    train_loop(learnt(), epochs * steps, run=run, before=before, units=units, checkpoint=checkpoint)
