"""Choice of the trial to release under a limit, how sure that is, and what would make it surer."""

import math
import shlex
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from sweeper.results import formatting
from sweeper.results.confirmed import LIKELY
from sweeper.results.controls import texts
from sweeper.results.controls.figures import LESS
from sweeper.results.controls.pretraining_distance import distance_of, distance_risk
from sweeper.results.one_data import check_one_data
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import TrialConfirmation, TrialRecord
from sweeper.statistics.membership import drawn_means
from trainables.errors import ConfigError, TrialError

SURE = 0.95
NORMAL = NormalDist().inv_cdf(0.975)
MOST_SEEDS = 50  # beyond this, seeds are no remedy

_OTHER = {"attack_accuracy": "test_accuracy", "test_accuracy": "attack_accuracy"}


def pick(
    records: StudyRecords,
    *,
    max_attack_accuracy: float | None = None,
    min_accuracy: float | None = None,
    anyway: bool = False,
) -> dict[str, Any]:
    """Return the trial to release: the most accurate one that keeps the limit on the attack, or the least
    attackable one that keeps the limit on accuracy. Exactly one limit is given, in [0, 1].

    Figures are those of fresh seeds where the study was confirmed; then only confirmed trials count, since
    the search's own figures are too good on average for the trials that look best. Elsewhere a study that
    searched on validation images is chosen from by these: the test images only say what the choice reaches.
    JSON-ready: ``study``, ``limit``, ``trial``, ``chosen_by`` (the figures that decided), ``values``,
    ``interval``, ``interval_holds`` (a sentence), ``seeds`` (fresh ones; 0 if the figures are the search's),
    ``seeds_of_search``, ``fresh``, ``freeze_point``, ``defense``, ``params``, ``sure``: ``limit`` (that it
    truly keeps the limit, from its interval), ``front`` (`TrialConfirmation.front_probability`) and ``best``
    (share of bootstrap draws of seeds in which no other trial keeps the limit and is better, for these
    people), None where unknown; ``safer``: the best trial that keeps the limit with its whole interval, if
    another; ``advice``: what would make it surer.
    Raises `TrialError` for a study that cannot tell by its controls, unless `anyway`; `ConfigError` for
    limits that make no sense, for a limit that no trial keeps, naming the nearest, and for trials of
    different data.
    """
    name, limit = _limit(max_attack_accuracy, min_accuracy)
    check_one_data(records)
    if records.verdict == "cannot tell" and not anyway:
        raise TrialError(
            f"{formatting.verdict(records)} A choice by attack accuracy would say nothing about privacy; "
            "--anyway picks all the same"
        )
    for needed in _OTHER:
        if needed not in records.objectives:
            raise ConfigError(f"pick needs the objective {needed}, which study '{records.study}' has not")
    trials = [trial for trial in records.complete if trial.feasible]
    confirmed = [trial for trial in trials if trial.confirmed]
    # Once fresh seeds have measured some, the search's own figures of the others are too good to be believed.
    candidates = [t for t in confirmed or trials if _keeps(_figures(records, t)[name], name, limit)]
    if not candidates:
        raise ConfigError(_none(records, confirmed or trials, name, limit))
    best = min(candidates, key=lambda trial: _rank(records, trial, name))
    safe = [trial for trial in candidates if _keeps(_worst_end(trial, name), name, limit)]
    safer = min(safe, key=lambda trial: _rank(records, trial, name), default=None)
    fresh = best.confirmed
    chances = {
        "limit": _chance(best, name, limit),
        "front": fresh.front_probability if fresh else None,
        "best": _best_of(best, confirmed, records, name, limit) if fresh else None,
    }
    return {
        "study": records.study,
        "limit": {name: limit},
        "trial": best.number,
        "chosen_by": {_seen(records, best, key): value for key, value in _figures(records, best).items()},
        "values": dict(best.fresh.values),
        "interval": dict(best.fresh.interval),
        "interval_holds": records.interval_holds,
        "seeds": fresh.seeds if fresh else 0,
        "seeds_of_search": max(1, len(best.replicates)),
        "fresh": list(fresh.fresh) if fresh else [],
        "freeze_point": formatting.freeze_point(best),
        "defense": formatting.defense(best),
        "params": best.params,
        "sure": {key: None if value is None else round(value, 3) for key, value in chances.items()},
        "safer": None if safer is None or safer is best else safer.number,
        "advice": _advice(records, best, name, limit, chances),
    }


def _limit(max_attack_accuracy: float | None, min_accuracy: float | None) -> tuple[str, float]:
    given = [
        (name, value)
        for name, value in (("attack_accuracy", max_attack_accuracy), ("test_accuracy", min_accuracy))
        if value is not None
    ]
    if len(given) != 1:
        raise ConfigError("pick needs one limit: --max-attack-accuracy or --min-accuracy")
    name, value = given[0]
    if not 0 <= value <= 1:
        raise ConfigError(
            f"a limit on {formatting.objective(name)} must be a share from 0 to 1; got {value:g}"
        )
    return name, value


