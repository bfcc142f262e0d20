"""An analysis of what a sweep left, or of a target from a file: which targets, and their figures compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.engine.analyses import Shown, Target, analyze_trials
from sweeper.engine.progress import Display, Warner
from sweeper.results.comparing.paired_rows import compare_rows
from sweeper.results.comparing.undefended import undefended_trial
from sweeper.results.export import find_trial, trained_seeds
from sweeper.results.records import check_exists, study_names, study_records
from sweeper.results.stage_files import attack_folders
from sweeper.search.analysis_notes import Row
from sweeper.storage.home import Home
from sweeper.study.loading import load_study, stored_study
from trainables.errors import ConfigError

if TYPE_CHECKING:
    from trainables.analyses.base import Analysis, TrainingAnalysis


def analyze(
    name: str,
    reference: str,
    home: Home,
    display: Display,
    *,
    trials: Sequence[int] | None = None,
    study: str = "quickstart",
    overrides: Sequence[str] = (),
    address: str | None = None,
) -> dict[str, Any]:
    """Return ``{"analysis": name, "rows": rows, "warnings": texts}``, JSON-ready.

    A row is ``{"trial": number, "attack": name, **figures}``, the attack "" for an analysis of the way of
    training. Where an analysis compares trials there are ``"comparisons"`` too, see `compare_rows`: each
    trial after the first against the first, which is the first of `trials`, or the undefended one that all
    tables hold the study against (`undefended_trial`); with neither nothing is compared. A warning is told as
    soon as its judge is there.

    name: in ``trainables.analyses.ANALYSES``. reference: a stored study, or the path of a checkpoint, whose
    rows have None for a trial. trials: of the study; those on its front by default. Of a trial with several
    seeds the first is looked at.
    study, overrides: of a checkpoint: the study file or preset that names the data, the architecture, the
    prior, the attacks and the judge, and what to change in it.
    address: of a Ray cluster that measures the trials of a study; a checkpoint is analyzed here.
    What the store lacks of the stages of attack and judge is made now. Figures of a study are kept with it,
    and shown by its report and MLflow; what could not be measured or written is among the warnings. Raises
    `ConfigError` for an unknown reference or trial, a trial whose target is not here or
    has too few judges, and a study that another process drives.
    """
    from trainables.analyses import ANALYSES
    from trainables.analyses.base import TrainingAnalysis

    analysis, warnings, first = ANALYSES[name](), list[str](), None
    if reference in study_names(home):
        if overrides:
            raise ConfigError(f"study '{reference}' is stored and stays as it ran; leave out -S")
        targets, first = _stored(reference, home, trials, analysis)
        if not isinstance(analysis, TrainingAnalysis):
            warner = Warner(display)
            for target in targets:
                warner.tell(target.warnings, target.who)
                warnings += target.warnings
        stored = stored_study(home.study(reference))
        rows, problems = analyze_trials(stored, home, analysis, targets, display, address=address)
        warnings += problems
    elif Path(reference).exists():
        if trials:
            raise ConfigError(f"{reference} is a checkpoint and has no trials; leave out --trial")
        if isinstance(analysis, TrainingAnalysis):
            raise ConfigError(
                f"analysis '{name}' expects a study, whose way of training it looks at; got the checkpoint "
                f"{reference}; name a stored study, and with --trial its trials"
            )
        rows, warnings = _given(Path(reference), home, display, study, overrides, analysis)
    else:
        try:
            check_exists(home, reference)
        except ConfigError as error:
            raise ConfigError(f"{error}; nor is there a checkpoint at that path") from None
    compared = () if isinstance(analysis, TrainingAnalysis) else analysis.compared
    comparisons = {"comparisons": compare_rows(rows, compared, first)} if compared else {}
    return {"analysis": name, "rows": rows, **comparisons, "warnings": list(dict.fromkeys(warnings))}


def _stored(
    name: str, home: Home, numbers: Sequence[int] | None, analysis: "Analysis | TrainingAnalysis"
) -> tuple[list[Target], int | None]:
    """Return the targets of a stored study, and which trial the others are compared with, if with any.

    All are found before any is looked at. Of a way of training only the recipes count, so that the targets
    themselves may be gone. Where trials are compared the undefended one comes first, if there is one and no
    others are asked for.
    """
    from trainables.analyses.base import TrainingAnalysis
    from trainables.config import load_trial

    records = study_records(home, name, history=False)
    reference = None
    if numbers:
        trials = [find_trial(records, number) for number in dict.fromkeys(numbers)]
        reference = trials[0]
    else:
        trials = list(records.members)
        if not isinstance(analysis, TrainingAnalysis) and analysis.compared:
            reference = undefended_trial(records)
            first = [reference] if reference else []
            trials = first + [trial for trial in trials if trial is not reference]
    if not trials:
        raise ConfigError(f"study '{name}' has no finished trial on its front yet")
    study, store = stored_study(home.study(name)), home.store
    targets = []
    for trial in trials:
        number = trial.number
        seeds = trained_seeds(trial, study.trial.get("replicate", 0))
        replicate, measured = next(iter(seeds.items()))
        artifacts = measured.artifacts
        key = Path(artifacts.get("target", "")).name
        document = {**study.document(trial.params), "replicate": replicate}
        config = load_trial(document, f"{name}, trial {number}")
        if not isinstance(analysis, TrainingAnalysis):
            if not key or store.fetch("target", key) is None:  # training it again is what a sweep is for
                raise ConfigError(
                    f"expected the target of trial {number} in {store.root}, found nothing; analyze where "
                    "the sweep ran, or with its store in the home"
                )
            analysis.check_judges(len(config.judges))
        targets.append(
            Target(
                trial=number,
                document=document,
                target=key,
                attacks={attack: Path(folder).name for attack, folder in attack_folders(artifacts).items()},
                judges=_judge_keys(artifacts),
                warnings=trial.warnings,
            )
        )
    return targets, reference.number if reference else None


def _given(
    path: Path, home: Home, display: Display, study: str, overrides: Sequence[str], analysis: "Analysis"
) -> tuple[list[Row], list[str]]:
    """Return the rows of the target whose weights lie at `path`, attacked and judged as `study` says, and
    what must be known of it."""
    from trainables.analyzed import analyze_trial
    from trainables.config import load_trial
    from trainables.runtime.run import device_of_this_process
    from trainables.stages.external_target import make_external_target
    from trainables.stages.judge import check_judges
    from trainables.storage.store import Store

    config = load_trial(load_study(study, overrides=overrides, check=False).trial, f"{study}: trial")
    check_judges(config)
    analysis.check_judges(len(config.judges))
    home.prepare()
    store, device, warner = Store(home.store.root), device_of_this_process(), Warner(display)
    warnings: list[str] = []
    display.say(f"reading {path}")
    trained = make_external_target(config, path, store=store, device=device)

    def warn(texts: Sequence[str]) -> None:
        warnings.extend(texts)
        warner.tell(texts, "target")

    rows = analyze_trial(
        config,
        analysis,
        target=trained.key,
        store=store,
        device=device,
        report=Shown(display, "target"),
        warn=warn,
    )
    display.ended("target", "analyzed")
    return [{"trial": None, **row} for row in rows], warnings


def _judge_keys(artifacts: Mapping[str, str]) -> list[str]:
    """Return the keys of a trial's judges in order; a study that has them knows how many there are."""
    numbers = (int(name.removeprefix("judge_")) for name in artifacts if name.startswith("judge_"))
    folders = [artifacts.get("judge", ""), *(artifacts[f"judge_{number}"] for number in sorted(numbers))]
    return [Path(folder).name for folder in folders]
