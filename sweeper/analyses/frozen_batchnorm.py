"""Batch norm of frozen stages: kept as pre-training left it, against following the private images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sweeper.analyses.base import Conclusion, FreezeAnalysis, one_person, ordered, unknown_noise
from sweeper.analyses.runs import POINT, Run, accuracy, by, rates
from sweeper.statistics.contrasts import Term, contrast, holm, seed_noise
from sweeper.statistics.paired import LEVEL
from sweeper.study.study import Study
from trainables.errors import ConfigError

BATCHNORM = "target.frozen_batchnorm"


@dataclass(frozen=True, kw_only=True)
class FrozenBatchnorm(FreezeAnalysis):
    """Each frozen target with ``frozen_batchnorm`` "eval" and "train", person by person."""

    kind: ClassVar[str] = "frozen_batchnorm"
    summary: ClassVar[str] = "whether frozen batch norm that follows the private images leaks more"
    source: ClassVar[str] = "this project; the code of Ho et al., CVPR 2024 (TL-DMI), lets it follow"
    does_not_show: ClassVar[str] = (
        "The two targets of a freeze point may differ in accuracy too, which stands beside: a difference in "
        "leakage may be that. Statistics of other networks' batch norm may hold more or less."
    )

    def derive(self, study: Study) -> Study:
        """Return a study of every frozen point under both kinds of batch norm."""
        self.check_people(study)
        points = [point for point in self.points(study) if _normed(study, point)]
        if not points:
            raise ConfigError(
                f"analysis '{self.kind}' expects batch norm in the frozen stages; "
                f"{study.trial['target']['architecture']} has none there (trial.target.architecture); choose "
                "a network with batch norm"
            )
        return self.derived(study, [ordered(POINT, points), {BATCHNORM: {"choice": ["eval", "train"]}}])

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return "train" less "eval" at every freeze point that has both; p values are adjusted for all."""
        pairs = {point: by(own, BATCHNORM) for point, own in by(runs, POINT).items()}
        pairs = {point: pair for point, pair in pairs.items() if len(pair) == 2}
        noise = seed_noise([rates(own) for pair in pairs.values() for own in pair.values()])
        tests = {
            point: contrast(
                [
                    Term(weight=weight, rates=rates(pair[way]), noise=noise)
                    for way, weight in (("train", 1.0), ("eval", -1.0))
                ]
            )
            for point, pair in pairs.items()
            if not one_person(runs)
        }
        adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
        rows = tuple(
            {
                "freeze_point": point,
                "test_accuracy_eval": accuracy(pair["eval"]),
                "test_accuracy_train": accuracy(pair["train"]),
                "attack_accuracy_eval": float(rates(pair["eval"]).mean()),
                "attack_accuracy_train": float(rates(pair["train"]).mean()),
                "difference": tests[point].difference if point in tests else None,
                **({"difference_interval": [tests[point].low, tests[point].high]} if point in tests else {}),
                "p": adjusted.get(point),
            }
            for point, pair in pairs.items()
        )
        if unknown := unknown_noise(runs):
            return Conclusion(rows=rows, sentences=(unknown,))
        sentences = [
            f"frozen up to {point}, batch norm that follows the private images leaks "
            f"{'more' if test.difference > 0 else 'less'}: attack accuracy {test.difference:+.3f} "
            f"[{test.low:+.3f}, {test.high:+.3f}], p {adjusted[point]:.2g}"
            for point, test in tests.items()
            if adjusted[point] < LEVEL
        ]
        if not sentences and tests:
            low, high = min(test.low for test in tests.values()), max(test.high for test in tests.values())
            sentences = [
                "that the two differ in what they leak is not shown at any freeze point; intervals leave "
                f"room for {low:+.3f} to {high:+.3f}"
            ]
        return Conclusion(rows=rows, sentences=tuple(sentences))


def _normed(study: Study, point: str) -> bool:
    """Return whether a stage up to `point` has batch norm; none of ``none``."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    from trainables.architectures import get_architecture

    target = study.trial["target"]
    with torch.device("meta"):  # names only: no weights are made
        classifier = get_architecture(target["architecture"]).build(2, study.trial["image_size"])
    frozen = list(classifier.stages.values())[: classifier.freeze_points.index(point)]
    return any(isinstance(module, _BatchNorm) for stage in frozen for module in stage.modules())
