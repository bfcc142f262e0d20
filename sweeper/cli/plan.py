"""A sweep before it runs: the resolved study, how many trials, what they will cost here."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sweeper.engine.machines.cluster import TrialResources, allot
from sweeper.engine.machines.resources import Node, ProcessResources
from sweeper.engine.people import begin, others
from sweeper.engine.progress import spell_range
from sweeper.engine.sources import check_begun
from sweeper.engine.sweep import check_data
from sweeper.statistics.power import effective_people, smallest_difference
from sweeper.storage.home import Home
from sweeper.study.checks import known_warnings, study_controls
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.runtime.duration import Duration
from trainables.storage.strict_yaml import dump_yaml

if TYPE_CHECKING:  # torch takes seconds
    from trainables.config import TrialConfig

SEED_DEVIATION = (
    0.06  # of the attack accuracy over training seeds: .05 to .064 in eight replicates on rendered faces
)


def show_plan(study: Study, home: Home) -> None:
    """Print the resolved study as YAML, its trials, and what they would take here.

    Also what must be known of the data, and where a contact sheet of them lies: in the home folder, because
    it shows private images. Raises the `ConfigError` with which the sweep would end before any work.
    """
    from search_spaces.space import anchors, size
    from trainables.config import load_trial
    from trainables.stages.data import attacked_identities, load_data

    try:
        begun = begin(study, home)
        check_begun(begun, home)
    except ConfigError:  # without its data, or changed since it began, a study can still be read
        show_form(study)
        raise
    study = begun
    show_form(study)
    available = size(study.domains)
    wide = "endless" if available is None else f"{available} assignments"
    first = 0 if study.search.sampler == "grid" or not study.search.anchors else len(anchors(study.domains))
    print(f"\n# home: {home.root}")
    print(f"# trials: {study.budget} (space: {wide}; {min(first, study.budget)} anchors first)")
    seeds = study.search.replicates
    if seeds > 1:
        print(f"# each trained and attacked under {seeds} seeds")
    if study.noise_runs:
        print(
            f"# {study.noise_runs} runs beside the trials: an undefended and a defended one under "
            f"{study.search.noise_replicates} seeds each"
        )
    if study.search.screening:
        share = study.search.screening_share
        print(
            f"# a short attack first ({share:.0%} of the steps); the long one is skipped where that suffices"
        )
    print(f"# {_shares(study)}")
    for text in (*check_data(study), *known_warnings(study)):
        print(f"# WARNING: {text}")
    template = load_trial(study.trial)
    print(f"# {_contact_sheet(template, home, study.name)}")
    people = len(attacked_identities(template, load_data(template)))
    if rest := others(study):
        print(
            f"# the search attacks {people} people drawn by chance; `sweeper confirm` the other {len(rest)}"
        )
    print(f"# {power_text(template, people, seeds)}")
    _show_estimate(study)


def show_form(study: Study) -> None:
    """Print the study in full, and the published rows that it repeats."""
    document = asdict(study)
    if not document["published"]:
        del document["published"]
    print(dump_yaml(document).rstrip())
    for line in published_rows(study.published):
        print(f"# {line}")


def published_rows(queries: Sequence[str]) -> list[str]:
    """Return the rows that `queries` select, a line each below one for their set-up, with their doubts.

    Raises `ConfigError` for a query that no row meets.
    """
    from sweeper.results.comparing.published import doubts, points

    lines = []
    for query in queries:
        for record in points(query):
            lines.append(f"published, {record.trials[0].source}: {record.study}")
            for row in record.trials:
                knobs = ", ".join(f"{name} {value}" for name, value in row.params.items())
                lines.append(
                    f"  {row.defense}{f' ({knobs})' if knobs else ''}: test accuracy "
                    f"{row.values['test_accuracy']:.4f}, attack accuracy {row.values['attack_accuracy']:.4f}"
                )
            lines += [f"  doubtful: {text}" for text in doubts(record)]
    return lines


def power_text(template: "TrialConfig", people: int, seeds: int) -> str:
    """Return which difference of attack accuracy so many people, restarts and training seeds can show."""
    restarts = max(plan.attack.restarts for plan in template.attack)
    deviation = SEED_DEVIATION / seeds**0.5
    shown, hidden = [], []
    for reference in (0.6, 0.2):
        drop = smallest_difference(reference, effective_people(people, restarts), seed_deviation=deviation)
        if drop is None:
            hidden.append(f"from {reference:g}")
        else:
            shown.append(f"from {reference:g} by {drop:.2f} or more")
    falls = [f"a fall of attack accuracy {' and '.join(shown)}"] if shown else []
    if hidden:
        falls.append(f"no fall {' or '.join(hidden)}")
    return (
        f"{people} people, {restarts} restart{'' if restarts == 1 else 's'} and {seeds} training "
        f"seed{'' if seeds == 1 else 's'} show, with a chance of 80 %, {' and '.join(falls)}"
    )


def _show_estimate(study: Study) -> None:
    """Print how long one trial's stages and the whole sweep take on this machine, each as a range."""
    from sweeper.engine.machines.calibration import variants
    from sweeper.engine.remaining import SHARED, sweep_seconds
    from trainables.config import load_trial
    from trainables.cost import estimate
    from trainables.runtime.load import cores, is_busy, load_average
    from trainables.runtime.run import device_of_this_process

    load, busy = load_average(), is_busy()
    device, allotment = device_of_this_process(), _allotment(study)
    threads, concurrent = (allotment.threads, allotment.concurrent) if allotment else (None, 1)
    others = [load_trial(document) for document in variants(study)]
    seconds = estimate(load_trial(study.trial), device, threads=threads, variants=others)
    shown = ", ".join(f"{stage} {spell_range(value)}" for stage, value in seconds.items() if value.high)
    print(f"# estimated on {device}, alone on its share of the machine: {shown}")
    if busy:
        print(
            f"# this machine is busy (load average {load:.1f} on {cores()} cores): "
            "an idle one takes the low ends or less; ask again then"
        )
    each = sum((seconds[stage] for stage in seconds if stage not in SHARED), Duration.exactly(0.0))
    once = sum((seconds[stage] for stage in SHARED), Duration.exactly(0.0))
    seeds = study.search.replicates
    work = once + each * (study.budget * seeds + study.noise_runs)
    total = sweep_seconds(seconds, study.budget + study.noise_runs, replicates=seeds, concurrent=concurrent)
    controls = _control_seconds(study, load_trial(study.trial), seconds)
    if controls.high:
        print(
            f"# controls, one after the other: {spell_range(controls)}, stopped targets at the end included"
        )
    # At best they fill a place that trials leave free, at worst all waits for them.
    beside = Duration(low=controls.low / concurrent, high=controls.high)
    work, total = work + controls, total + beside
    print(f"# in all {spell_range(work)} of work: {spell_range(total)} from start to end")


