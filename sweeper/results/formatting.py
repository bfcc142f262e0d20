"""Formatting of numbers, settings and trials in reports."""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sweeper.results.controls.remedies import remedies
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import Ends, TrialRecord
from sweeper.study.adaptive_attackers import attacks_of
from sweeper.study.adaptive_attackers import non_adaptive as missing_attacker
from sweeper.study.defense_figures import defense_said
from sweeper.study.metrics import SHARE, find_metric
from trainables.results import count_behind, upper_bound
from trainables.storage.documents import merge
from trainables.training.frozen_name import frozen_name

_SYMBOLS = {"lambda_x": "λx", "lambda_y": "λy", "beta": "β", "alpha": "α"}


def objective(name: str) -> str:
    """Return the name of an objective, a metric or a curve in words."""
    metric = find_metric(name)
    attack = name.rpartition(".")[0].replace("_", " ")
    if metric is None:
        return name.replace("_", " ")
    return f"{attack}.{metric.label}" if attack else metric.label


def is_share(name: str) -> bool:
    """Return whether a figure is a share of something: a metric says so itself, a curve by its name."""
    metric = find_metric(name)
    if metric is not None:
        return metric.unit == SHARE
    return name.endswith(("share", "chance", "confidence")) or "accuracy" in name


def value(name: str, number: Any, people: float | None = None, ends: Ends | None = None) -> str:
    """Return a measured `number` in the unit of `name`: accuracies and shares in percent.

    people, ends: that a rate of an attack is of, and its interval; zero of them is written as its bound, see
    `bound_of_nobody`. Limits, levels and ticks have neither, and stay numbers.
    """
    if not isinstance(number, int | float):
        return "–" if number is None else str(number)
    bound = bound_of_nobody(name, number, people, ends)
    if bound is not None:
        return f"below {percent(bound)} at 95 %"
    return percent(number) if is_share(name) else format_number(number)


def spread(name: str, number: Any, ends: Ends | None, people: float | None = None) -> Ends | None:
    """Return the interval to write beside a figure: none beside that of nobody, whose text is a bound."""
    return None if bound_of_nobody(name, number, people, ends) is not None else ends


def ranged(name: str, number: Any, ends: Ends | None, people: float | None = None) -> str:
    """Return a figure with its interval as `value` writes them: ``20.0 % [10.0 %, 30.0 %]``."""
    text, beside = value(name, number, people, ends), spread(name, number, ends, people)
    return f"{text} [{value(name, beside[0])}, {value(name, beside[1])}]" if beside else text


def decimals(name: str, number: float, ends: Ends | None = None, people: float | None = None) -> str:
    """Return a figure with its interval for terminals, ``0.200 [0.100, 0.300]``; of nobody as a bound."""
    bound = bound_of_nobody(name, number, people, ends)
    if bound is not None:
        return f"below {bound:.3f} at 95 %"
    return f"{number:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")


def bound_of_nobody(
    name: str, number: Any, people: float | None = None, ends: Ends | None = None
) -> float | None:
    """Return the rate that lies above the true one with 95 % where an attack recovered none of `people`.

    It holds what `ends`, the rate's 95 % interval, holds: who the people are, and training seeds where their
    noise is known. None for a figure that is no rate of an attack, that is not zero, or of which nobody knows
    over how many people it is. Without `people` their number follows from `ends`.
    """
    if number != 0 or not _is_rate_of_people(name):
        return None
    count = people_behind_nobody(people, ends)
    return upper_bound(count) if count else None


def people_behind_nobody(people: float | None, ends: Ends | None) -> float | None:
    """Return of how many people the rate 0 tells as much as it does, with its interval; None if not known.

    An interval that holds training seeds as well is as wide as one of fewer people.
    """
    return min((known for known in (people, count_behind(ends)) if known), default=None)


def _is_rate_of_people(name: str) -> bool:
    """Return whether a figure is the share of attacked people, or of their pictures, that are recovered."""
    metric = find_metric(name)
    own = name.rpartition(".")[2].startswith("attack_accuracy")
    return own and metric is not None and metric.unit == SHARE and not metric.auxiliary


def attacked(trial: TrialRecord) -> int | None:
    """Return how many people a trial attacked; None if it is not known."""
    return (trial.people or {}).get("attacked")


def percent(fraction: float) -> str:
    """Return a fraction as per cent with one decimal."""
    return f"{100 * fraction:.1f} %"


def format_number(number: Any, digits: int = 4) -> str:
    """Return a setting or a number with at most `digits` significant digits; a list by its members."""
    if isinstance(number, list | tuple):
        return ", ".join(format_number(member, digits) for member in number) or "nothing"
    return f"{number:.{digits}g}" if isinstance(number, float) else str(number)


def fresh_seeds(number: int) -> str:
    """Return how many fresh seeds measured something."""
    return f"{number} fresh seed{'' if number == 1 else 's'}"


def measured_again(seeds: int, fresh: Iterable[str]) -> str:
    """Return what was fresh when something was measured again: ``3 fresh seeds, a fresh judge``."""
    parts = [fresh_seeds(seeds)] if "seeds" in fresh else []
    parts += [f"a fresh {part}" for part in fresh if part not in ("seeds", "people")]
    parts += ["people whom the search did not attack"] if "people" in fresh else []
    return ", ".join(parts)


