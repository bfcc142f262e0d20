"""Tables at the end of a sweep: the front, its hypervolume, what to beware of, where to look."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sized

from rich.console import Console
from rich.table import Table

from sweeper.cli.console import WIDTH, console, warn
from sweeper.engine.sweep import SweepResult
from sweeper.results import formatting
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.confirmed import LIKELY
from sweeper.results.controls import texts
from sweeper.results.controls.pretraining_distance import distance_risk, distance_sentence, distances
from sweeper.results.panels.show import sentences
from sweeper.results.people import worst_off
from sweeper.results.record_types import StudyConfirmation, StudyRecords
from sweeper.results.trial_record import TrialRecord
from sweeper.storage.home import Home
from sweeper.study.objectives import bound
from sweeper.study.study import Study
from trainables.errors import ConfigError

ACCURACIES = ("test accuracy", "attack accuracy")
FRONT_WIDTH = 150  # where stdout is no terminal: three intervals and the standing fit
VERIFIED = "attack_accuracy_verified"


def show(outcome: SweepResult, study: Study, home: Home) -> None:
    """Print the outcome of a sweep to stdout, and warnings to stderr."""
    records = outcome.records
    if outcome.before >= study.budget:
        print(f"study '{study.name}' is complete: {_trials(records.complete)}; nothing to run")
    show_front(records)
    show_warnings(records, outcome.problems)
    if outcome.report is not None:
        print(f"report:  {outcome.report}")
    if study.tracking.mlflow:
        print(f"browse:  sweeper ui {home.option}")


def show_front(records: StudyRecords, *, everything: bool = False) -> None:
    """Print the front as a table, the hypervolume with its reference point, and what is infeasible.

    An undefended trial stands in the table even if it is dominated. everything: all other trials as well.
    A column says of each where it stands, if not all are on the front.
    """
    objectives = list(records.objectives)
    first, direction = next(iter(records.objectives.items()))
    plain = undefended_trial(records)
    trials = [trial for trial in records.trials if everything or trial.on_front or (plain and trial is plain)]
    better = -1 if direction == "maximize" else 1
    trials.sort(key=lambda trial: (first not in trial.values, better * trial.values.get(first, 0.0)))
    confirmed = records.confirmed
    title = f"Trials of '{records.study}'" if everything else f"Front of '{records.study}'"
    table = Table(title=title, title_justify="left", caption=_caption(records), caption_justify="left")
    verified = not confirmed and _has_verified(trials, objectives)
    for name in ("trial", *map(formatting.objective, objectives), *(("verified",) if verified else ())):
        table.add_column(name)
    for name in (*(("in search", "on front") if confirmed else ()), "freeze point", "defense"):
        table.add_column(name)
    others = any(map(formatting.other_knobs, trials))
    if others:
        table.add_column("other knobs")
    if not confirmed:  # the width is used up
        table.add_column("trained parameters", justify="right")
    behind = {trial.number for trial in formatting.behind(records)}
    outside = not all(trial.on_front and trial.number not in behind and not trial.missed for trial in trials)
    if outside:
        table.add_column("standing")
    for trial in trials:
        table.add_row(
            str(trial.number),
            *(_value(trial, name) for name in objectives),
            *((_verified(trial),) if verified else ()),
            *(_searched(trial, objectives) if confirmed else ()),
            trial.freeze_point or "",
            formatting.defense(trial),
            *((formatting.other_knobs(trial),) if others else ()),
            *(() if confirmed else (_parameters(trial),)),
            *((_standing(trial, trial.number in behind),) if outside else ()),
        )
    console(FRONT_WIDTH).print(table)
    print(f"hypervolume {records.hypervolume:.4f} (reference point: {_point(records)})")
    if records.interval_holds and records.complete:
        print(records.interval_holds)
    if sentence := formatting.searched(records):
        print(sentence)
    if confirmed:
        _show_confirmed(records, confirmed)
    _show_importances(records)
    _show_controls(records)
    for distance in distances(records):
        print("; ".join(filter(None, (distance_sentence(distance), distance_risk(distance)))))
    worst = worst_off(records.people, names=True, trials=len(records.members))
    if worst:
        print(worst)
    for sentence in sentences(records.panels):
        print(sentence)
    _show_stopped(records)
    _show_judges(records)
    screened = [str(trial.number) for trial in records.trials if trial.state == "screened"]
    if screened:
        print(f"screened after a short attack: {_trials(screened)} ({', '.join(screened)})")
    missed: dict[str, list[str]] = defaultdict(list)
    for trial in records.trials:
        if trial.feasible is False:
            missed[str(trial.reason)].append(str(trial.number))
    for reason, numbers in missed.items():
        print(f"infeasible, {reason}: {_trials(numbers)} ({', '.join(numbers)})")
    if behind:
        print(f"dominated by another member on test images: {_named(map(str, sorted(behind)))}")
    for text, short in formatting.missed(records.trials).items():
        shown = ", ".join(map(str, short))
        print(f"kept while searching, missed on test images, {text}: {_trials(short)} ({shown})")


def show_people(records: StudyRecords) -> None:
    """Print what was recovered of each person over the trials of the front, the worst off first.

    Raises `ConfigError` where that is not known.
    """
    if records.people is None:
        raise ConfigError(
            f"expected the evaluations of the front of '{records.study}' on this machine, for what was "
            "recovered of each person; some are not here, or there is no front yet (--people): ask where the "
            "sweep ran, or with its store at the same place"
        )
    table = Table(title="People, the worst off first", title_justify="left")
    for column in ("person", "name"):
        table.add_column(column, overflow="fold")
    for column in ("recovered", "of", "rate", "best score"):
        table.add_column(column, justify="right")
    table.add_column("in trials", overflow="fold")
    for person in records.people:
        table.add_row(
            str(person.identity),
            person.name or "",
            str(person.recovered),
            str(person.attempts),
            f"{person.rate:.3f}",
            "–" if person.score is None else f"{person.score:.3f}",
            ", ".join(map(str, person.trials)),
        )
    console(FRONT_WIDTH).print(table)


def show_warnings(records: StudyRecords, problems: list[str]) -> None:
    """Print to stderr what a reader must know before believing the front."""
    width = None if Console(stderr=True).is_terminal else WIDTH
    aside = Console(stderr=True, width=width, highlight=False)
    grouped = formatting.warnings(records.trials)
    rising = texts.rising_warning(records.controls)
    trials = [f"{text} ({_trials(numbers)})" for text, numbers in grouped.items()]
    warn([*trials, *([rising] if rising else []), *problems])
    failed = Counter(str(trial.reason) for trial in records.trials if trial.state == "failed")
    if failed:
        word = formatting.plural("trial", failed.total())
        aside.print(f"{failed.total()} failed {word}:", style="yellow")
        for reason, count in failed.most_common(5):
            aside.print(f"  {count} x {reason}", markup=False)


def _show_importances(records: StudyRecords) -> None:
    """Print which parameters decide, as far as they stand above noise; nothing with too few trials."""
    from sweeper.results.importance import importances

    for goal, importance in importances(records.complete, records.objectives).items():
        shares = ", ".join(
            f"{name} {share:.0%} (noise reaches {importance.noise[name]:.0%})"
            for name, share in importance.above.items()
        )
        print(f"what decides {formatting.objective(goal)}: {shares or 'no parameter above noise'}")


def _show_controls(records: StudyRecords) -> None:
    """Print what the study's figures are held against, and whether they can tell anything."""
    rows = formatting.controls(records.controls)
    if not rows:
        return
    table = Table(title="Controls", title_justify="left")
    for column in ("control", "test accuracy", "attack accuracy", "what it is"):
        table.add_column(column)
    for name, meaning, accuracy, rate, ends in rows:
        shown = "–" if accuracy is None else f"{accuracy:.3f}"
        table.add_row(name, shown, formatting.decimals("attack_accuracy", rate, ends), meaning)
    console(FRONT_WIDTH).print(table)
    print(formatting.verdict(records))
    budget = texts.budget_sentence(records.controls)
    if budget:
        print(budget)