def _keeps(value: float, name: str, limit: float) -> bool:
    return value <= limit if name == "attack_accuracy" else value >= limit


def _figures(records: StudyRecords, trial: TrialRecord) -> Mapping[str, float]:
    """Return the figures that a trial is chosen by: fresh seeds', else what the search saw of it."""
    if trial.confirmed:
        return trial.confirmed.values
    return dict(zip(records.objectives, records.searched_values(trial), strict=True))


def _seen(records: StudyRecords, trial: TrialRecord, name: str) -> str:
    """Return the name of what a trial is chosen by, for an objective."""
    seen = dict(zip(records.objectives, records.searched or records.objectives, strict=True))
    return name if trial.confirmed else seen[name]


def _rank(records: StudyRecords, trial: TrialRecord, name: str) -> tuple[float, float, int]:
    """Return what is lowest for the best trial: first the objective without a limit, then the other."""
    values = _figures(records, trial)
    accuracy, attack = -values["test_accuracy"], values["attack_accuracy"]
    first, second = (accuracy, attack) if name == "attack_accuracy" else (attack, accuracy)
    return first, second, trial.number


def _worst_end(trial: TrialRecord, name: str) -> float:
    """Return the end of the trial's interval that is nearer to breaking the limit; infinitely bad without."""
    ends = trial.fresh.interval.get(name)
    if not ends:
        return math.inf if name == "attack_accuracy" else -math.inf
    return float(ends[1] if name == "attack_accuracy" else ends[0])


def _chance(trial: TrialRecord, name: str, limit: float) -> float | None:
    """Return the chance that the true value keeps the limit: normal, as wide as the interval on that side.

    Of nobody found it is one less the chance of that at the limit, as in `formatting.bound_of_nobody`.
    """
    end = _worst_end(trial, name)
    value = trial.fresh.values[name]
    if name == "attack_accuracy" and value == 0:
        ends = trial.fresh.interval.get(name)
        people = formatting.people_behind_nobody(formatting.attacked(trial), ends)
        return 1 - (1 - limit) ** people if ends and people else None
    spread = abs(end - value) / NORMAL
    if not math.isfinite(spread):
        return None
    room = limit - value if name == "attack_accuracy" else value - limit
    return NormalDist().cdf(room / spread) if spread > 0 else 1.0


def _best_of(
    best: TrialRecord, confirmed: Sequence[TrialRecord], records: StudyRecords, name: str, limit: float
) -> float | None:
    """Return the share of draws of fresh means in which `best` keeps the limit and no other that does is
    better in the other objective. Seeds alone are drawn, so that it is of the people who were attacked."""
    names = list(records.objectives)
    drawn = drawn_means(
        [
            np.array([[seed.values[key] for key in names] for seed in trial.confirmed.replicates])
            for trial in confirmed
            if trial.confirmed
        ]
    )
    if drawn is None:
        return None
    at = [trial.number for trial in confirmed].index(best.number)
    limited, other = drawn[:, :, names.index(name)], drawn[:, :, names.index(_OTHER[name])]
    sign = 1.0 if name == "attack_accuracy" else -1.0  # the other objective, higher is better
    keeps = limited <= limit if name == "attack_accuracy" else limited >= limit
    score = np.where(keeps, sign * other, -np.inf)
    return float(((score[:, at] >= score.max(axis=1)) & keeps[:, at]).mean())


def _none(records: StudyRecords, trials: Sequence[TrialRecord], name: str, limit: float) -> str:
    if not trials:
        if not records.complete:
            return f"no trial of study '{records.study}' has a result yet; run it first"
        reasons = dict.fromkeys(str(trial.reason) for trial in records.complete)
        return (
            f"no finished trial of study '{records.study}' keeps its constraints ({'; '.join(reasons)}); "
            "search further, or relax them in a study of another name"
        )
    sign = 1.0 if name == "attack_accuracy" else -1.0
    near = min(trials, key=lambda trial: sign * _figures(records, trial)[name])
    values, people = _figures(records, near), formatting.attacked(near)
    reached = [
        f"{formatting.objective(_seen(records, near, key))} "
        f"{formatting.decimals(key, values[key], None, people)}"
        for key in _OTHER
    ]
    return (
        f"no trial of study '{records.study}' has {formatting.objective(_seen(records, near, name))} "
        f"{'at most' if name == 'attack_accuracy' else 'at least'} {limit:g}; the nearest is trial "
        f"{near.number} with {' and '.join(reached)}; relax the limit, or search further"
    )


