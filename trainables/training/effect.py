"""Effect of a defense at a freeze point: one without any is the undefended target under another name."""

import functools

import torch

from trainables.architectures import get_architecture
from trainables.defenses import DEFENSES
from trainables.defenses.base import Defense
from trainables.defenses.rule import trained_trace
from trainables.errors import ConfigError
from trainables.training.freeze import freeze


@functools.cache
def is_active(
    architecture: str, image_size: int, freeze_point: str, kind: str, trained: tuple[str, ...] | None = None
) -> bool:
    """Return whether a defense of `kind` changes the weights of a target that trains what these two say.

    freeze_point, trained: as `Target` has them. BiDO, for one, has no term left where every stage is frozen
    and the neck has no weights. The networks are
    built without memory for their weights, so it takes milliseconds.
    """
    defense = DEFENSES[kind]
    try:
        defense().check(get_architecture(architecture), image_size)
    except ConfigError:  # with its usual knobs it is not for this network
        return False
    if defense.is_active is Defense.is_active:  # of no defense that may be without effect
        return True
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        classifier = defense().prepare(get_architecture(architecture).build(2, image_size))
        frozen = freeze(classifier, freeze_point, trained=trained)
        with torch.no_grad():
            inputs = classifier.run(torch.zeros(2, 3, image_size, image_size), 0, frozen)
        trace: dict[str, torch.Tensor] = {}
        classifier(inputs, frozen, trace)
        return defense().is_active(trained_trace(trace))
