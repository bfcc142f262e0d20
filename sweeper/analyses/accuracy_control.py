"""Accuracy control: freeze points against the undefended target where both are equally accurate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sweeper.analyses.base import ONE_SEED, Conclusion, StudyAnalysis, checkpoints, one_seed, ordered
from sweeper.analyses.equal_accuracy import UNDEFENDED, apart, figures, meeting, plotted, regression
from sweeper.analyses.runs import EPOCH, POINT, Run, accuracy, by
from sweeper.statistics.contrasts import holm
from sweeper.statistics.paired import LEVEL
from sweeper.study.study import Study

PARTS = (8, 4, 2, 1)


@dataclass(frozen=True, kw_only=True)
class AccuracyControl(StudyAnalysis):
    """Several checkpoints of each training are attacked, and attack accuracy is read over test accuracy.

    epochs: after which targets are attacked; () takes an eighth, a quarter, half and all of the recipe's.
    """

    kind: ClassVar[str] = "accuracy_control"
    summary: ClassVar[str] = "whether freezing leaks less than a worse classifier does, over checkpoints"
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
        """Return, for each freeze point, its shift from the undefended target at equal accuracy.

        A freeze point is called different if the permutation test of all of them finds something, and its own
        shift is clear of 0 after an adjustment for their number.
        """
        points = by(runs, POINT)
        compared = meeting(runs)
        frozen = [point for point in by(compared, POINT) if point != UNDEFENDED]
        adjusted = None
        if frozen and not one_seed(runs):
            adjusted = regression(compared, lambda run: [float(run.point == point) for point in frozen])
        effects = dict(zip(frozen, adjusted.effects, strict=True)) if adjusted else {}
        own = dict(zip(effects, holm([effect.p for effect in effects.values()]), strict=True))
        rows: list[dict[str, Any]] = []
        sentences = apart(runs)
        for point, of_point in points.items():
            row: dict[str, Any] = {"freeze_point": point, **figures(of_point), "shift": None, "p": None}
            rows.append(row)
            if adjusted is None or point not in effects:
                continue
            effect = effects[point]
            row |= {"shift": effect.shift, "shift_interval": [effect.low, effect.high]}
            row["p"] = max(own[point], adjusted.p)
            if row["p"] < LEVEL:
                at = accuracy([run for run in compared if run.point in (point, UNDEFENDED)])
                undefended = adjusted.rate(at, [0.0] * len(frozen))
                leaks = adjusted.rate(at, [float(other == point) for other in frozen])
                sentences.append(
                    f"frozen up to {point}, targets leak {'more' if effect.shift > 0 else 'less'} than "
                    f"equally accurate undefended ones: at test accuracy {at:.3f} attack accuracy "
                    f"{leaks:.3f} against {undefended:.3f}, p {row['p']:.2g}"
                )
        silent = [point for point in effects if max(own[point], adjusted.p if adjusted else 1.0) >= LEVEL]
        if silent:
            sentences.append(
                f"frozen up to {', '.join(silent)}, targets are not shown to leak more or less than equally "
                "accurate undefended ones"
            )
        if one_seed(runs):
            sentences.append(ONE_SEED)
        elif frozen and adjusted is None:
            sentences.append("too few trainings, or accuracies that do not vary: nothing is concluded")
        plot = [each for point, of_point in points.items() for each in plotted(of_point, point)]
        return Conclusion(rows=tuple(rows), sentences=tuple(sentences), points=tuple(plot))