def _show_stopped(records: StudyRecords) -> None:
    """Print the front beside the undefended target stopped at its accuracies."""
    trials = [trial for trial in records.members if trial.stopped is not None]
    if not trials:
        return
    table = Table(title="Beside the undefended target, stopped where it is as accurate", title_justify="left")
    for column in ("trial", *ACCURACIES, "stopped after epoch", *ACCURACIES, "the trial"):
        table.add_column(column)
    for trial in trials:
        beside, people = trial.stopped or {}, formatting.attacked(trial)
        table.add_row(
            str(trial.number),
            *(
                formatting.decimals(name, trial.values[name], people=people) if name in trial.values else "–"
                for name in ("test_accuracy", "attack_accuracy")
            ),
            texts.stopped_after(beside),
            f"{beside['test_accuracy']:.3f}",
            formatting.decimals("attack_accuracy", beside["attack_accuracy"], beside["interval"]),
            texts.SHORT_TEXTS[beside["verdict"]],
        )
    console(FRONT_WIDTH).print(table)


def _show_judges(records: StudyRecords) -> None:
    """Print how far the judges are to be believed: each by itself, and the others about the first."""
    rows = formatting.judges(records)
    if not rows:
        return
    table = Table(title="Judges, the first of which counts", title_justify="left")
    for column in formatting.JUDGE_COLUMNS:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    console(FRONT_WIDTH).print(table)


