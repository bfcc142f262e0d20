"""A real, tiny study with two finished trials, to export panels of."""

import pytest
import yaml

from sweeper.search.optuna_study import OptunaStudy
from sweeper.storage.home import Home
from sweeper.study.loading import parse_study
from trainables.config import load_trial
from trainables.trial import run_trial

FACES = {"kind": "synthetic_faces", "images_per_identity": 8}
PEOPLE = 4
DOCUMENT = {
    "name": "tiny",
    "trial": {
        "image_size": 32,
        "private": {**FACES, "population": "private", "identities": PEOPLE},
        "public": {**FACES, "population": "public", "identities": 3},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn", "epochs": 1, "normalization": "half"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi", "width": 4, "epochs": 1},
        "attack": {"kind": "gmi", "iterations": 2, "restarts": 2},
        "judge": {"kind": "classifier", "architecture": "small_cnn", "epochs": 1},
    },
    "space": [{"target.freeze_point": {"ordered": ["none", "conv2"]}}],
    "search": {"trials": 2, "anchors": False, "sampler": "grid"},
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a home with the study `tiny`: two trials, four people, two restarts of each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPTUNA_STORAGE", "MLFLOW_TRACKING_URI", "SWEEPER_HOME"):
            patch.delenv(name, raising=False)
        home = Home(tmp_path_factory.mktemp("panels") / "home")
        home.prepare()
        home.study("tiny").mkdir(parents=True)
        (home.study("tiny") / "study.yaml").write_text(yaml.safe_dump(DOCUMENT))
        book = OptunaStudy(parse_study(DOCUMENT, "test"), home.storage, home.study("tiny") / "history")
        for _ in range(2):
            asked = book.ask()
            result = run_trial(load_trial(asked.document), store=home.store).to_json()
            assert book.tell(asked.number, result | {"params": asked.assignment}) == ""
    return home
