"""Pre-training: whether freezing deeper hides anything at equal accuracy, for each start of a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sweeper.analyses.base import (
    ONE_SEED,
    UNDEFENDED,
    Conclusion,
    FreezeAnalysis,
    checkpoints,
    frozen,
    one_seed,
    ordered,
)
from sweeper.analyses.equal_accuracy import apart, figures, meeting, plotted, regression
from sweeper.analyses.runs import EPOCH, POINT, Run, by
from sweeper.statistics.contrasts import holm
from sweeper.statistics.paired import LEVEL
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.documents import by_path

PRETRAINING = "pretraining"
PARTS = (4, 1)
# Of a synthetic study without a pre-training set of its own.
USUAL: Mapping[str, Any] = {
    "kind": "dataset",
    "data": {"kind": "synthetic_faces", "identities": 60, "images_per_identity": 24},
    "epochs": 8,
}


@dataclass(frozen=True, kw_only=True)
class PretrainingDistance(FreezeAnalysis):
    """A freeze sweep over checkpoints for each pre-training, and leakage over depth at equal accuracy.

    variants: name -> document of a pre-training; None takes, for rendered faces, ``near`` and ``far``
        populations and ``none``.
    epochs: after which targets are attacked; () takes a quarter and all of the recipe's.
    """

    kind: ClassVar[str] = "pretraining"
    summary: ClassVar[str] = "whether freezing hides anything at equal accuracy, for each pre-training"
    source: ClassVar[str] = "this project, after Ho et al., CVPR 2024 (TL-DMI)"
    does_not_show: ClassVar[str] = (
        "Why: pre-training sets differ in more than their distance from the private images. A trend over "
        "depth is a mean over freeze points, and one point may differ from it. The regression takes the "
        "probit of the attack rate as a line over that of the accuracy and over depth. Whether two "
        "pre-trainings differ is not tested."
    )

    variants: Mapping[str, Mapping[str, Any]] | None = None
    epochs: tuple[int, ...] = ()

    def derive(self, study: Study) -> Study:
        """Return a study of every pre-training, freeze point and epoch."""
        from trainables.config import document, load_method, load_trial
        from trainables.pretraining.base import Pretraining

        variants = self.variants or _synthetic(study)
        if len(variants) < 2:
            raise ConfigError(
                f"analysis '{self.kind}' compares pre-trainings, and expects two or more; got "
                f"{', '.join(variants) or 'none'} (--variants)"
            )
        full: dict[str, Any] = {}
        for name, given in variants.items():
            load_method(Pretraining, dict(given), f"--variants: {name}")
            trial = document(load_trial({**study.trial, PRETRAINING: dict(given)}, f"--variants: {name}"))
            full[name] = trial[PRETRAINING]
        # The template has the first one, so that what is priced has a pre-training, where there is one.
        template = {**study.trial, PRETRAINING: next(iter(full.values()))}
        space = [
            {PRETRAINING: {"cases": {name: by_path(given, PRETRAINING) for name, given in full.items()}}},
            ordered(POINT, self.points(study)),
            ordered(EPOCH, checkpoints(self.epochs, PARTS, study)),
        ]
        return self.derived(study, space, template)

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return, for each pre-training, the shift from nothing frozen to everything at equal accuracy.

        A change is claimed where the permutation test finds it and the interval over people and trainings is
        clear of 0, both after an adjustment for the number of pre-trainings.
        """
        groups = by(runs, PRETRAINING)
        fits = {}
        for name, own in groups.items():
            compared = meeting(own, POINT, UNDEFENDED)
            if not one_seed(runs) and any(run.point != UNDEFENDED for run in compared):
                fits[name] = regression(compared, lambda run: [run.depth])
        known = {name: max(fit.p, fit.effects[0].p) for name, fit in fits.items() if fit is not None}
        adjusted = dict(zip(known, holm(list(known.values())), strict=True))
        rows, sentences, plot = [], [], []
        for name, own in groups.items():
            row: dict[str, Any] = {"pretraining": name, **figures(own), "shift": None, "p": None}
            rows.append(row)
            sentences += [f"{name}: {text}" for text in apart(own, POINT, UNDEFENDED, frozen)]
            for point, of_point in by(own, POINT).items():
                plot += plotted(of_point, f"{name}, {point}")
            fit = fits.get(name)
            if fit is None:
                continue
            (effect,) = fit.effects
            p = adjusted[name]
            row |= {"shift": effect.shift, "shift_interval": [effect.low, effect.high], "p": p}
            if p < LEVEL:
                change = "rises" if effect.shift > 0 else "falls"
                sentences.append(
                    f"{name}: at equal accuracy leakage {change} with freezing depth, by {effect.shift:+.2f} "
                    f"[{effect.low:+.2f}, {effect.high:+.2f}] on the probit scale from nothing to everything "
                    f"frozen, p {p:.2g}"
                )
            else:
                sentences.append(
                    f"{name}: that leakage changes with freezing depth at equal accuracy is not shown "
                    f"(p {p:.2g})"
                )
        silent = [name for name in groups if fits.get(name) is None]
        if one_seed(runs):
            sentences.append(ONE_SEED)
        elif silent:
            sentences.append(
                f"{', '.join(silent)}: too few trainings at accuracies that meet, or leakage that does not "
                "vary beside the accuracy; nothing is concluded"
            )
        return Conclusion(rows=tuple(rows), sentences=tuple(sentences), points=tuple(plot))


def _synthetic(study: Study) -> dict[str, dict[str, Any]]:
    """Return near, far and no pre-training of a study on rendered faces; else raise `ConfigError`."""
    if study.trial["private"]["kind"] != "synthetic_faces":
        raise ConfigError(
            "analysis 'pretraining' knows near and far pre-training sets of rendered faces alone; got "
            f"private images of kind '{study.trial['private']['kind']}' (trial.private); name yours with "
            "--variants FILE, a YAML mapping of names to documents such as {kind: torchvision}"
        )
    own = study.trial[PRETRAINING]
    rendered = own.get("kind") == "dataset" and own["data"]["kind"] == "synthetic_faces"
    base = own if rendered else USUAL
    kinds = {way: {**base, "data": {**base["data"], "population": way}} for way in ("near", "far")}
    return {**kinds, "none": {"kind": "none"}}