def _trials(which: Sized) -> str:
    """Return how many trials they are: ``3 trials``."""
    return f"{len(which)} {formatting.plural('trial', len(which))}"


def _named(numbers: Iterable[str]) -> str:
    """Return the trials by number: ``trials 3, 11``."""
    known = list(numbers)
    return f"{formatting.plural('trial', len(known))} {', '.join(known)}"


def _has_verified(trials: list[TrialRecord], objectives: list[str]) -> bool:
    """Return whether verified accuracy is a column of its own: measured, and not searched for."""
    return VERIFIED not in objectives and any(trial.metrics.get(VERIFIED) is not None for trial in trials)


def _verified(trial: TrialRecord) -> str:
    figure, interval = trial.metrics.get(VERIFIED), trial.interval.get(VERIFIED)
    if figure is None:
        return "–"
    return formatting.decimals(VERIFIED, figure, interval, formatting.attacked(trial))


def _caption(records: StudyRecords) -> str:
    """Return what a guess reaches, for whoever reads a column of attack accuracy; "" if there is none.

    Where the floor was measured, that counts instead: the controls below the table show it.
    """
    if records.controls and records.controls.get("null"):
        return ""
    chances = formatting.chances(records.trials)
    if not chances or "attack_accuracy" not in records.objectives:
        return ""
    return f"attack accuracy of a guess (chance): {', '.join(f'{chance:.3g}' for chance in chances)}"


def _standing(trial: TrialRecord, behind: bool) -> str:
    """Return where a trial stands: on the front, beside it and why, or what became of it.

    behind: whether another member of the front is better in what is reported.
    """
    if trial.on_front:
        doubts = [*(["behind"] if behind else []), *(["misses limit"] if trial.missed else [])]
        return ", ".join(("front", *doubts))
    if not trial.complete:
        return trial.state
    return "infeasible" if trial.feasible is False else "dominated"


def _value(trial: TrialRecord, name: str) -> str:
    holder = trial.fresh
    if name not in holder.values:
        return "–"
    people = formatting.attacked(trial)
    return formatting.decimals(name, holder.values[name], holder.interval.get(name), people)


def _show_confirmed(records: StudyRecords, confirmed: StudyConfirmation) -> None:
    """Print what fresh seeds say of the front as a whole."""
    more = ", ".join(str(attack.get("kind")) for attack in confirmed.attacks or ())
    least = "at least " if "seeds" in confirmed.fresh else ""
    with_more = f", and further attacks: {more}" if more else ""
    again = formatting.measured_again(confirmed.seeds, confirmed.fresh)
    print(f"measured again under {least}{again}{with_more}: hypervolume {confirmed.hypervolume:.4f}")
    probabilities = [
        (trial, trial.confirmed.front_probability)
        for trial in records.trials
        if trial.confirmed and trial.confirmed.front_probability is not None
    ]
    doubtful = [str(trial.number) for trial, p in probabilities if trial.on_front and p < LIKELY]
    likely = [str(trial.number) for trial, p in probabilities if not trial.on_front and p >= LIKELY]
    if doubtful:
        print(f"probably not on the front: {_named(doubtful)}")
    if likely:
        print(f"probably on the front, though not by the search's own figures: {_named(likely)}")


def _searched(trial: TrialRecord, objectives: list[str]) -> tuple[str, str]:
    """Return what the search measured, and how sure the trial is on the front, if it was measured again."""
    if not trial.complete:
        return "", ""
    if not trial.confirmed:
        return "not again", ""
    probability = trial.confirmed.front_probability
    people = formatting.attacked(trial)
    before = ", ".join(formatting.decimals(name, trial.values[name], people=people) for name in objectives)
    return before, "" if probability is None else f"{probability:.0%}"


def _point(records: StudyRecords) -> str:
    """Return the reference point in words, with what is no natural bound marked as such."""
    return ", ".join(
        f"{name} {value:g}"
        + ("" if bound(name, records.objectives[name]) is not None else ", the worst measured")
        for name, value in records.reference_point.items()
    )


def _parameters(trial: TrialRecord) -> str:
    if trial.trained_params is None:
        return ""
    return f"{trial.trained_params:,} of {trial.total_params:,}"
