"""One trained target, ours or a user's own, against some attacks: no search, no Ray."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from sweeper.cli.console import console, warn
from sweeper.engine.progress import Display, Warner, spell, spell_range
from sweeper.results import formatting
from sweeper.storage.home import Home
from sweeper.study.loading import load_study
from sweeper.study.metrics import SHARE, TrialMetric, column_metrics
from trainables.runtime.duration import Duration
from trainables.storage.strict_yaml import dump_yaml

if TYPE_CHECKING:  # torch is loaded by the command, not by its help
    from trainables.config import TrialConfig
    from trainables.storage.store import Store

TABLE_WIDTH = 140  # where stdout is no terminal: every metric of reconstructions, two with intervals


def attack(
    checkpoint: Path,
    attacks: Sequence[str],
    study: str,
    home: Home,
    display: Display,
    overrides: Sequence[str] = (),
    labels: Path | None = None,
) -> dict[str, Any]:
    """Return, as JSON, what `run_trial` says of the target whose weights lie at `checkpoint`.

    attacks, study: see `attack_config`. labels: a file that names the target's classes in its order; None
    takes those of an exported folder. Raises `ConfigError` for what does not fit.
    """
    from trainables.runtime.run import device_of_this_process
    from trainables.stages.class_map import folder_labels, read_class_map
    from trainables.stages.data import load_data
    from trainables.stages.external_target import make_external_target
    from trainables.stages.judge import check_judges, make_judges
    from trainables.stages.warnings import trial_warnings
    from trainables.storage.store import Store
    from trainables.trial import run_trial

    config = attack_config(attacks, study, overrides)
    check_judges(config)
    names = folder_labels(checkpoint) if labels is None else read_class_map(labels)
    home.prepare()
    store = Store(home.store.root)
    device = device_of_this_process()
    warner = Warner(display)
    warner.tell(load_data(config).warnings, "")
    display.say(f"reading {checkpoint}")
    trained = make_external_target(config, checkpoint, store=store, device=device, labels=names)
    about_order = order_warnings(config, trained.result["test_accuracy"], names)
    warner.tell(about_order, "")
    display.say(f"estimated on {device}: {_expected(config, store, device)}")
    report = _Shown(display)
    judges = make_judges(config, store=store, device=device, report=report)
    texts = trial_warnings(config, load_data(config), trained, judges, ())
    warner.tell(texts, "")  # before the attacks, whose figures they are about
    result = run_trial(config, store=store, device=device, report=report, trained=trained).to_json()
    result["warnings"] = [*about_order, *result["warnings"]]
    return {"checkpoint": str(checkpoint), "study": study, **result}


def attack_config(attacks: Sequence[str], study: str, overrides: Sequence[str] = ()) -> "TrialConfig":
    """Return the trial of `study`, a file or preset, with `attacks` instead of its own.

    attacks: names, each with the knobs that the study gives to its attack of that name, and with the defaults
    of the method if it has none; ``kind:preset`` takes a preset instead. None at all leaves the study's.
    """
    from trainables.config import document, load_trial

    where = f"{study}: trial"
    template = dict(load_study(study, overrides=overrides, check=False).trial)
    if attacks:
        plans = load_trial(template, where)
        own = document(plans)["attack"]
        known = dict(zip(plans.attack_plans, own if isinstance(own, list) else [own], strict=True))
        template["attack"] = [known.get(text) or _named(text) for text in attacks]
    return load_trial(template, where)


def order_warnings(config: "TrialConfig", test_accuracy: float, names: Sequence[str] | None) -> list[str]:
    """Return what must be known of a target near chance: its classes may stand in another order.

    names: of its classes, where they are known.
    """
    from trainables.stages.data import load_data
    from trainables.stages.warnings import largest_share, low_accuracy

    chance = largest_share(load_data(config).split.test.labels)
    if test_accuracy >= low_accuracy(chance):
        return []
    reached = (
        f"the given target recognises {test_accuracy:.3f} of the private test images, chance {chance:.3f}"
    )
    if names is None:
        return [
            f"{reached}: its classes were taken to be the people in the order of their sorted names; if "
            "theirs is another, give it (--labels), and look at normalization and crop"
        ]
    return [f"{reached}: check normalization, crop and image_size, and whether the map is this target's"]


def show_attack_plan(
    checkpoint: Path,
    attacks: Sequence[str],
    study: str,
    overrides: Sequence[str] = (),
    labels: Path | None = None,
) -> None:
    """Print what `attack` would do: the attacks with all knobs, whether the target fits, what it costs."""
    from trainables.config import document
    from trainables.cost import estimate
    from trainables.runtime.run import device_of_this_process
    from trainables.stages.class_map import folder_labels, read_class_map
    from trainables.stages.data import load_data
    from trainables.stages.external_target import read_external_target
    from trainables.stages.judge import check_judges
    from trainables.training.classifier import accuracy

    config = attack_config(attacks, study, overrides)
    check_judges(config)
    names = folder_labels(checkpoint) if labels is None else read_class_map(labels)
    device = device_of_this_process()
    target = read_external_target(config, checkpoint, labels=names)
    data = load_data(config)
    test_accuracy = accuracy(target, data.split.test, device=device)
    print(dump_yaml({"attack": document(config)["attack"]}).rstrip())
    source = "as named" if names is not None else "taken to be in the order of the people's sorted names"
    print(f"# {checkpoint} fits: test accuracy {test_accuracy:.3f}; its classes are {source}")
    for text in (*data.warnings, *order_warnings(config, test_accuracy, names)):
        print(f"# WARNING: {text}")
    prices = estimate(config, device, stages=("judge", "prior", "attack", "evaluation"))
    stages = [f"{name} {spell_range(price)}" for name, price in prices.items()]
    print(f"# estimated here, with nothing stored: {', '.join(stages)}")


def _expected(config: "TrialConfig", store: "Store", device: str) -> str:
    """Return how long the attacks and what they need take, without what the store holds, for people."""
    from trainables.cost import estimate
    from trainables.runtime.load import is_busy, load_average
    from trainables.stages.judge import judge_parts
    from trainables.stages.prior import prior_parts
    from trainables.storage.store import content_key

    stages = ["attack", "evaluation"]
    if any(store.find("judge", content_key(**judge_parts(config, j))) is None for j in config.judges):
        stages.append("judge")
    priors = [plan.prior for plan in config.attack_plans.values() if not plan.prior.needs_target]
    if any(store.find("prior", content_key(**prior_parts(config, prior))) is None for prior in priors):
        stages.append("prior")
    seconds = estimate(config, device, stages=stages)
    total = spell_range(sum(seconds.values(), Duration.exactly(0.0)))
    parts = ", ".join(f"{stage} {spell_range(duration)}" for stage, duration in seconds.items())
    busy = f"; the machine is busy (load average {load_average():.1f})" if is_busy() else ""
    return f"{total} ({parts}){busy}"


def show_attack(result: dict[str, Any]) -> None:
    """Print what each attack reached as a table, and to stderr what to know before believing it."""
    metrics, people = result["metrics"], (result.get("people") or {}).get("attacked")
    table = Table(title=f"Attacks on {result['checkpoint']}", title_justify="left")
    columns = column_metrics({name for attack in result["attacks"].values() for name in attack["metrics"]})
    heads = [metric.short_label.removeprefix("target's ") for metric in columns]  # of one target
    for column in ("attack", "sees", *heads, "time"):
        table.add_column(column)
    for name, attack in result["attacks"].items():
        ends = {
            "attack_accuracy_top1": attack["interval"],
            "attack_accuracy_verified": attack.get("verified"),
        }
        cells = {
            metric.name: _figure(metric, attack["metrics"].get(metric.name), ends.get(metric.name), people)
            for metric in columns
        }
        table.add_row(
            name,
            attack["threat_model"],
            *cells.values(),
            spell(sum(attack["seconds"].values())),
        )
    console(TABLE_WIDTH).print(table)
    print(f"test accuracy {result['values']['test_accuracy']:.3f}, chance {metrics['chance']:.4f}")
    print(
        f"highest attack accuracy: {result['strongest']}; reconstructions in {result['artifacts']['attack']}"
    )
    for text in formatting.judge_remarks(metrics):
        print(text)
    warn(result.get("warnings", []))


def _figure(
    metric: TrialMetric, number: float | None, ends: Sequence[float] | None, people: int | None
) -> str:
    """Return a figure of `people` in a table; one that this attack does not have as a dash."""
    if number is None:
        return "–"
    if metric.unit != SHARE:
        return f"{number:.4g}"
    return formatting.decimals(metric.name, number, ends, people)


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
