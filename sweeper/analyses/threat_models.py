"""Threat models: what freezing does against attacks that see gradients, scores or labels of one target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from sweeper.analyses.base import UNDEFENDED, Conclusion, FreezeAnalysis, one_person, ordered, unknown_noise
from sweeper.analyses.runs import POINT, Floats, Run, by
from sweeper.statistics.contrasts import Contrast, Term, contrast, holm, seed_noise
from sweeper.statistics.paired import LEVEL
from sweeper.study.study import Study
from trainables.errors import ConfigError

SEES = {"white-box": "gradients", "scores": "scores", "labels": "labels"}
EIGENFACES: Mapping[str, Any] = {"kind": "eigenfaces"}  # seconds, and of standard normal latents
# The attacks that stand for a threat model of which the study has none, by preference.
FILL: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "white-box": (
        {"kind": "map", "preset": "cpu", "prior": EIGENFACES},
        {"kind": "gmi", "preset": "cpu"},
    ),
    "scores": ({"kind": "rlb", "preset": "cpu"}, {"kind": "rlb", "preset": "cpu", "prior": EIGENFACES}),
    "labels": ({"kind": "brep", "preset": "cpu"}, {"kind": "brep", "preset": "cpu", "prior": EIGENFACES}),
}


@dataclass(frozen=True, kw_only=True)
class ThreatModels(FreezeAnalysis):
    """Each target is attacked by all of the study's attacks, and by one for each threat model that they lack.

    The attack rate of a threat model is the mean over its attacks: to take the strongest would be to choose
    by luck. Of several, a weak one makes the fall of all look small.
    """

    kind: ClassVar[str] = "threat_models"
    summary: ClassVar[str] = "whether freezing hides as much from scores and labels as from gradients"
    source: ClassVar[str] = "this project, after Ho et al., CVPR 2024 (TL-DMI) and Qu et al., ICLR 2025 (SSD)"
    does_not_show: ClassVar[str] = (
        "A threat model stands for the attacks that were run, with their settings: another attack may "
        "fall by more or by less. Falls are compared as differences of rates, so that an attack that finds "
        "few people undefended cannot fall by much. Accuracy falls with freezing too, and is not held equal."
    )

    def derive(self, study: Study) -> Study:
        """Return a study of every freeze point under attacks of all threat models."""
        self.check_people(study)
        attacks = study.trial["attack"]
        attacks = list(attacks) if isinstance(attacks, list) else [attacks]
        for model in SEES:
            if model not in _models(study, attacks):
                attacks.append(_filled(study, attacks, model))
        trial = {**study.trial, "attack": attacks}
        return self.derived(study, [ordered(POINT, self.points(study))], trial)

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return the fall from nothing frozen to each freeze point, for each threat model and between them.

        p values of falls are adjusted for all of them, and those of differences of falls for all of these.
        """
        points = by(runs, POINT)
        if UNDEFENDED not in points:
            return Conclusion(rows=(), sentences=("the undefended target is missing: there is no fall",))
        seen = {model for run in runs for model in run.threat_models.values()}
        models = [model for model in SEES if model in seen]
        tables = {model: {point: _rates(own, model) for point, own in points.items()} for model in models}
        noise = {model: seed_noise(list(table.values())) for model, table in tables.items()}

        def fall(model: str, point: str, sign: float = 1.0) -> list[Term]:
            return [
                Term(weight=weight * sign, rates=tables[model][at], noise=noise[model])
                for weight, at in ((1.0, UNDEFENDED), (-1.0, point))
            ]

        frozen = [point for point in points if point != UNDEFENDED]
        changes = [(model, point) for model in models for point in frozen]
        falls = {} if one_person(runs) else {change: contrast(fall(*change)) for change in changes}
        own = dict(zip(falls, holm([test.p for test in falls.values()]), strict=True))
        between = {
            (first, second, point): contrast(fall(first, point) + fall(second, point, -1.0))
            for first, second in combinations(models, 2)
            for point in frozen
            if falls
        }
        differ = dict(zip(between, holm([test.p for test in between.values()]), strict=True))
        rows = [
            {
                "compared": SEES[model],
                "freeze_point": point,
                "undefended": float(tables[model][UNDEFENDED].mean()),
                "frozen": float(tables[model][point].mean()),
                **_figures(falls.get((model, point)), own.get((model, point))),
            }
            for model, point in changes
        ]
        rows += [
            {
                "compared": f"{SEES[first]} less {SEES[second]}",
                "freeze_point": point,
                "undefended": None,
                "frozen": None,
                **_figures(test, differ[first, second, point]),
            }
            for (first, second, point), test in between.items()
        ]
        if unknown := unknown_noise(runs):
            return Conclusion(rows=tuple(rows), sentences=(unknown,))
        sentences = [_on_model(model, falls, own) for model in models]
        found = [_on_pair(key, test, differ[key]) for key, test in between.items() if differ[key] < LEVEL]
        if between and not found:
            found = ["that the fall differs between threat models is not shown at any freeze point"]
        return Conclusion(rows=tuple(rows), sentences=(*sentences, *found))


def _models(study: Study, attacks: Sequence[Mapping[str, Any]]) -> set[str]:
    from trainables.config import load_trial

    trial = load_trial({**study.trial, "attack": [dict(attack) for attack in attacks]}, study.name)
    return {plan.attack.threat_model for plan in trial.attack}


def _filled(study: Study, attacks: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """Return the first attack of `FILL` that fits the study."""
    for number, attack in enumerate(FILL[model]):
        try:
            _models(study, [*attacks, attack])
        except ConfigError:
            if number + 1 == len(FILL[model]):
                raise
        else:
            return dict(attack)
    raise AssertionError("a threat model has an attack that stands for it")


def _rates(runs: Sequence[Run], model: str) -> Floats:
    """Return (S, N): the mean over the attacks of a threat model, of runs that differ in their seeds."""
    return np.stack(
        [
            np.mean([own for name, own in run.attacks.items() if run.threat_models[name] == model], axis=0)
            for run in runs
        ]
    )


def _figures(test: Contrast | None, p: float | None) -> dict[str, Any]:
    if test is None:
        return {"fall": None, "p": None}
    return {"fall": test.difference, "fall_interval": [test.low, test.high], "p": p}


def _on_model(
    model: str, falls: Mapping[tuple[str, str], Contrast], p: Mapping[tuple[str, str], float]
) -> str:
    """Return where the attack accuracy of a threat model falls or rises, as far as its tests carry it."""
    changes = [
        f"{'falls' if test.difference > 0 else 'rises'} by {abs(test.difference):.3f} "
        f"[{min(abs(test.low), abs(test.high)):.3f}, {max(abs(test.low), abs(test.high)):.3f}] frozen up to "
        f"{point}"
        for (other, point), test in falls.items()
        if other == model and p[other, point] < LEVEL
    ]
    if not changes:
        return f"attacks that see {SEES[model]}: that freezing changes their accuracy is not shown"
    return f"attacks that see {SEES[model]}: their accuracy {', '.join(changes)}"


def _on_pair(key: tuple[str, str, str], test: Contrast, p: float) -> str:
    first, second, point = key
    more, less = (first, second) if test.difference > 0 else (second, first)
    return (
        f"frozen up to {point}, attacks that see {SEES[more]} fall by {abs(test.difference):.3f} more than "
        f"those that see {SEES[less]}, p {p:.2g}"
    )