def count(number: int | None) -> str:
    """Return a count with three significant digits and k or M."""
    if number is None:
        return "–"
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size - size // 2000:  # what three digits would round up to it
            return f"{number / size:.3g} {unit}"
    return str(number)


def duration(seconds: float) -> str:
    """Return seconds as the two largest units that matter."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"


def defense(trial: TrialRecord) -> str:
    """Return the defense and its searched weights: ``bido hsic, λx 0.05, λy 0.5``."""
    prefix = "defense."
    knobs = {k.removeprefix(prefix): v for k, v in trial.params.items() if k.startswith(prefix)}
    head = [str(trial.defense or knobs.get("kind", "none"))]
    knobs.pop("kind", None)
    if "measure" in knobs:
        head.append(str(knobs.pop("measure")))
    return ", ".join(
        [" ".join(head), *(f"{_SYMBOLS.get(k, k)} {format_number(v, 3)}" for k, v in knobs.items())]
    )


def family(trial: TrialRecord) -> str:
    """Return the kind of defense, the word that plots group by."""
    return str(trial.defense or trial.params.get("defense.kind") or "none")


def freeze_point(trial: TrialRecord) -> str:
    """Return what the trial freezes, see `frozen_name`; ``none`` if nothing is known of it."""
    searched = {name: trial.params.get(f"target.{name}") for name in ("freeze_point", "trained")}
    return trial.freeze_point or frozen_name(searched)


SHOWN_APART = ("target.freeze_point", "target.trained")


def other_knobs(trial: TrialRecord) -> str:
    """Return what a trial's search varied beside freeze point and defense: ``population near, epochs 12``."""
    others = knobs_beside(trial)
    ends = [path.rpartition(".")[2] for path in others]
    return ", ".join(
        f"{end if ends.count(end) == 1 else path} {format_number(value, 3)}"
        for end, (path, value) in zip(ends, others.items(), strict=True)
    )


def knobs_beside(trial: TrialRecord) -> dict[str, Any]:
    """Return what a trial's search varied beside freeze point and defense, by path."""
    return {
        path: value
        for path, value in trial.params.items()
        if not path.startswith("defense.") and path not in SHOWN_APART
    }


def undefended(trial: TrialRecord) -> bool:
    """Return whether nothing protects this trial: no defense and nothing frozen."""
    return family(trial) == "none" and freeze_point(trial) == "none"


def non_adaptive(records: StudyRecords, trial: TrialRecord, config: Mapping[str, Any] | None = None) -> str:
    """Return who should have attacked a defended trial and did not; "" if all did, or it is not known.

    config: the trial's whole document, which otherwise follows from that of the study.
    """
    document = config or (records.definition or {}).get("trial")
    if not document:
        return ""
    attacks = attacks_of(document if config else merge(dict(document), dict(trial.params)))
    if trial.confirmed and records.confirmed:
        attacks += records.confirmed.attacks or []
    return missing_attacker(family(trial), freeze_point(trial), attacks)


def defense_figures(trial: TrialRecord) -> str:
    """Return what the trial's defense says of figures of its own, as a clause; "" if it has none."""
    said = defense_said(family(trial), trial.metrics)
    return said and f"defense '{family(trial)}': {said}"


def chances(trials: Iterable[TrialRecord]) -> list[float]:
    """Return the attack accuracy of a guess, from the lowest; several where people differ."""
    known = {trial.metrics.get("chance") for trial in trials if trial.complete}
    return sorted(chance for chance in known if chance is not None)


def without_numbers(text: str) -> str:
    """Return a warning as it reads with any figures, so that those that differ in figures alone are one."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


def searched(records: StudyRecords) -> str:
    """Return by which accuracy a study's front was searched and chosen, in a sentence; "" without one."""
    if records.on_validation:
        return (
            "Searched and chosen by validation accuracy; test accuracy is that of images that chose nothing."
        )
    if "test_accuracy" in records.objectives:
        return "Searched and chosen by test accuracy: that of the front is too high on average."
    return ""


def behind(records: StudyRecords) -> list[TrialRecord]:
    """Return the members of the front that another member dominates in what is reported.

    They were chosen on validation images, and stay: to drop them would choose by the test images again.
    """
    members = records.members
    if not records.on_validation or not members:
        return []
    from sweeper.statistics.pareto import non_dominated

    rows = [[trial.values[name] for name in records.objectives] for trial in members]
    ahead = non_dominated(rows, list(records.objectives.values()))
    return [trial for trial, first in zip(members, ahead, strict=True) if not first]


def missed(trials: Iterable[TrialRecord]) -> dict[str, list[int]]:
    """Return the constraints that trials kept while searching and miss in what is reported, with numbers."""
    texts: dict[str, list[int]] = {}
    for trial in trials:
        for text in trial.missed:
            texts.setdefault(text, []).append(trial.number)
    return texts


