"""Person by person: who was recovered in any restart by any attack, how often, and who is the worst off.

An average says nothing of the one person who is recovered every time; whoever releases a model answers for
each (EDPB Opinion 28/2024: insignificant for each data subject).

Privacy. Who is recovered is private itself, and names say whom it is about. On the terminal and in the JSON,
which stay with whoever has the study's home, a person stands with label and name, as the study knows them.
What travels, the report, the card of an exported target and MLflow, has labels alone, and names only where
the study shows private images (``tracking.images``).
"""

from collections.abc import Sequence

from sweeper.results.formatting import percent, plural
from sweeper.results.person_record import PersonRecord
from sweeper.results.stage_files import Judged, judged_attacks
from sweeper.results.trial_record import TrialRecord
from trainables.results import upper_bound


def recovered(trials: Sequence[TrialRecord]) -> tuple[PersonRecord, ...] | None:
    """Return what was recovered of each attacked person, over all of `trials`, the worst off first.

    Each reconstruction counts once: restarts x attacks x seeds, those of a confirmation too. None without
    trials, where a file of their evaluations is not on this machine, and where they show other people.
    """
    judged = judged_attacks(trials)
    names = {tuple(attack.names) for attacks in judged for attack in attacks or ()}
    if not trials or None in judged or len(names - {()}) > 1:
        return None
    known = next(iter(names - {()}), ())
    tried: dict[int, list[tuple[int, Judged, float]]] = {}
    scores: dict[int, list[float]] = {}
    for trial, attacks in zip(trials, judged, strict=True):
        for attack in attacks or ():
            for place, label in enumerate(attack.identities):
                tried.setdefault(label, []).append((trial.number, attack, attack.rates[place]))
                scores.setdefault(label, []).extend([attack.scores[place]] if attack.scores else [])
    people = [
        PersonRecord(
            identity=label,
            name=known[label] if label < len(known) else None,
            recovered=sum(round(rate * attack.restarts) for _, attack, rate in rows),
            attempts=sum(attack.restarts for _, attack, _ in rows),
            score=max(scores[label], default=None),
            trials=tuple(dict.fromkeys(number for number, _, rate in rows if rate > 0)),
        )
        for label, rows in tried.items()
    ]
    return tuple(sorted(people, key=lambda person: (-person.rate, -(person.score or 0.0), person.identity)))


def worst_off(people: Sequence[PersonRecord] | None, *, names: bool = False, trials: int = 1) -> str:
    """Return in one sentence who is the worst off among `people`; "" where nobody knows.

    names: also by name, see the module. trials: over how many their figures are.
    """
    if not people:
        return ""
    over = "" if trials == 1 else f" over {trials} trials of the front"
    everybody = f"{len(people)} {plural('person', len(people), 'people')}"
    met = [person for person in people if person.recovered]
    if not met:
        bound = percent(upper_bound(len(people)))
        attempts = sorted({person.attempts for person in people})
        times = " to ".join(map(str, dict.fromkeys((attempts[0], attempts[-1]))))
        return (
            f"nobody of {everybody} was recovered in {times} {plural('reconstruction', attempts[-1])} of "
            f"each{over}: below {bound} of people at 95 % for these targets"
        )
    worst = people[0]
    return (
        f"worst off: {spelled(worst, names=names)}, recovered in {worst.recovered} of {worst.attempts} "
        f"{plural('reconstruction', worst.attempts)} ({percent(worst.rate)}{_score(worst)}){over}; "
        f"{len(met)} of {everybody} {plural('was', len(met), 'were')} recovered at least once"
    )


def _score(person: PersonRecord) -> str:
    return "" if person.score is None else f", best score {person.score:.2f}"


def spelled(person: PersonRecord, *, names: bool) -> str:
    """Return a person's label, and the name if `names` may be told."""
    named = f" ({person.name})" if names and person.name else ""
    return f"person {person.identity}{named}"
