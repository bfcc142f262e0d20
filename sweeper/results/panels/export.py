"""Export of panels: images, a page to answer them on, a CSV to fill in, and a key that stays in the home."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sweeper.results.export import find_trial
from sweeper.results.panels.key import identifiers, write_key
from sweeper.results.panels.layout import panel as composed
from sweeper.results.panels.layout import png
from sweeper.results.panels.page import render
from sweeper.results.panels.selection import (
    Attacked,
    Panel,
    People,
    controls,
    pairs,
    reconstructions,
    swapped,
)
from sweeper.results.records import study_records
from sweeper.results.trial_record import TrialRecord
from sweeper.storage.home import Home
from sweeper.study.loading import stored_study
from trainables.errors import ConfigError
from trainables.runtime.seeds import derive
from trainables.storage.disk import disk_errors, load

if TYPE_CHECKING:
    from trainables.config import TrialConfig
    from trainables.stages.data import Data

PAGE, TABLE = "panels.html", "panels.csv"
LEAST_CONTROLS = 10  # of each kind, as the critique measured its judge with


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Result of an export.

    Attributes:
        folder: that was written.
        key: path of the key in the home.
        panels: how many.
        controls: how many of them are controls.
        people: whose private images left the home.
        study: their study.
    """

    folder: Path
    key: str
    panels: int
    controls: int
    people: int
    study: str


def export_panels(
    home: Home,
    study: str,
    folder: Path,
    *,
    trial: int | None = None,
    against: int | None = None,
    most: int | None = None,
    control: int | None = None,
    seed: int = 0,
) -> Exported:
    """Write panels of the reconstructions of a study into `folder`, which must be new or empty.

    Those of the strongest attack on `trial`, or on each trial of the front; of a trial with several seeds,
    those of its first. Their order is random, so neither the page nor a file's name, time or place tells
    what a panel is.

    trial, against: with both, panels of two: which of the two trials' reconstructions of a person is closer.
    most: panels of reconstructions at most, drawn at random; None writes all.
    control: genuine panels, and as many impostor and swapped ones; None takes one of each for every attacked
    person, at least ten. Panels of two have none.
    seed: of all that is drawn, and of the order.

    Raises `ConfigError`, before anything is written, for a trial without reconstructions here, private images
    that are others today, too few of them, and a folder that is in use; `DiskError` if it cannot be written.
    """
    from trainables.config import load_trial
    from trainables.stages.data import load_data

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"expected a new or empty folder to write panels into, got {folder} (-o)")
    records = study_records(home, study, history=False)
    if against is not None and (trial is None or trial == against):
        raise ConfigError(
            f"expected two different trials to compare, got --trial {trial} and --against {against}"
        )
    numbers = [number for number in (trial, against) if number is not None]
    trials = [find_trial(records, number) for number in numbers] or records.members
    if not trials:
        raise ConfigError(f"study '{study}' has no finished trial on its front yet")
    definition = stored_study(home.study(study))
    config = load_trial(definition.document(trials[0].params), f"{study}, trial {trials[0].number}")
    data = load_data(config)
    _check_data(trials, data)
    attacked = [_attacked(trial, config, data) for trial in trials]
    identities = sorted({label for one in attacked for label in one.identities})
    people = People(data.split, identities)
    if against is not None:
        panels = pairs(attacked[0], attacked[1], people, seed, most)
        beside: list[Panel] = []
    else:
        panels = reconstructions(attacked, people, seed, most)
        count = max(LEAST_CONTROLS, len(identities)) if control is None else control
        judge = _judge(trials[0], config, data)
        beside = [
            *(_judged(panel, judge) for panel in controls(identities, people, seed, count)),
            *swapped(attacked, people, seed, count),
        ]
    panels += beside
    if not panels:
        raise ConfigError("expected at least one panel, got none; ask for more (--panels, --controls)")
    random.Random(derive(seed, "panels", "order")).shuffle(panels)
    names = identifiers(study, seed, [panel.about for panel in panels])
    named = dict(zip(names, panels, strict=True))
    key = write_key(home, study, seed, {name: panel.about for name, panel in named.items()})
    with disk_errors(folder):
        _write(folder, named)
    return Exported(
        folder=folder,
        key=key,
        panels=len(panels),
        controls=len(beside),
        people=len({label for panel in panels for label in _leave(panel)}),
        study=study,
    )


def _write(folder: Path, panels: dict[str, Panel]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [["panel", "file", "answer", "reader"]]
    for name, panel in panels.items():
        file = f"{name}.png"
        (folder / file).write_bytes(png(composed(panel.shown, panel.references)))
        rows.append([name, file, "", ""])
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(rows)
    (folder / PAGE).write_text(render(panels), encoding="utf-8")


def _leave(panel: Panel) -> set[int]:
    """Return whose private images `panel` shows."""
    about = panel.about
    return {about["identity"], *([about["shows"]] if about["kind"] in ("genuine", "impostor") else [])}


def _check_data(trials: Sequence[TrialRecord], data: "Data") -> None:
    """Raise `ConfigError` where the private images are not those that the trials were about."""
    for trial in trials:
        private = trial.data.get("private")
        if private not in (None, data.private_key, data.images_key):
            raise ConfigError(
                f"expected the private data of trial {trial.number}, as references; the images (private) are "
                "others today, so panels would show the wrong people; put the images of then back, and "
                "export again"
            )


def _attacked(trial: TrialRecord, config: "TrialConfig", data: "Data") -> Attacked:
    """Return the reconstructions of `trial`, with what the study's judge says of each."""
    path = Path(trial.artifacts.get("attack") or "nowhere") / "reconstructions.pt"
    if not path.is_file():
        raise ConfigError(
            f"expected the reconstructions of trial {trial.number} at {path}, found nothing; export where "
            "the sweep ran, or with its store at the same place"
        )
    made = load(path)
    images, identities = made["images"], made["identities"]
    judge = _judge(trial, config, data)
    named = None if judge is None else judge(images.flatten(0, 1)).reshape(images.shape[:2])
    return Attacked(
        trial=trial.number, images=images, identities=[int(label) for label in identities], named=named
    )


class _FirstChoice:
    """The person whom a judge names first."""

    def __init__(self, folder: Path, config: "TrialConfig", data: "Data") -> None:
        saved = load(folder / "judge.pt")
        self._model = config.judge.restore(saved, data.split, "cpu")

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return labels (B,) of uint8 images (B, 3, S, S)."""
        from trainables.judges.base import outputs

        return outputs(self._model.logits, images, "cpu").argmax(1)


def _judge(trial: TrialRecord, config: "TrialConfig", data: "Data") -> _FirstChoice | None:
    folder = Path(trial.artifacts.get("judge") or "nowhere")
    return _FirstChoice(folder, config, data) if (folder / "judge.pt").is_file() else None


def _judged(panel: Panel, judge: _FirstChoice | None) -> Panel:
    """Return a control with what the judge says of it: whether it takes the image for the person."""
    accepted = None if judge is None else bool(judge(panel.shown[0][None])[0] == panel.about["identity"])
    return Panel(about={**panel.about, "judge": accepted}, shown=panel.shown, references=panel.references)
