"""Roles of layers: whether training the first stages leaks more than training the middle ones."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    """Targets that train the first and last third of the stages, against the middle and last third.

    They are compared at equal accuracy; the other stages are frozen as pre-training left them. Targets that
    train all stages, and the last third alone, stand beside. Thirds are of the number of stages; what does
    not divide goes to the last.

    epochs: after which targets are attacked; () takes an eighth, a quarter, half and all of the recipe's.
    """

    kind: ClassVar[str] = "layer_roles"
    summary: ClassVar[str] = "whether training the first stages leaks more than training the middle ones"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI)"
    does_not_show: ClassVar[str] = (
        "First and middle stages have other numbers of parameters, which stand beside, not made equal. "
        "Thirds are one way to divide a network. The regression takes the probit of the attack rate as a "
        "line over that of the accuracy, with one slope for all targets."
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
        first, middle, last = stages[:third], stages[third : 2 * third], stages[2 * third :]
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