def _advice(
    records: StudyRecords, best: TrialRecord, name: str, limit: float, chances: Mapping[str, float | None]
) -> list[str]:
    """Return what would make the choice surer, the cheapest first."""
    advice = [formatting.verdict(records)] if records.verdict == "cannot tell" else []
    study, fresh = records.study, best.confirmed
    if not fresh:
        advice.append(
            f"these are the search's own figures, of {_measured(len(best.replicates))} that looked good: "
            f"`sweeper confirm {study} --seeds 3` measures the front again under fresh seeds"
        )
    elif "seeds" not in fresh.fresh:
        advice.append(f"no fresh training seed measured it: `sweeper confirm {study} --seeds 3`")
    elif len(fresh.replicates) < 2:
        advice.append(f"one fresh seed says nothing of their spread: `sweeper confirm {study} --seeds 3`")
    elif chances["limit"] is not None and chances["limit"] < SURE:
        advice.append(_more(study, fresh, name, limit))
    if records.seed_noise is None and records.interval_holds:
        hopeful = (chances["limit"] or 0.0) > 0.5
        so = ", so the chance to keep the limit is overstated" if hopeful else ""
        advice.append(f"{records.interval_holds}{so}")
    if chances["front"] is not None and chances["front"] < LIKELY:
        advice.append("it is probably not on the front: another trial is likely to be better in everything")
    advice += [f"its test accuracy misses {text}, which it kept on validation images" for text in best.missed]
    attacks = list((fresh and fresh.attacks) or best.attacks)
    if len(attacks) < 2:
        met = attacks[0] if attacks else "one attack"
        advice.append(
            f"it was attacked with {met} alone, and another may recover more: "
            f"`sweeper confirm {study} --attacks NAME` (`sweeper list attacks`)"
        )
    rising = texts.rising_warning(records.controls)
    if best.stopped is not None and best.stopped["verdict"] != LESS:
        advice.append(texts.stopped_sentence(best))
    risk = distance_risk(distance_of(records, best))
    return [*advice, *filter(None, (rising, risk)), *map(str, best.warnings)]


def _measured(seeds: int) -> str:
    """Return what the search measured a trial by."""
    return "one measurement" if seeds < 2 else f"{seeds} seeds"


def _more(study: str, fresh: TrialConfirmation, name: str, limit: float) -> str:
    """Return what narrows the interval of two seeds or more enough to keep off the limit."""
    values = [seed.values[name] for seed in fresh.replicates]
    gap = abs(limit - fresh.values[name])
    margins = [
        abs(seed.interval[name][1 if name == "attack_accuracy" else 0] - seed.values[name])
        for seed in fresh.replicates
        if seed.interval.get(name)
    ]
    margin = math.fsum(margins) / len(margins) if margins else 0.0
    room = math.sqrt(max(0.0, gap**2 - margin**2))
    spread = float(np.std(values, ddof=1))
    seeds = math.ceil((NORMAL * spread / room) ** 2) if room > 0 else MOST_SEEDS + 1
    if seeds <= MOST_SEEDS:
        more = max(seeds, len(values) + 1)
        return (
            f"its interval reaches over the limit: about {more} fresh seeds may settle it, "
            f"`sweeper confirm {study} --seeds {more}`"
        )
    if margin >= gap:
        return (
            "its interval reaches over the limit because few identities were attacked: a study that attacks "
            "more of them (trial.identities) narrows it; more seeds do not"
        )
    return "it lies too close to the limit for more seeds to settle: choose one further from it, or relax it"


def show_pick(choice: Mapping[str, Any], home: str | None = None) -> None:
    """Print a choice of `pick`. home: where its commands work, unless they find it themselves."""
    (name, limit), chances = next(iter(choice["limit"].items())), choice["sure"]
    point = choice["freeze_point"]
    frozen = "nothing frozen" if point == "none" else f"frozen to {point}"
    print(f"trial {choice['trial']}: {frozen}, defense {choice['defense']}")
    for key, value in choice["values"].items():
        shown = formatting.ranged(key, value, choice["interval"].get(key))
        print(f"  {formatting.objective(key)} {shown}")
    for key in choice["chosen_by"].keys() - choice["values"].keys():
        print(f"  chosen by {formatting.objective(key)} {formatting.value(key, choice['chosen_by'][key])}")
    searched = f"the search's {_measured(choice['seeds_of_search'])}"
    print(f"  figures of {formatting.measured_again(choice['seeds'], choice['fresh']) or searched}")
    bound = "at most" if name == "attack_accuracy" else "at least"
    asked = f"{formatting.objective(name)} is {bound} {formatting.value(name, limit)}"
    for key, text in (
        ("limit", asked),
        ("front", "it is on the front, among these people"),
        ("best", "no other trial that keeps the limit is better, among these people"),
    ):
        print(f"  {'unknown' if chances[key] is None else format(chances[key], '.0%')}: {text}")
    if choice["safer"] is not None:
        print(f"safer: trial {choice['safer']} keeps the limit with its whole interval")
    for text in choice["advice"]:
        print(f"surer: {text}")
    print(f"release it: sweeper export {choice['study']} --trial {choice['trial']} -o DIR")
    if home is not None:
        print(f"add to each of these commands: --home {shlex.quote(home)}")
