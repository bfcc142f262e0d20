"""Attack seconds that screening saves, and whether the front stays the same: one sweep with it, one without.

    OMP_NUM_THREADS=1 python tests/benchmarks/screening.py [trials] [seeds] [-S PATH=VALUE ...]

Both sweeps propose the same trials of the preset rendered_faces (the anchors, then at random, which does
not look at results), one after the other and without Ray, and share one store: a target, and an attack
that both need, is made once, and the seconds that it took count in both. Then the members of both fronts,
and the trials near them, are measured again under fresh seeds, as `sweeper confirm` does. SWEEPER_HOME
keeps the sweeps; started again, the benchmark goes on.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import yaml

from sweeper.engine.confirm import planned
from sweeper.results.records import study_records
from sweeper.results.trial_record import TrialConfirmation, TrialRecord
from sweeper.search.ask_tell import TrialSource
from sweeper.search.confirmation_log import Confirmation
from sweeper.search.optuna_study import OptunaStudy
from sweeper.storage.home import Home
from sweeper.study.loading import load_study
from sweeper.study.study import Study
from trainables.config import load_trial
from trainables.screening import run_screened
from trainables.trial import run_trial

Run = Callable[..., dict[str, Any]]


def work(book: TrialSource, run: Run) -> None:
    """Run the trials of `book`, one after the other."""
    while (asked := book.ask()) is not None:
        began = time.process_time()
        try:
            result = run(asked.document, **asked.options)
        except Exception as error:
            book.fail(asked.number, asked.assignment, f"{type(error).__name__}: {error}")
            print(f"{asked.name} failed: {error}", flush=True)
            continue
        result["metrics"]["cpu_seconds"] = time.process_time() - began
        book.tell(asked.number, {**result, "params": asked.assignment})
        print(f"{asked.name}: {result['values']}", flush=True)


def swept(study: Study, home: Home) -> list[TrialRecord]:
    """Run `study` in this process and return its trials."""
    home.prepare()
    folder = home.study(study.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(asdict(study), sort_keys=False))

    def run(document: dict[str, Any], rivals: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        config = load_trial(document)
        if rivals is None:
            return run_trial(config, store=home.store).to_json()
        result = run_screened(
            config,
            rivals=rivals,
            objectives=study.objectives,
            share=study.search.screening_share,
            store=home.store,
        )
        return result.to_json()

    work(OptunaStudy(study, home.storage, folder / "history"), run)
    return list(study_records(home, study.name, history=False).trials)


def confirmed(study: Study, home: Home, seeds: int) -> dict[str, TrialConfirmation]:
    """Measure the front and what is near it under fresh seeds; return assignment -> what that gave."""
    records = study_records(home, study.name, history=False)
    items, _ = planned(study, records, seeds=seeds)
    work(
        Confirmation(study, home.storage, items, []),
        lambda doc: run_trial(load_trial(doc), store=home.store).to_json(),
    )
    trials = study_records(home, study.name, history=False).trials
    return {key(trial): trial.confirmed for trial in trials if trial.confirmed}


def key(trial: TrialRecord) -> str:
    """Return what tells a trial from the others of its space."""
    return ", ".join(f"{path.split('.')[-1]} {value}" for path, value in sorted(trial.params.items()))


def attack_seconds(trials: list[TrialRecord]) -> float:
    """Return the seconds of all attacks, short and long."""
    return sum(t.seconds.get("attack", 0.0) + t.seconds.get("screening", 0.0) for t in trials)


def front(trials: list[TrialRecord]) -> dict[str, tuple[float, ...]]:
    """Return assignment -> values of the trials on the front."""
    return {key(t): tuple(t.values.values()) for t in trials if t.on_front}


def main(trials: int, seeds: int, overrides: list[str], home: Home) -> None:
    """Run both sweeps and print what the second one saved."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))

    def study(name: str, *more: str) -> Study:
        shared = ["search.sampler=random", "tracking.mlflow=false", f"name={name}"]
        return load_study("rendered_faces", overrides=[*shared, *overrides, *more], trials=trials)

    unscreened, screening = study("unscreened"), study("screened", "search.screening=on")
    plain, screened = swept(unscreened, home), swept(screening, home)
    skipped = [t for t in screened if t.state == "screened"]
    long = {key(t): t for t in plain}
    before, after = attack_seconds(plain), attack_seconds(screened)
    share = screening.search.screening_share
    print(f"{len(plain)} trials without screening, {len(screened)} with it, {len(skipped)} screened")
    # A long attack goes on from its short one, so a screened trial saves what is left of its steps.
    print(f"attack steps saved: {len(skipped) * (1 - share) / len(screened):.0%}")
    print(
        f"attack seconds, those of stages that both share as they were first made: {before:.0f}, {after:.0f}"
    )
    print(f"in a sweep of trials that take {sum(sum(t.seconds.values()) for t in plain):.0f} s")
    broken = sum(
        long[key(t)].values["attack_accuracy"] < t.screening["interval"][0]
        for t in screened
        if t.screening and key(t) in long
    )
    print(f"long attacks that stay below the lower end of their short one: {broken} of {len(screened)}")
    same = front(plain) == front(screened)
    print(f"front of {len(front(plain))} without, {len(front(screened))} with; the same: {same}")
    for name, values in front(plain).items():
        print(f"  {values}  {name}{'' if name in front(screened) else '  LOST'}")
    if seeds:
        both = confirmed(unscreened, home, seeds), confirmed(screening, home, seeds)
        likely = [
            {name for name, fresh in trials.items() if (fresh.front_probability or 0) >= 0.5}
            for trials in both
        ]
        print(f"confirmed under {seeds} fresh seeds: {len(both[0])} trials without, {len(both[1])} with")
        print(f"more likely than not on the front: the same {len(likely[0])}: {likely[0] == likely[1]}")
        for name, fresh in both[0].items():
            other = both[1].get(name)
            chance = "not measured" if other is None else f"{other.front_probability:.2f}"
            print(f"  {fresh.values} {fresh.front_probability:.2f} without, {chance} with  {name}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "-S"]
    numbers = [word for word in words if "=" not in word]
    with tempfile.TemporaryDirectory() as folder:
        place = Home(Path(os.environ.get("SWEEPER_HOME", folder)).resolve())
        main(
            int(numbers[0]) if numbers else 40,
            int(numbers[1]) if len(numbers) > 1 else 3,
            [word for word in words if "=" in word],
            place,
        )
