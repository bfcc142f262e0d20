"""Accuracy control: freeze points against the undefended target where both are equally accurate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sweeper.analyses.base import UNDEFENDED, Conclusion, FreezeAnalysis, checkpoints, frozen, ordered
from sweeper.analyses.equal_accuracy import against
from sweeper.analyses.runs import EPOCH, POINT, Run
from sweeper.study.study import Study

PARTS = (8, 4, 2, 1)


@dataclass(frozen=True, kw_only=True)
class AccuracyControl(FreezeAnalysis):
    """Several checkpoints of each training are attacked, and attack accuracy is read over test accuracy.

    epochs: after which targets are attacked; () takes an eighth, a quarter, half and all of the recipe's.
    """

    kind: ClassVar[str] = "accuracy_control"
    summary: ClassVar[str] = "whether freezing leaks less than an equally accurate target, over checkpoints"
    source: ClassVar[str] = "Ho et al., CVPR 2024 (TL-DMI)"
    does_not_show: ClassVar[str] = (
        "The regression takes the probit of the attack rate as a line over that of the accuracy, with one "
        "slope for all freeze points. A checkpoint taken early differs from a frozen target in more than "
        "accuracy: it is also less fitted to its training images."
    )

    epochs: tuple[int, ...] = ()

    def derive(self, study: Study) -> Study:
        """Return a study of every freeze point after each of the epochs."""
        epochs = checkpoints(self.epochs, PARTS, study)
        return self.derived(study, [ordered(POINT, self.points(study)), ordered(EPOCH, epochs)])

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return, for each freeze point, its shift from the undefended target at equal accuracy."""
        return against(runs, POINT, UNDEFENDED, frozen)
