"""Three sentences on a study in plain words: what its front shows, how sure that is, what it cannot show."""

from collections.abc import Sequence
from statistics import NormalDist

from sweeper.results import formatting
from sweeper.results.comparing.undefended import defended_trials, undefended_trial
from sweeper.results.record_types import StudyRecords
from sweeper.results.stage_files import per_identity
from sweeper.results.trial_record import TrialRecord
from sweeper.statistics.paired import LEVEL, paired_test
from sweeper.statistics.power import smallest_difference

RATE = "attack_accuracy"


def summary(records: StudyRecords) -> list[str]:
    """Return what the front shows, how sure that is, what it cannot show; one sentence without a front."""
    if not records.members:
        return ["No trial has finished yet that keeps the constraints, so that there is no front."]
    return [_shows(records), _sure(records), _cannot(records)]


def _shows(records: StudyRecords) -> str:
    members = records.members
    ranges = []
    for name in records.objectives:
        known = {trial.fresh.values[name]: trial for trial in members if name in trial.fresh.values}
        if not known:  # of a study that a file holds without them
            continue
        ends = list(dict.fromkeys(_figure(name, known[end]) for end in (min(known), max(known))))
        ranges.append(f"{formatting.objective(name)} {' to '.join(ends)}")
    count = len(records.complete)
    text = f"The front holds {len(members)} of {count} trial{'' if count == 1 else 's'}"
    text += f", with {' and '.join(ranges)}"
    plain = undefended_trial(records)
    if plain is not None and plain.fresh.values:
        own = [_figure(name, plain) for name in records.objectives if name in plain.fresh.values]
        text += f"; without a defense it is {' and '.join(own)}"
    return f"{text}."


def _figure(name: str, trial: TrialRecord) -> str:
    holder = trial.fresh
    return formatting.value(name, holder.values[name], formatting.attacked(trial), holder.interval.get(name))


def _sure(records: StudyRecords) -> str:
    parts = []
    reaches = [
        max(trial.fresh.values[RATE] - ends[0], ends[1] - trial.fresh.values[RATE])
        for trial in records.members
        if (ends := trial.fresh.interval.get(RATE)) and RATE in trial.fresh.values
    ]
    if reaches:
        farthest = formatting.percent(max(reaches)).removesuffix(" %")
        parts.append(f"an attack accuracy on it is known to within {farthest} points either way at worst")
    tested = _fewer(records)
    if tested is not None:
        fewer, tests, people, competed = tested
        parts.append(
            f"{fewer} of {tests} defended target{'' if tests == 1 else 's'} on it "
            f"give{'s' if fewer == 1 else ''} away fewer people than the undefended one most like it by a "
            f"paired test over the same {people} people (5 % for {competed}, these targets alone, "
            "without training seeds)"
        )
    if records.interval_holds:
        parts.append(records.interval_holds)
    if not parts:
        return "How sure that is is not known: its figures have no intervals."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _fewer(records: StudyRecords) -> tuple[int, int, int, str] | None:
    """Return how many defended members give away fewer people than their undefended trials, of how many, on
    how many people, and for what the level holds; None where that cannot be tested.

    Levels are divided by the number of trials that the front was chosen from, by these rates (Bonferroni).
    """
    pairs = [(trial, plain) for trial in records.members if (plain := undefended_trial(records, trial))]
    if not pairs or RATE not in records.objectives:
        return None
    rates = per_identity([trial for pair in pairs for trial in pair])
    people = {None if rate is None else len(rate) for rate in rates}
    if None in people or len(people) > 1:
        return None
    known = [rate for rate in rates if rate is not None]
    tests = [paired_test(rate, base) for rate, base in zip(known[::2], known[1::2], strict=True)]
    competed = max(len(tests), len(defended_trials(records)))
    fewer = sum(test.difference < 0 and test.p * competed < LEVEL for test in tests)
    together = "this one test" if competed == 1 else f"all {competed} defended trials that competed together"
    return fewer, len(tests), len(known[0]), together


def _cannot(records: StudyRecords) -> str:
    if records.verdict == "cannot tell":
        return f"It cannot show what a defense keeps private: {records.reason}."
    limits = [f"what attacks other than {_attacks(records.members)} recover"]
    if records.confirmed is None:
        limits.append("how much of the front is luck of the search, before it is confirmed")
    fall = _missed_often(records)
    if fall:
        limits.append(fall)
    if records.verdict is None:
        limits.append("how far the attack is from chance, as no controls were measured")
    return f"It cannot show {', nor '.join(limits)}."


def _attacks(members: Sequence[TrialRecord]) -> str:
    names = dict.fromkeys(name for trial in members for name in trial.fresh.attacks or trial.attacks)
    if not names:
        return "its own"
    return " and ".join(names) if len(names) < 3 else f"the {len(names)} that it met"


def _missed_often(records: StudyRecords) -> str:
    """Return which falls from the undefended attack accuracy are not told in 80 of 100 cases, by tests of all
    defended trials together; "" where there is nothing that could fall, or nobody knows."""
    plain = undefended_trial(records)
    if plain is None or not plain.people or not plain.fresh.values.get(RATE):
        return ""
    rate, people = plain.fresh.values[RATE], plain.people["attacked"]
    deviation = 0.0
    if records.seed_noise is not None and 0 < rate < 1:
        normal = NormalDist()
        seeds = max(1, len((plain.confirmed or plain).replicates))
        deviation = normal.pdf(normal.inv_cdf(rate)) * records.seed_noise.probit / seeds**0.5
    tests = max(1, len(defended_trials(records)))
    smallest = smallest_difference(rate, people, seed_deviation=deviation, tests=tests)
    if smallest is None:
        fall = f"from {formatting.percent(rate)} to nobody"
        return f"any fall of attack accuracy, even one {fall}, which is missed often"
    return f"falls of attack accuracy below about {formatting.percent(smallest)}, which are missed often"
