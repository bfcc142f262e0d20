"""Defenses against a worse classifier: whether each leaks less than one that is no more accurate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sweeper.analyses.base import (
    UNDEFENDED,
    Conclusion,
    FreezeAnalysis,
    checkpoints,
    one_person,
    unknown_noise,
)
from sweeper.analyses.runs import EPOCH, POINT, Run, accuracy, by, rates
from sweeper.statistics.contrasts import Contrast, Term, contrast, holm, seed_noise
from sweeper.statistics.paired import LEVEL
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

TARGET, KIND = "target", "defense.kind"
PARTS = (8, 4, 2, 1)
PLAIN = "undefended"


@dataclass(frozen=True, kw_only=True)
class Defenses(FreezeAnalysis):
    """Every defense, alone and with freezing, against undefended targets that were stopped early.

    A defense counts where it leaks less than the most accurate undefended target, nothing frozen, that is no
    more accurate than it: such a one anybody can have by stopping. Defenses have their published weights.

    epochs: after which the undefended are stopped; () takes an eighth, a quarter and half of the recipe's.
    defenses: kinds that are compared; () takes all that the architecture takes and that are installed.
    freeze_points: () takes that in the middle of the network; nothing frozen stands beside any.
    """

    kind: ClassVar[str] = "defenses"
    summary: ClassVar[str] = "whether a defense leaks less than an undefended target as inaccurate as it"
    source: ClassVar[str] = "this project"
    does_not_show: ClassVar[str] = (
        "Weights are the published ones, chosen for other data, and others may do more. Accuracies are "
        "means over the same test images and seeds, and their noise is not in the intervals. Attacks that do "
        "not know a defense may find less than those that do. Of several attacks the study's rule counts."
    )

    epochs: tuple[int, ...] = ()
    defenses: tuple[str, ...] = ()

    def derive(self, study: Study) -> Study:
        """Return a study of all defenses at each freeze point, and of undefended targets of all epochs."""
        from trainables.architectures import freeze_points

        self.check_people(study)
        known = freeze_points(study.trial["target"]["architecture"])
        points = self.points(study) if self.freeze_points else [UNDEFENDED, known[len(known) // 2]]
        last = study.trial["target"]["epochs"]
        stops = [epoch for epoch in checkpoints(self.epochs, PARTS, study) if epoch < last]
        cases = {PLAIN: _case("none", UNDEFENDED, None)}
        for epoch in stops:
            cases[f"{PLAIN}, epoch {epoch}"] = _case("none", UNDEFENDED, epoch)
        for kind in self._chosen(study):
            for point in points:
                if (kind, point) != ("none", UNDEFENDED):
                    cases[_named(kind, point)] = _case(kind, point, None)
        # The template's own defense has weights that others do not know.
        trial = {**study.trial, "defense": {"kind": "none"}}
        return self.derived(study, [{TARGET: {"cases": cases}}], trial)

    def conclude(self, runs: Sequence[Run]) -> Conclusion:
        """Return each target less the undefended one to compare it with; p values are adjusted for all."""
        groups = by(runs, TARGET)
        noise = seed_noise([rates(own) for own in groups.values()])
        plain = {name: own for name, own in groups.items() if _is_plain(name)}
        tests: dict[str, Contrast] = {}
        against: dict[str, str] = {}
        for name, own in groups.items():
            worse = {other: accuracy(of) for other, of in plain.items() if accuracy(of) <= accuracy(own)}
            if _is_plain(name) or not worse:
                continue
            against[name] = max(worse, key=worse.__getitem__)
            if one_person(runs):
                continue
            terms = ((1.0, own), (-1.0, plain[against[name]]))
            tests[name] = contrast([Term(weight=w, rates=rates(of), noise=noise) for w, of in terms])
        adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
        rows = [
            {
                "target": name,
                "test_accuracy": accuracy(own),
                "attack_accuracy": float(rates(own).mean()),
                "against": against.get(name),
                "difference": tests[name].difference if name in tests else None,
                **({"difference_interval": [tests[name].low, tests[name].high]} if name in tests else {}),
                "p": adjusted.get(name),
            }
            for name, own in groups.items()
        ]
        if unknown := unknown_noise(runs):
            return Conclusion(rows=tuple(rows), sentences=(unknown,))
        sentences = [_sentence(name, test, against[name], adjusted[name]) for name, test in tests.items()]
        found = [text for text in sentences if text]
        if tests and not any(test.difference < 0 and adjusted[name] < LEVEL for name, test in tests.items()):
            found.append(
                "that a defense leaks less than an undefended target that is no more accurate is not shown; "
                f"intervals leave room for {min(test.low for test in tests.values()):+.3f}"
            )
        alone = [name for name in groups if not _is_plain(name) and name not in tests]
        if alone:
            found.append(
                f"less accurate than every undefended target, and compared with none: {', '.join(alone)}; "
                "stop some earlier (--epoch)"
            )
        return Conclusion(rows=tuple(rows), sentences=tuple(found))

    def _chosen(self, study: Study) -> list[str]:
        """Return the defenses to compare, ``none`` for freezing alone first; raise `ConfigError`."""
        from search_spaces.defenses import BRANCHES
        from trainables.architectures import get_architecture
        from trainables.defenses import DEFENSES

        architecture = get_architecture(study.trial["target"]["architecture"])
        chosen = []
        for kind in self.defenses or BRANCHES:
            if kind not in DEFENSES:
                raise ConfigError(
                    f"expected defenses, some of {', '.join(DEFENSES)}; got '{kind}'"
                    f"{suggestion(kind, DEFENSES)} (--defense)"
                )
            try:
                DEFENSES[kind]().check(architecture, study.trial["image_size"])
                DEFENSES[kind]().check_installed()
            except ConfigError:
                if self.defenses:
                    raise
                continue
            chosen.append(kind)
        return list(dict.fromkeys(["none", *chosen]))


def _case(kind: str, point: str, epoch: int | None) -> dict[str, Any]:
    return {KIND: kind, POINT: point, EPOCH: epoch}


def _named(kind: str, point: str) -> str:
    """Return the name of a target: its defense, and what is frozen."""
    if point == UNDEFENDED:
        return kind
    return f"frozen to {point}" if kind == "none" else f"{kind}, frozen to {point}"


def _is_plain(name: str) -> bool:
    return name.partition(",")[0] == PLAIN


def _sentence(name: str, test: Contrast, against: str, p: float) -> str:
    """Return what the test of a target carries, "" where it carries nothing."""
    if p >= LEVEL:
        return ""
    less = "less" if test.difference < 0 else "more"
    return (
        f"{name}: leaks {less} than {against}, which is no more accurate: attack accuracy "
        f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}], p {p:.2g}"
    )
