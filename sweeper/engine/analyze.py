"""An analysis of what a sweep left, or of a target from a file: no search, no Ray."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.engine.progress import Display, Warner
from sweeper.results.comparing.paired_rows import compare_rows
from sweeper.results.export import find_trial, trained_seeds
from sweeper.results.formatting import undefended
from sweeper.results.records import check_exists, study_names, study_records
from sweeper.results.stage_files import attack_folders
from sweeper.storage.home import Home
from sweeper.study.loading import load_study, stored_study
from trainables.errors import ConfigError

if TYPE_CHECKING:
    from trainables.analyses.base import Analysis, TrainingAnalysis
    from trainables.attacks.plan import AttackPlan
    from trainables.config import TrialConfig
    from trainables.storage.store import Stage, Store


@dataclass(frozen=True, kw_only=True)
class Target:
    """A trained target, and how it is attacked and judged.

    trial: its number in the study; None for a target from a file. trained: None where an analysis of the way
    of training needs no target. store: where its stages lie.
    attacks: folders of finished attacks by name, "" for a single one; judges: those of the judges, the one
    that counts first. Both count by the key that they end in, wherever the store lies now; what is not there
    is made. warnings: those that the sweep stored of the trial.
    """

    trial: int | None
    config: "TrialConfig"
    trained: "Stage | None"
    store: "Store"
    attacks: Mapping[str, str]
    judges: Sequence[str]
    warnings: Sequence[str] = ()

    @property
    def who(self) -> str:
        """Return what the display calls it."""
        return "target" if self.trial is None else f"trial {self.trial}"


def analyze(
    name: str,
    reference: str,
    home: Home,
    display: Display,
    *,
    trials: Sequence[int] | None = None,
    study: str = "quickstart",
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Return ``{"analysis": name, "rows": rows, "warnings": texts}``, JSON-ready.

    A row is ``{"trial": number, "attack": name, **figures}``, the attack "" for an analysis of the way of
    training. Where an analysis compares trials there are ``"comparisons"`` too, see `compare_rows`: each
    trial after the first against the first, which is the first of `trials`, or the undefended one. A warning
    is told as soon as its judge is there.

    reference: a stored study, or the path of a checkpoint, whose rows have None for a trial. trials: of the
    study; those on its front by default. Of a trial with several seeds the first is looked at.
    study, overrides: of a checkpoint: the study file or preset that names the data, the architecture, the
    prior, the attacks and the judge, and what to change in it.
    What the store lacks of the stages of attack and judge is made now. Raises `ConfigError` for an unknown
    analysis, an unknown reference or trial, and a trial whose target is not here.
    """
    from trainables.analyses import ANALYSES
    from trainables.analyses.base import TrainingAnalysis
    from trainables.storage.documents import suggestion

    name = name.replace("-", "_")
    if name not in ANALYSES:
        raise ConfigError(
            f"expected an analysis, one of {', '.join(ANALYSES)}; got '{name}'{suggestion(name, ANALYSES)}"
        )
    if reference in study_names(home):
        if overrides:
            raise ConfigError(f"study '{reference}' is stored and stays as it ran; leave out -S")
        chosen = ANALYSES[name]
        of_training = issubclass(chosen, TrainingAnalysis)
        compared = not issubclass(chosen, TrainingAnalysis) and bool(chosen.compared)
        targets = _stored(reference, home, trials, of_training=of_training, compared=compared)
    elif Path(reference).exists():
        if trials:
            raise ConfigError(f"{reference} is a checkpoint and has no trials; leave out --trial")
        if issubclass(ANALYSES[name], TrainingAnalysis):
            raise ConfigError(
                f"analysis '{name}' expects a study, whose way of training it looks at; got the checkpoint "
                f"{reference}; name a stored study, and with --trial its trials"
            )
        targets = [_given(Path(reference), home, display, study, overrides)]
    else:
        try:
            check_exists(home, reference)
        except ConfigError as error:
            raise ConfigError(f"{error}; nor is there a checkpoint at that path") from None
    warnings: list[str] = []
    analysis = ANALYSES[name]()
    if isinstance(analysis, TrainingAnalysis):
        rows = list(_training_rows(analysis, targets, display))
        return {"analysis": name, "rows": rows, "warnings": []}
    rows = list(_rows(analysis, targets, display, warnings))
    comparisons = {"comparisons": compare_rows(rows, analysis.compared)} if analysis.compared else {}
    return {"analysis": name, "rows": rows, **comparisons, "warnings": list(dict.fromkeys(warnings))}


def _stored(
    name: str, home: Home, numbers: Sequence[int] | None, *, of_training: bool, compared: bool
) -> list[Target]:
    """Return the targets of a stored study; all are found before any is looked at.

    of_training: only their recipes count, so that the targets themselves may be gone. compared: with the
    undefended trial first, if there is one and no others are asked for.
    """
    from trainables.config import load_trial

    records = study_records(home, name, history=False)
    if numbers:
        trials = [find_trial(records, number) for number in dict.fromkeys(numbers)]
    else:
        trials = list(records.members)
        if compared:
            plain = list(filter(undefended, records.complete))[:1]
            trials = plain + [trial for trial in trials if trial not in plain]
    if not trials:
        raise ConfigError(f"study '{name}' has no finished trial on its front yet")
    study, store = stored_study(home.study(name)), home.store
    targets = []
    for trial in trials:
        number = trial.number
        seeds = trained_seeds(trial, study.trial.get("replicate", 0))
        replicate, measured = next(iter(seeds.items()))
        artifacts = measured.artifacts
        trained = _find(store, "target", artifacts.get("target"))
        if trained is None and not of_training:  # training it again is what a sweep is for
            raise ConfigError(
                f"expected the target of trial {number} in {store.root}, found nothing; analyze where the "
                "sweep ran, or with its store in the home"
            )
        document = study.document(trial.params)
        if "replicate" not in trial.params:
            document["replicate"] = replicate
        targets.append(
            Target(
                trial=number,
                config=load_trial(document, f"{name}, trial {number}"),
                trained=trained,
                store=store,
                attacks=attack_folders(artifacts),
                judges=_judge_folders(artifacts),
                warnings=trial.warnings,
            )
        )
    return targets


