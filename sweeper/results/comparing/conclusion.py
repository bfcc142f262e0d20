"""Conclusion of a comparison, in one sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sweeper.results import formatting
from sweeper.results.comparing.comparison_types import ComparedStudy, FrontComparison, VolumeEstimate
from sweeper.results.comparing.resample import cross_fits, holds_seeds

MANY = 2  # crossings that a sentence names one by one


def conclusion(comparison: FrontComparison) -> str:
    """Return one sentence for a comparison: who is ahead, how sure that is, and where it turns.

    A lead counts as shown only if the interval of the difference of hypervolumes leaves out 0, was drawn over
    people and images that did not choose the fronts, and holds the noise of training seeds: without seeds
    equal recipes are called different in 9 to 28 of 100 cases, without the halves in 15 to 55. Among k
    studies the interval is so wide that those of all k (k - 1) / 2 pairs hold together with 95 %: at 95 %
    each, one of six equal recipes is called ahead of another in 10 to 16 of 100 cases.
    """
    studies = [study for study in comparison.studies if study.trials]
    if not studies:
        return "No study has a finished trial yet."
    order = sorted(studies, key=lambda study: _volume(study), reverse=True)
    first = order[0]
    if len(order) == 1:
        rest = "; the others have no finished trial yet" if len(comparison.studies) > 1 else ""
        return f"'{first.study}' has hypervolume {_alone(first)}{rest}."
    behind = [(study, *_lead(comparison, first.study, study.study)) for study in order[1:]]
    parts = []
    ahead = [study for study, _, shown in behind if shown]
    level = [study for study, _, shown in behind if shown is False]
    unsure = [study for study, _, shown in behind if shown is None]
    leads = {study.study: lead for study, lead, _ in behind}
    if len(order) == 2:
        parts.append(_two(first, *behind[0]))
    else:
        measured = "" if _fitted(first) else " as measured"
        parts.append(
            f"of {len(order)} studies '{first.study}' has the highest hypervolume{measured}, "
            f"{_volume(first):.3f}"
        )
        if ahead:
            parts.append(f"shown to be ahead of {_names(ahead, leads)}")
        if level:
            parts.append(f"not to be told apart from {_names(level, leads)}")
        if ahead or level:
            sure = 100 * max(lead.level for lead in leads.values() if lead)
            parts.append(f"differences have intervals of {sure:.1f} %, so that all hold with 95 %")
        if unsure:
            parts.append(f"how sure that is against {_names(unsure, {})} is not known")
    parts += _turns(comparison, first.study, order[1].study)
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."


def _fitted(study: ComparedStudy) -> bool:
    return study.estimate is not None and cross_fits(study.estimate.basis)


def _volume(study: ComparedStudy) -> float:
    """Return the hypervolume: that which a front has on data that did not choose it, or else as measured."""
    return study.estimate.value if study.estimate and _fitted(study) else study.hypervolume


def _alone(study: ComparedStudy) -> str:
    estimate = study.estimate
    return f"{estimate.value:.3f}{_range(estimate)}" if estimate else f"{study.hypervolume:.3f}"


def _range(estimate: VolumeEstimate) -> str:
    return f" [{estimate.interval[0]:.3f}, {estimate.interval[1]:.3f}]"


def _lead(comparison: FrontComparison, first: str, second: str) -> tuple[VolumeEstimate | None, bool | None]:
    """Return the estimate of the first study's lead, and whether it is shown; None if that is not known.

    There is no estimate to go by where fronts were not valued on data that did not choose them.
    """
    pair = comparison.pair(first, second)
    estimate = pair.estimate
    if estimate is None or not cross_fits(estimate.basis):
        return None, None
    low, high = estimate.interval
    if pair.studies[0] != first:
        low, high = -high, -low
        estimate = replace(estimate, value=-estimate.value, interval=(low, high))
    if low > 0 and not holds_seeds(estimate.basis):
        return estimate, None
    return estimate, bool(low > 0)


def _two(first: ComparedStudy, second: ComparedStudy, lead: VolumeEstimate | None, shown: bool | None) -> str:
    volumes = f"hypervolume {_volume(first):.3f} against {_volume(second):.3f}"
    if lead is None and _volume(first) == _volume(second):
        return (
            f"'{first.study}' and '{second.study}' have the same hypervolume as measured "
            f"({_volume(first):.3f}), but how sure that is is not known"
        )
    if lead is None:
        return (
            f"'{first.study}' has a higher hypervolume than '{second.study}' as measured "
            f"({volumes.removeprefix('hypervolume ')}), but how sure that is is not known"
        )
    difference = f"difference {lead.value:.3f}{_range(lead)}"
    if shown is None:
        return (
            f"these targets of '{first.study}' have a higher hypervolume than those of '{second.study}' "
            f"({volumes.removeprefix('hypervolume ')}, {difference}), but whether other training seeds would "
            "give that again is not known"
        )
    if shown:
        return f"'{first.study}' has the better front than '{second.study}': {volumes}, {difference}"
    return f"'{first.study}' and '{second.study}' are not to be told apart: {volumes}, {difference}"


def _names(studies: Sequence[ComparedStudy], leads: Mapping[str, VolumeEstimate | None]) -> str:
    """Return the studies with their hypervolumes, and how far behind they are where `leads` say it."""
    return ", ".join(
        f"'{study.study}' ({_volume(study):.3f}{_apart(leads.get(study.study))})" for study in studies
    )


def _apart(lead: VolumeEstimate | None) -> str:
    return f", difference {lead.value:.3f}{_range(lead)}" if lead else ""


def _turns(comparison: FrontComparison, first: str, second: str) -> list[str]:
    """Return where the fronts of the two best studies cross, or that they do not."""
    pair = comparison.pair(first, second)
    if pair.crossings is None:
        return []
    level = next(iter(comparison.reference_point))
    crossed = pair.crossings
    if not crossed:
        both = {part.better for part in pair.ranges or () if part.both} - {None}
        if not both:
            return []
        return [f"as measured their fronts do not cross: where both reach, '{both.pop()}' is nowhere worse"]
    places = [formatting.value(level, crossing.level) for crossing in crossed]
    last = crossed[-1]
    if len(crossed) > MANY:
        where = f"{len(crossed)} times between {formatting.objective(level)} {places[0]} and {places[-1]}"
        return [f"as measured their fronts cross {where}, beyond which '{last.beyond}' is better"]
    where = f"as measured their fronts cross at {formatting.objective(level)} {' and '.join(places)}: "
    if len(crossed) == 1:
        return [f"{where}up to there '{last.up_to}' is better, beyond it '{last.beyond}'"]
    return [f"{where}between the two '{last.up_to}' is better, before and beyond them '{last.beyond}'"]
