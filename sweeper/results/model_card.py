"""The model card of an exported target: all that was measured, in Markdown."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeper.results import formatting
from sweeper.results.comparing.against_undefended import against
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.controls import texts
from sweeper.results.controls.pretraining_distance import distance_of, distance_risk, distance_sentence
from sweeper.results.machines import STAGES, Machines, machines_text
from sweeper.results.panels.show import sentences
from sweeper.results.people import recovered, spelled, worst_off
from sweeper.results.record_types import StudyRecords
from sweeper.results.trial_record import AttackFigures, Ends, Replicate, TrialConfirmation, TrialRecord
from sweeper.study.metrics import TrialMetric, column_metrics, trial_metrics
from trainables.storage.documents import FILE_KNOBS

if TYPE_CHECKING:  # torch takes seconds
    from trainables.operating_point import OperatingPoint

CARD = "README.md"
VERIFIED = "attack_accuracy_verified"


def card(
    records: StudyRecords,
    trial: TrialRecord,
    released: Replicate,
    config: Mapping[str, Any],
    identities: int,
    folder: str,
    point: "OperatingPoint | None" = None,
    *,
    names: bool = False,
) -> str:
    """Return the model card: what it is, how to load it, what it can do, and what leaks as measured.

    released: the seed whose weights are released. config: the trial's document. identities: how many it
    tells apart. folder: that of the release, for the example. point: the threshold of `identify`.
    names: also tell the names of those who were recovered; ``sweeper.results.people`` says when.
    """
    target = config["target"]
    up_to = " up to" if target.get("trained") is None else ""
    lines = [
        f"# {records.study}, trial {trial.number}",
        "",
        f"A `{target['architecture']}` that names one of {identities} identities on images of "
        f"{config['image_size']} pixels. Frozen as pre-trained{up_to}: `{formatting.freeze_point(trial)}`. "
        f"Defense against model inversion: {formatting.defense(trial)}.",
        "",
        "```python",
        "from trainables.released import load_released",
        f"released = load_released({json.dumps(folder, ensure_ascii=False)})",
        'print(released.identify("face.png"))',
        "```",
        "",
        "`released.logits(images)` takes float images (N, 3, S, S) in [0, 1]; normalisation is inside.",
        "",
        "## What it can do",
        "",
        *_table(["", "test accuracy"], _utility(records, trial, released)),
        "",
        "Measured on private test images that were neither trained on nor used to choose the epoch.",
        "",
        _threshold(point),
        "",
        "## What leaks, as far as measured",
        "",
        " ".join([*map(_explained, _searched(trial)), f"Ranges are 95 % intervals{_held(records)}."]),
        "",
        *_table(
            ["attack", "sees", *(metric.short_label for metric in _columns(trial))],
            _attacks(trial, config),
        ),
        "",
        *[f"- {text}" for text in _remarks(records, trial, released, config)],
        "",
        *_people(trial, names),
        *_readers(records, trial),
        "No attack that fails proves that none succeeds: another one, or one with other public images, "
        "may recover more.",
        "",
        "## How it was trained and attacked",
        "",
        "```json",
        json.dumps(_settings(config), indent=1, ensure_ascii=False),
        "```",
        "",
        "`labels.json` holds the names of the identities, which are private as well if they name people.",
        "",
    ]
    return "\n".join(lines)


def _held(records: StudyRecords) -> str:
    """Return what the intervals hold, or lack, in brackets; "" where that is not known."""
    return f" ({records.interval_holds})" if records.interval_holds else ""


def _threshold(point: "OperatingPoint | None") -> str:
    """Return what the score of `identify` means."""
    if point is None:
        return (
            "`identify` gives a name to everybody, strangers too, with a score; no threshold was measured, "
            "as the data were not at hand when this was written."
        )
    score = f"{point.score:.4f}" if point.score < 0.9999 else repr(point.score)  # not rounded to 1
    return (
        f"`identify` gives a name to everybody, with a score; count it from {score} up. Of public "
        f"images of other people {100 * point.strangers_named:.1f} % reach that; of private test images "
        f"{100 * point.people_named:.1f} % reach it with the right name."
    )


def _columns(trial: TrialRecord) -> list[TrialMetric]:
    """Return the metrics that the card has of the trial's attacks."""
    measured = {name.rpartition(".")[2] for name in trial.metrics}
    return [*column_metrics(measured), trial_metrics()["queries"]]