def warnings(trials: Iterable[TrialRecord]) -> dict[str, list[int]]:
    """Return each warning with the numbers of the trials that have it.

    Those that differ in their numbers only are one: the first trial's, and the words that others are alike.
    """
    texts: dict[str, dict[int, str]] = {}
    for trial in trials:
        for text in trial.warnings:
            texts.setdefault(without_numbers(text), {}).setdefault(trial.number, text)
    grouped = {}
    for of in texts.values():
        first, *others = dict.fromkeys(of.values())
        grouped[f"{first}; others alike" if others else first] = list(of)
    return grouped


def short(trial: TrialRecord) -> str:
    """Return the label of a point: its freeze point, or that it has none."""
    if undefended(trial):
        return "undefended"
    point = freeze_point(trial)
    return "unfrozen" if point == "none" else point


CONTROL_NAMES = {
    "null": ("floor", "pictures of the prior that never saw a target, judged alike"),
    "undefended": ("undefended", "the study's template without a defense"),
    "ceiling": ("ceiling", "the attack pointed at the best view of the people there is, judged alike"),
    "positive": ("positive control", "a target that must leak: smoothed labels, no validation stop"),
    "sampler": ("sampler alone", "batches of BiDO without BiDO"),
}


def controls(
    documents: Mapping[str, Any] | None,
) -> list[tuple[str, str, float | None, float, list[float]]]:
    """Return a row for each control of a study: name, meaning, test accuracy, attack accuracy, interval.

    documents: what the controls measured, as JSON; None gives no rows. The floor has no target and so no
    test accuracy. Intervals hold the noise of training seeds where it is known (`assessment.assessed`), but
    for the floor's.
    """
    rows = []
    wider = (documents or {}).get("with_seeds") or {}
    for key, (name, meaning) in CONTROL_NAMES.items():
        control = (documents or {}).get(key)
        if control is not None:
            rate = control["rate"] if key == "null" else control["attack_accuracy"]
            ends = list(wider.get(key) or control["interval"])
            rows.append((name, meaning, control.get("test_accuracy"), rate, ends))
    return rows


def judges(records: StudyRecords) -> list[list[str]]:
    """Return a row for each judge: who, test accuracy, equal error rate, true acceptance, agreement, false
    positives; none where no trial knows more than the test accuracy of one."""
    described = ((records.definition or {}).get("trial") or {}).get("judge") or {}
    documents = described if isinstance(described, list) else [described]
    designs = {number: document.get("architecture") for number, document in enumerate(documents, 1)}
    rows = []
    for number, judge in enumerate(records.judges, 1):
        measured = [records.of_judge(number, name) for name in ("equal_error_rate", "true_acceptance")]
        limit = records.of_judge(number, "false_acceptance")
        error, accepted = (value("true_acceptance", figure) for figure in measured)
        at = "" if limit is None else f" at 1 in {round(1 / limit)}"
        told = [value(name, judge[name]) for name in ("agreement", "false_positive_rate")]
        name = f"{number}: {' '.join(filter(None, (judge['kind'] or 'judge', designs.get(number))))}"
        rows.append([name, value("test_accuracy", judge["test_accuracy"]), error, f"{accepted}{at}", *told])
    known = len(rows) > 1 or records.of_judge(1, "equal_error_rate") is not None
    return rows if known else []


JUDGE_COLUMNS = (
    "judge",
    "test accuracy",
    "equal error rate",
    "people accepted, strangers at most",
    "agrees with the first",
    "rejects of what the first accepts",
)


def judge_remarks(metrics: Mapping[str, Any]) -> list[str]:
    """Return a sentence on each judge beside the one that counts; metrics: of a trial."""
    sentences: list[str] = []
    for number in itertools.count(2):
        prefix = f"judge_{number}."
        figures = {k.removeprefix(prefix): v for k, v in metrics.items() if k.startswith(prefix)}
        if not figures:
            return sentences
        text = f"Judge {number}, test accuracy {value('test_accuracy', figures.get('test_accuracy'))}, names"
        text += f" whom the first names in {value('agreement', figures.get('agreement'))} of reconstructions"
        wrong = figures.get("false_positive_rate")
        if wrong is not None:
            text += f" and rejects {value('false_positive_rate', wrong)} of those that the first accepts"
        sentences.append(f"{text}.")
    return sentences


def verdict(records: StudyRecords) -> str:
    """Return what a study tells by its controls, with its power, in one sentence; "" without controls."""
    if records.verdict is None:
        return ""
    text = f"This study {records.verdict}: {records.reason}"
    power = (records.controls or {}).get("power") or {}
    if power.get("power") is not None:
        ends = f" ({power['interval'][0]:.2f} to {power['interval'][1]:.2f})" if power["interval"] else ""
        text += f"; its attack gets {power['power']:.2f}{ends} of the way from floor to ceiling"
    helpful = remedies(records.controls)
    if helpful:
        text += f"; what would help: {', '.join(remedy.text for remedy in helpful)}"
    return f"{text}."


def plural(noun: str, number: int, several: str = "") -> str:
    """Return the noun for so many: as it is for one, else `several`, by default with an s."""
    return noun if number == 1 else several or f"{noun}s"
