"""One trained target, ours or a user's own, against some attacks: no search, no Ray."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from sweeper.cli.console import console
from sweeper.engine.progress import Display, spell
from sweeper.storage.home import Home
from sweeper.study.loading import load_study
from sweeper.study.metrics import SHARE, TrialMetric, column_metrics


def attack(
    checkpoint: Path,
    attacks: Sequence[str],
    study: str,
    home: Home,
    display: Display,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Return, as JSON, what `run_trial` says of the target whose weights lie at `checkpoint`.

    attacks: ``kind`` or ``kind:preset``; none takes those of the study. study: a file or preset whose trial
    names the data, the architecture, the prior and the judge. Raises `ConfigError` for what does not fit.
    """
    import torch

    from trainables.config import load_trial
    from trainables.stages.data import load_data
    from trainables.stages.external_target import make_external_target
    from trainables.storage.store import Store
    from trainables.trial import run_trial

    template = dict(load_study(study, overrides=overrides, check=False).trial)
    if attacks:
        template["attack"] = [_named(text) for text in attacks]
    config = load_trial(template, f"{study}: trial")
    home.prepare()
    store = Store(home.store.root)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for text in load_data(config).warnings:
        display.say(f"WARNING: {text}")
    display.say(f"reading {checkpoint}")
    trained = make_external_target(config, checkpoint, store=store, device=device)
    result = run_trial(config, store=store, device=device, report=_Shown(display), trained=trained)
    return {"checkpoint": str(checkpoint), "study": study, **result.to_json()}


def show_attack(result: dict[str, Any]) -> None:
    """Print what each attack reached as a table."""
    metrics = result["metrics"]
    table = Table(title=f"Attacks on {result['checkpoint']}", title_justify="left")
    heads = [metric.short_label.removeprefix("target's ") for metric in column_metrics()]  # of one target
    for column in ("attack", "sees", *heads, "time"):
        table.add_column(column)
    for name, attack in result["attacks"].items():
        low, high = attack["interval"]
        cells = {
            metric.name: _figure(metric, attack["metrics"].get(metric.name)) for metric in column_metrics()
        }
        cells["attack_accuracy_top1"] += f" [{low:.3f}, {high:.3f}]"
        table.add_row(
            name,
            attack["threat_model"],
            *cells.values(),
            spell(sum(attack["seconds"].values())),
        )
    console().print(table)
    print(f"test accuracy {result['values']['test_accuracy']:.3f}, chance {metrics['chance']:.4f}")
    print(f"strongest: {result['strongest']}; reconstructions in {result['artifacts']['attack']}")


def _figure(metric: TrialMetric, number: float | None) -> str:
    """Return a figure in a table; one that this attack does not have as a dash."""
    if number is None:
        return "–"
    return f"{number:.3f}" if metric.unit == SHARE else f"{number:.4g}"


def _named(text: str) -> dict[str, str]:
    kind, _, preset = text.partition(":")
    return {"kind": kind, "preset": preset} if preset else {"kind": kind}


class _Shown:
    """Passes what a stage reports on to the display, with the seconds of the stage."""

    def __init__(self, display: Display) -> None:
        self._display, self._stage, self._began = display, "", 0.0

    def __call__(self, stage: str, done: int, total: int, **metrics: float) -> None:
        if stage != self._stage:
            self._stage, self._began = stage, time.monotonic()
        self._display.stage("target", stage, done, total, time.monotonic() - self._began)
