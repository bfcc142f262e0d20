"""Attack seconds that screening saves, and whether the front stays the same: one sweep with it, one without.

    python tests/benchmarks/screening.py [trials] [share of the steps] [-S PATH=VALUE ...]

Both sweeps propose the same trials (the sampler is random, so it does not look at results) on rendered faces
and share one store: a target, and an attack that both need, is made once, and its seconds count in both.
Goal: the same front with at least a third of the attack seconds saved.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from sweeper.home import Home
from sweeper.progress import display
from sweeper.study import load_study
from sweeper.sweep import sweep

OVERRIDES = (
    "trial.attack.iterations=300",
    "trial.attack.restarts=3",
    "search.sampler=random",
    "tracking.mlflow=false",
)


def attack_seconds(trials: list[dict[str, Any]]) -> float:
    """Return the seconds of all attacks, short and long."""
    return sum(t["seconds"].get("attack", 0.0) + t["seconds"].get("screening", 0.0) for t in trials)


def front(trials: list[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    """Return assignment -> values of the trials on the front."""
    return {str(sorted(t["params"].items())): tuple(t["values"].values()) for t in trials if t["on_front"]}


def run(home: Home, name: str, trials: int, overrides: list[str]) -> list[dict[str, Any]]:
    """Run the sweep and return its trials."""
    study = load_study("quickstart", overrides=[*OVERRIDES, *overrides, f"name={name}"], trials=trials)
    with display() as shown:
        outcome = sweep(study, home, display=shown)
    found: list[dict[str, Any]] = outcome.records["trials"]
    return found


def main(trials: int, share: float, overrides: list[str], home: Home) -> None:
    """Run both sweeps and print what the second one saved."""
    load = os.getloadavg()[0]
    plain = run(home, "unscreened", trials, overrides)
    screened = run(
        home,
        "screened",
        trials,
        [*overrides, "search.screening=on", f"search.screening_share={share}"],
    )
    skipped = sum(t["state"] == "screened" for t in screened)
    before, after = attack_seconds(plain), attack_seconds(screened)
    same = front(plain) == front(screened)
    print(f"cores {os.cpu_count()}, load average before {load:.1f}")
    print(f"{len(plain)} trials without screening, {len(screened)} with it, {skipped} screened")
    print(f"attack seconds {before:.0f} and {after:.0f}: {1 - after / before:.0%} saved (goal: at least 33%)")
    print(f"front of {len(front(plain))} without, {len(front(screened))} with: the same: {same}")
    lost = [params for params in front(plain) if params not in front(screened)]
    for params in lost:
        print(f"  lost: {params} {front(plain)[params]}")


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "-S"]
    numbers = [word for word in words if "=" not in word]
    with tempfile.TemporaryDirectory() as folder:
        place = Home(Path(os.environ.get("SWEEPER_HOME", folder)).resolve())
        main(
            int(numbers[0]) if numbers else 40,
            float(numbers[1]) if len(numbers) > 1 else 0.25,
            [word for word in words if "=" in word],
            place,
        )
