"""What a confirmation measures anew: training seeds, the private split, the priors, the judge."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces.space import values
from sweeper.study.study import Study
from trainables.errors import ConfigError
from trainables.storage.documents import suggestion

if TYPE_CHECKING:  # torch takes seconds
    from trainables.config import TrialConfig

FRESH = ("seeds", "split", "prior", "judge")
USUAL = ("seeds", "judge")
SEEDS = {part: f"{part}_seed" for part in ("split", "prior", "judge")}  # knobs of a trial


def parse_fresh(texts: Sequence[str]) -> tuple[str, ...] | None:
    """Return what the command line wants fresh, in the order of `FRESH`; None if it says nothing.

    Commas separate several. Raises `ConfigError` for other words.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    for word in words:
        if word not in FRESH:
            raise ConfigError(
                f"what a confirmation varies must be one of {', '.join(FRESH)}; got '{word}'"
                f"{suggestion(word, FRESH)} (--fresh)"
            )
    return tuple(part for part in FRESH if part in words) or None


def usual(study: Study) -> tuple[str, ...]:
    """Return what is fresh where nothing is said: training seeds, and the judge if the study trains one."""
    judges = study.trial.get("judge")
    listed = judges if isinstance(judges, list) else [judges]
    return USUAL if any(map(_trains_judge, listed)) else ("seeds",)


def changes(study: Study, fresh: Sequence[str]) -> dict[str, Any]:
    """Return knob -> value of a trial, for all that is fresh beside training seeds.

    One number, the largest of the search and 1, serves every confirmed trial: what they share is made once
    for all.
    """
    return {knob: 1 + max(_searched(study, knob)) for part, knob in SEEDS.items() if part in fresh}


def _searched(study: Study, knob: str) -> list[int]:
    """Return what `knob` may be in the search, of a range its ends; where it may be None, `seed` too."""
    seeds = [study.trial.get(knob), *values(study.domains, knob)]
    if None in seeds:
        seeds += [study.trial.get("seed", 0), *values(study.domains, "seed")]
    return [seed for seed in seeds if seed is not None]


def check_fresh(config: "TrialConfig", fresh: Sequence[str]) -> None:
    """Raise `ConfigError` for something that cannot be fresh; `config` is a trial with all of it."""
    if "judge" in fresh and not any(map(_trains, config.judges)):
        raise ConfigError(
            f"judge '{config.judge.kind}' is not trained here, so no seed makes it another (--fresh judge); "
            "leave that out"
        )
    if "prior" in fresh and not any(map(_trains, (plan.prior for plan in config.attack))):
        raise ConfigError(
            f"prior '{config.attack[0].prior.kind}' is not trained here, so no seed makes it another "
            "(--fresh prior); leave that out"
        )
    if "split" in fresh:
        from trainables.stages.data import load_data

        split = load_data(config).split
        before = load_data(dataclasses.replace(config, split_seed=None)).split
        if (split.validation.files, split.test.files) == (before.validation.files, before.test.files):
            raise ConfigError(
                "the private data say themselves which images are validation and test images, so there is no "
                "other split (--fresh split); leave that out"
            )


def _trains(method: Any) -> bool:
    """Return whether a judge or a prior is trained here: such have epochs, and no file to read instead."""
    knobs = {field.name for field in dataclasses.fields(method)}
    return "epochs" in knobs and not getattr(method, "path", None)


def _trains_judge(document: Any) -> bool:
    if not isinstance(document, Mapping):
        return False
    from trainables.judges import JUDGES

    judge = JUDGES.get(str(document.get("kind")))
    return judge is not None and "epochs" in {field.name for field in dataclasses.fields(judge)}
