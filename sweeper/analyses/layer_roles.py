"""Roles of layers: whether training the first stages leaks more than training the middle ones."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

from sweeper.analyses.base import Conclusion, StudyAnalysis, checkpoints, ordered
from sweeper.analyses.equal_accuracy import against
from sweeper.analyses.runs import EPOCH, Run
from sweeper.study.study import Study
from trainables.errors import ConfigError

ROLES, REFERENCE = "roles", "middle_and_last"
TRAINED = {
    "all": "trained in all stages",
    "first_and_last": "trained in the first and last stages",
    REFERENCE: "trained in the middle and last stages",
    "last": "trained in the last stages",
}
PARTS = (8, 4, 2, 1)


@dataclass(frozen=True, kw_only=True)
class LayerRoles(StudyAnalysis):
    """Targets that train the first and the last stages, against the middle and the last ones.

    They are compared at equal accuracy; the other stages are frozen as pre-training left them. Targets that
    train all stages, and the last ones alone, stand beside. First and last are thirds of the number of
    stages; what does not divide goes to the last. Of the third between them those neighbours are the middle
    whose weights are nearest in number to the first third's, by ratio.

    epochs: after which targets are attacked; () takes an eighth, a quarter, half and all of the recipe's.
    """

    kind: ClassVar[str] = "layer_roles"
    summary: ClassVar[str] = "whether training the first stages leaks more than training the middle ones"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI)"
    does_not_show: ClassVar[str] = (
        "First and middle stages have numbers of parameters as near as whole stages allow, which stand "
        "beside; they are not equal. Thirds are one way to divide a network. The regression takes the probit "
        "of the attack rate as a line over that of the accuracy, with one slope for all targets."
    )

    epochs: tuple[int, ...] = ()

    def derive(self, study: Study) -> Study:
        """Return a study of four ways to choose what is trained, after each of the epochs."""
        from trainables.architectures import freeze_points
        from trainables.storage.documents import merge

        architecture = study.trial["target"]["architecture"]
        stages = list(freeze_points(architecture)[1:])
        third = len(stages) // 3
        if not third:
            raise ConfigError(
                f"analysis '{self.kind}' divides a network into thirds, and expects three stages or more; "
                f"{architecture} has {len(stages)} (trial.target.architecture); choose a deeper one"
            )
        first, between, last = stages[:third], stages[third : 2 * third], stages[2 * third :]
        middle = _nearest(first, between, _weights(architecture, study.trial["image_size"]))
        trained: dict[str, Any] = {
            "all": None,
            "first_and_last": [*first, *last],
            REFERENCE: [*middle, *last],
            "last": last,
        }
        cases = {name: {"target.trained": chosen} for name, chosen in trained.items()}
        space = [{ROLES: {"cases": cases}}, ordered(EPOCH, checkpoints(self.epochs, PARTS, study))]
        return self.derived(study, space, merge(study.trial, {"target.freeze_point": "none"}))

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return the shift of each way from the middle and last stages at equal accuracy."""
        return against(runs, ROLES, REFERENCE, TRAINED.__getitem__)


def _weights(architecture: str, image_size: int) -> dict[str, int]:
    """Return how many weights each stage has; the network is built without memory for them."""
    from torch import device

    from trainables.architectures import get_architecture

    with device("meta"):
        stages = get_architecture(architecture).build(2, image_size).stages
    return {name: sum(p.numel() for p in stage.parameters()) for name, stage in stages.items()}


def _nearest(first: Sequence[str], between: Sequence[str], weights: Mapping[str, int]) -> list[str]:
    """Return the neighbours of `between` whose weights are nearest in number to those of `first`."""
    goal = math.log(1 + sum(weights[name] for name in first))
    ends = range(len(between) + 1)
    runs = [list(between[start:end]) for start, end in combinations(ends, 2)]
    return min(runs, key=lambda run: abs(math.log(1 + sum(weights[name] for name in run)) - goal))