def _control_seconds(study: Study, template: "TrialConfig", seconds: Mapping[str, Duration]) -> Duration:
    """Return how long the study's controls take by an estimate of its stages; `seconds`: of one trial."""
    from trainables.controls.price import control_stages

    controls = study_controls(study)
    if controls is None:
        return Duration.exactly(0.0)
    stages = control_stages(template, controls)
    return sum((seconds[stage] * count for stage, count in stages.items()), Duration.exactly(0.0))


def _contact_sheet(config: "TrialConfig", home: Home, name: str) -> str:
    """Draw what training will see into the study's folder, and return where it lies, or why it does not."""
    from trainables.pretraining.dataset import OnDataset
    from trainables.stages.data import load_data
    from trainables.training.contact_sheet import contact_sheet

    data = load_data(config)
    others = {"public": data.public}
    if isinstance(config.pretraining, OnDataset):
        others["pre-training"] = config.pretraining.data.load(config.image_size)
    sheet = contact_sheet(data.split.train, others, config.target.augmentation, config.seed)
    place = home.study(name) / "contact_sheet.png"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(place)
    except OSError as error:
        return f"no contact sheet: {place} cannot be written ({error.strerror})"
    return f"contact sheet: {place} (what training will see; private images: it is kept in the home alone)"


def _shares(study: Study) -> str:
    """Return what a trial would get of this machine alone."""

    def say(share: ProcessResources) -> str:
        cores = f"{share.cpus:g} core{'' if share.cpus == 1 else 's'}"
        return cores + (f" and {share.gpus:g} GPU" if share.gpus else "")

    try:
        got = allot(study.resources, [_machine()])
    except ConfigError as error:
        return f"WARNING: does not fit on this machine: {error}"
    first, *others = got.processes
    spread = f", and {len(others)} x {say(others[0])} for its attacks' other shards" if others else ""
    return f"on this machine, up to {got.concurrent} at once, each on {say(first)}{spread}"


def _allotment(study: Study) -> TrialResources | None:
    """Return what a trial would get of this machine, None if it does not fit on it."""
    try:
        return allot(study.resources, [_machine()])
    except ConfigError:
        return None


def _machine() -> Node:
    import torch

    return Node(float(len(os.sched_getaffinity(0))), float(torch.cuda.device_count()))
