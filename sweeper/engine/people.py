"""Whom a search attacks: some people by chance, decided when a study begins; a confirmation attacks the rest.

A front is made of the trials that look best, and some look best on the people who happened to be attacked.
Measured again on others, they look as good as they are.
"""

import dataclasses
from typing import Any

import numpy as np

from sweeper.results.records import study_names
from sweeper.search.reading import DEFINITION, stored_notes, stored_trials
from sweeper.storage.home import Home
from sweeper.study.study import Study
from trainables.errors import ConfigError

MANY = 80  # people from which on each part has enough of them
USUAL = 0.5


def begin(study: Study, home: Home) -> Study:
    """Return `study` with all decided that it leaves open: as it was when it began, or as it begins now.

    Reads the private data of a new one. Raises `ConfigError` for data that do not fit.
    """
    definition = begun_definition(study, home)
    study = study.as_begun(definition)
    return study if definition is not None else divide(study, _people(study))


def begun_definition(study: Study, home: Home) -> dict[str, Any] | None:
    """Return the document of the stored study, None if there is none or if no trial of it ever began."""
    if study.name not in study_names(home):
        return None
    definition: dict[str, Any] | None = stored_notes(home.storage, study.name).get(DEFINITION)
    if definition is None:
        return None
    _, trials = stored_trials(home.storage, study.name)
    return definition if trials else None


def divide(study: Study, people: int | None) -> Study:
    """Return a new study whose search attacks its share of `people`.

    people: how many can be attacked; None where trials differ in who they are, or the study names them.
    Raises `ConfigError` for a share that leaves nobody on one side.
    """
    share = study.search.attacked
    if share is None:
        share = USUAL if people is not None and people >= MANY else 1.0
    search = dataclasses.replace(study.search, attacked=share)
    if share == 1:
        return dataclasses.replace(study, search=search)
    if people is None:
        raise ConfigError(
            "search.attacked divides the people who are attacked, and this study names them (trial.attacked) "
            f"or searches over them; got {share:g} ({study.name}: search.attacked); leave one of them out"
        )
    count = round(share * people)
    if not 0 < count < people:
        raise ConfigError(
            f"search.attacked must leave somebody for the search and for `confirm`; got {share:g} of "
            f"{people} people ({study.name}: search.attacked); set it to 1 to attack all"
        )
    order = np.random.default_rng([study.trial.get("seed", 0), people]).permutation(people)
    trial = {**study.trial, "attacked": sorted(order[:count].tolist()), "identities": people}
    return dataclasses.replace(study, trial=trial, search=search)


def others(study: Study) -> list[int]:
    """Return the labels of the people whom the search does not attack; [] where it attacks all."""
    if (study.search.attacked or 1) == 1:
        return []
    return sorted(set(range(study.trial["identities"])) - set(study.trial["attacked"]))


def _people(study: Study) -> int | None:
    """Return how many people are attacked; None where trials differ in that or the study names them."""
    from search_spaces.space import paths
    from trainables.config import load_trial
    from trainables.stages.data import attacked_identities, load_data

    varied = {path.partition(".")[0] for path in paths(study.domains)}
    if varied & {"private", "identities", "attacked"} or study.trial.get("attacked"):
        return None
    config = load_trial(study.trial)
    return len(attacked_identities(config, load_data(config)))