def _searched(trial: TrialRecord) -> list[TrialMetric]:
    """Return the metrics of attacks that a study may search for or asks for: a reader must know them."""
    columns = [metric for metric in _columns(trial)[:-1] if metric.objective or metric.optional]
    return [trial_metrics()["attack_accuracy"], *columns]


def _explained(metric: TrialMetric) -> str:
    head, better = metric.short_label, "Lower" if metric.direction == "minimize" else "Higher"
    return f"{head[:1].upper()}{head[1:]}: {metric.explanation}. {better} is better."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [[_plain(cell) for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _plain(text: str) -> str:
    """Return `text`, which may hold people's names, as one line of Markdown that shows it as it is."""
    for special, instead in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;")):
        text = text.replace(special, instead)
    return " ".join(text.splitlines())


def _shown(name: str, holder: TrialRecord | TrialConfirmation | Replicate) -> str:
    return formatting.ranged(name, holder.values.get(name), holder.interval.get(name))


def _utility(records: StudyRecords, trial: TrialRecord, released: Replicate) -> list[list[str]]:
    rows = [["these weights", _shown("test_accuracy", released)]]
    fresh = trial.confirmed
    if fresh:
        rows.append(
            [
                f"the same recipe under {formatting.measured_again(fresh.seeds, fresh.fresh)}",
                _shown("test_accuracy", fresh),
            ]
        )
    plain = undefended_trial(records, trial)
    if plain:
        rows.append(["undefended, same study", _shown("test_accuracy", plain)])
    return rows


def _attacks(trial: TrialRecord, config: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each attack of the search, and of the confirmation if it had others."""
    people, columns = formatting.attacked(trial), _columns(trial)
    if trial.attacks:
        rows = [_row(name, figures, people, columns) for name, figures in trial.attacks.items()]
    else:
        name = config["attack"][0]["attack"]["kind"] if config.get("attack") else "attack"
        ends = (trial.interval.get("attack_accuracy"), trial.interval.get(VERIFIED))
        rows = [_cells(name, "", trial.metrics, *ends, people, columns)]
    fresh = trial.confirmed.attacks if trial.confirmed else None
    return rows + [
        _row(f"{name}, fresh seeds", figures, people, columns) for name, figures in (fresh or {}).items()
    ]


def _row(name: str, figures: AttackFigures, people: int | None, columns: Sequence[TrialMetric]) -> list[str]:
    ends = (figures.get("interval"), figures.get("verified"))
    return _cells(name, figures.get("threat_model") or "", figures["metrics"], *ends, people, columns)


def _cells(
    name: str,
    sees: str,
    reached: Mapping[str, float | None],
    ends: Ends | None,
    verified: Ends | None,
    people: int | None,
    columns: Sequence[TrialMetric],
) -> list[str]:
    known = {"attack_accuracy_top1": ends, VERIFIED: verified}
    return [
        name,
        sees,
        *(
            formatting.ranged(metric.name, reached.get(metric.name), known.get(metric.name), people)
            for metric in columns
        ),
    ]


def _remarks(
    records: StudyRecords, trial: TrialRecord, released: Replicate, config: Mapping[str, Any]
) -> list[str]:
    told = formatting.verdict(records)
    remarks = [f"**{told}**" if records.verdict == "cannot tell" else told] if told else []
    chance, judge = (trial.metrics.get(name) for name in ("chance", "judge_test_accuracy"))
    attacked, drawn = config.get("identities"), config.get("attacked")
    people = "all" if attacked is None else f"the first {attacked}"
    if drawn:
        people = f"{len(drawn)}, drawn by chance before the search"
    remarks.append(f"Attacked identities: {people}.")
    if chance is not None:
        remarks.append(f"Guessing would reach {formatting.percent(chance)}.")
    if judge is not None:
        limit = trial.metrics.get("judge_false_acceptance")
        others = "" if not limit else f"; verified are scores that one in {round(1 / limit)} others reach"
        remarks.append(f"The judge's own test accuracy: {formatting.percent(judge)}{others}.")
    machines = released.machines or trial.machines
    remarks.append(
        "Computed on (another device, or number of threads, gives other figures under the same seed): "
        f"{_computed(machines)}."
    )
    remarks += formatting.judge_remarks(trial.metrics)
    distance = distance_of(records, trial)
    if distance is not None:
        remarks.append(_sentence(distance_sentence(distance)))
    plain = undefended_trial(records, trial)
    if plain and "attack_accuracy" in plain.values:
        remarks.append(
            f"Undefended, trial {plain.number} of the same study: attack accuracy "
            f"{_shown('attack_accuracy', plain)}, test accuracy {_shown('test_accuracy', plain)}."
        )
    compared = against(plain, trial)
    if compared is not None:
        times = compared.training_time_ratio
        remarks.append(
            f"Fall of attack accuracy over fall of test accuracy against that one (the literature's Δ): "
            f"{compared.delta_text}"
            + ("." if times is None else f"; its training took {times:.2f} times as long, as measured.")
        )
    if "attack_accuracy" in released.values:
        remarks.append(f"These very weights: attack accuracy {_shown('attack_accuracy', released)}.")
    said = formatting.defense_figures(trial)
    if said:
        remarks.append(_sentence(said))
    fresh = trial.confirmed
    if fresh:
        if "attack_accuracy" in fresh.values:
            again = formatting.measured_again(fresh.seeds, fresh.fresh)
            remarks.append(
                f"The same recipe under {again}: attack accuracy {_shown('attack_accuracy', fresh)}."
            )
        if fresh.front_probability is not None:
            remarks.append(
                f"That no other confirmed trial of the study is better in everything: "
                f"{fresh.front_probability:.0%}."
            )
    else:
        times = len(trial.replicates)
        looked = "Of many trials it looked good, so these figures are likely to be a little too good; "
        remarks.append(
            f"Measured {'once' if times < 2 else f'under {times} seeds'}. "
            f"{looked if len(records.complete) > 1 else ''}`sweeper confirm` measures it again."
        )
    if trial.stopped is not None:
        remarks.append(_sentence(texts.stopped_sentence(trial)))
    rising, risk = texts.rising_warning(records.controls), distance_risk(distance)
    doubts = filter(None, (rising, risk, formatting.non_adaptive(records, trial, config)))
    return [*remarks, *(f"**{text}.**" for text in (*trial.warnings, *doubts))]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _people(trial: TrialRecord, names: bool) -> list[str]:
    """Return what was recovered of each person by all attacks on all seeds of the trial; [] if not known."""
    people = recovered([trial])
    if people is None:
        return []
    met = [person for person in people if person.recovered]
    rows = [
        [
            spelled(person, names=names),
            f"{person.recovered} of {person.attempts}",
            formatting.percent(person.rate),
            "–" if person.score is None else f"{person.score:.3f}",
        ]
        for person in met
    ]
    sentence = worst_off(people, names=names)
    table = [*_table(["who", "recovered", "rate", "best score"], rows), ""] if met else []
    return ["### Person by person", "", _plain(_sentence(sentence)), "", *table]


def _computed(machines: Machines) -> str:
    """Return on what each stage was made, stages of one machine together."""
    stages: dict[str, list[str]] = {}
    for stage in STAGES:
        stages.setdefault(machines_text(machines.get(stage)), []).append(stage)
    if len(stages) == 1:
        return next(iter(stages))
    return "; ".join(f"{' and '.join(names)}: {text}" for text, names in stages.items())


def _readers(records: StudyRecords, trial: TrialRecord) -> list[str]:
    """Return what readers of panels said of the trial, and how often they err; [] where nobody looked."""
    figures = records.panels or {"trials": []}
    if not any(row["trial"] == trial.number for row in figures["trials"]):
        return []
    own = [row for row in figures["trials"] if row["trial"] == trial.number]
    told = sentences({**figures, "trials": own, "pairs": []}, names=False)
    return ["### What readers recognise", "", *(f"- {text}" for text in told), ""]


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the figures, without paths of the machine it ran on."""
    deciding = (
        "image_size",
        "validation",
        "test",
        "target",
        "defense",
        "attack",
        "identities",
        "seed",
        "replicate",
    )
    kinds: dict[str, Any] = {
        name: config[name]["kind"]
        for name in ("private", "public", "pretraining", "judge")
        if isinstance(config.get(name), Mapping)
    }
    if isinstance(config.get("judge"), list):
        kinds["judge"] = [judge["kind"] for judge in config["judge"]]
    return {**kinds, **{name: _without_paths(config[name]) for name in deciding if name in config}}


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(inner) for key, inner in value.items() if key not in FILE_KNOBS}
    if isinstance(value, list):
        return [_without_paths(inner) for inner in value]
    return value