def _given(path: Path, home: Home, display: Display, study: str, overrides: Sequence[str]) -> Target:
    """Return the target whose weights lie at `path`, attacked and judged as `study` says."""
    from trainables.config import load_trial
    from trainables.stages.external_target import make_external_target
    from trainables.stages.judge import check_judges
    from trainables.storage.store import Store

    config = load_trial(load_study(study, overrides=overrides, check=False).trial, f"{study}: trial")
    check_judges(config)
    home.prepare()
    store = Store(home.store.root)
    display.say(f"reading {path}")
    trained = make_external_target(config, path, store=store, device=_device())
    return Target(trial=None, config=config, trained=trained, store=store, attacks={}, judges=())


def _rows(
    analysis: "Analysis", targets: Sequence[Target], display: Display, warnings: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each attack of each target; what must be known of them is added to `warnings`."""
    from trainables.stages.analysis import make_analysis
    from trainables.stages.data import load_data
    from trainables.stages.judge import make_judge
    from trainables.stages.warnings import trial_warnings

    device, warner = _device(), Warner(display)
    for target in targets:
        config, store, report = target.config, target.store, _Shown(display, target.who)
        assert target.trained is not None, "an attacked target is found before any is looked at"
        asked = config.judges if analysis.takes_opinions else config.judges[:1]
        folders = [*target.judges, *[""] * len(asked)]
        judges = [
            _find(store, "judge", folder)
            or make_judge(config, judge, store=store, device=device, report=report)
            for judge, folder in zip(asked, folders, strict=False)
        ]
        texts = target.warnings
        if target.trial is None:  # a sweep has stored them; where its data are gone, it is still read
            texts = trial_warnings(config, load_data(config), target.trained, judges, ())
        warnings += texts
        warner.tell(texts, target.who)
        for name, plan in config.attack_plans.items():
            attacked = _attacked(target, name, plan, report)
            figures = make_analysis(
                config,
                analysis,
                target.trained,
                attacked,
                judges[0],
                judges[1:],
                store=store,
                device=device,
                report=report,
            ).result
            yield {"trial": target.trial, "attack": name, **figures}
        display.ended(target.who, "analyzed")


def _training_rows(
    analysis: "TrainingAnalysis", targets: Sequence[Target], display: Display
) -> Iterator[dict[str, Any]]:
    """Yield a row for each target's way of training."""
    from trainables.stages.analysis import make_training_analysis

    for target in targets:
        report = _Shown(display, target.who)
        made = make_training_analysis(
            target.config, analysis, store=target.store, device=_device(), report=report
        )
        yield {"trial": target.trial, "attack": "", **made.result}
        display.ended(target.who, "analyzed")


def _judge_folders(artifacts: Mapping[str, str]) -> list[str]:
    """Return the folders of a trial's judges in order; a study that has them knows how many there are."""
    numbers = (int(name.removeprefix("judge_")) for name in artifacts if name.startswith("judge_"))
    return [artifacts.get("judge", ""), *(artifacts[f"judge_{number}"] for number in sorted(numbers))]


def _attacked(target: Target, name: str, plan: "AttackPlan", report: "_Shown") -> "Stage":
    """Return the reconstructions of one attack: found, or made with the prior and what else it needs."""
    from trainables.stages.attack import make_attack
    from trainables.stages.auxiliary import make_auxiliary
    from trainables.stages.prior import make_prior

    folder = target.attacks.get(name) or target.attacks.get("")
    attacked = _find(target.store, "attack", folder)
    if attacked is not None:
        return attacked
    config, trained, store, device = target.config, target.trained, target.store, _device()
    assert trained is not None, "an attacked target is found before any is looked at"
    prior = make_prior(config, plan.prior, trained, store=store, device=device, report=report, plan=plan)
    learnt = make_auxiliary(config, plan, trained, store=store, device=device, report=report)
    return make_attack(config, plan, trained, prior, learnt, store=store, device=device, report=report)


def _find(store: "Store", stage: str, folder: str | None) -> "Stage | None":
    return store.fetch(stage, Path(folder).name) if folder else None


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class _Shown:
    """Passes what a stage reports on to the display, with the seconds of the stage."""

    def __init__(self, display: Display, who: str) -> None:
        self._display, self._who, self._stage, self._began = display, who, "", 0.0

    def __call__(self, stage: str, done: int, total: int, **metrics: float) -> None:
        if stage != self._stage:
            self._stage, self._began = stage, time.monotonic()
        self._display.stage(self._who, stage, done, total, time.monotonic() - self._began)
