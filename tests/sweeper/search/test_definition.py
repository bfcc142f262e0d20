"""Where two definitions of a study differ, in words that its user can act on."""

import pytest
from small_trial import TRIAL

from sweeper.search.definition import changes
from trainables.config import document, load_trial

OTHER = {"kind": "classifier", "architecture": "small_resnet", "epochs": 3}
JUDGES = [{"kind": "classifier", "architecture": "small_cnn"}, OTHER]


def definition(**parts):
    trial = document(load_trial(TRIAL | {"judge": JUDGES} | parts.pop("trial", {})))
    return {"trial": trial, "space": [], "objectives": {"test_accuracy": "maximize"}} | parts


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {"replicates": 2}, ["search.replicates: 1 -> 2"]),
        ({"replicates": 3}, {}, ["search.replicates: 3 -> 1"]),
        ({}, {"accuracy": "validation"}, ["search.accuracy: 'test' -> 'validation'"]),
        ({"attacked": 0.5}, {}, ["search.attacked: 0.5 -> 1.0"]),
        ({}, {"constraints": ["fid <= 3"]}, ["constraints: nothing -> ['fid <= 3']"]),
        ({}, {"space": list(range(7))}, ["space: [] -> 7 of them"]),
        ({"trial": {"seed": 1}}, {"trial": {"seed": 2}}, ["trial.seed: 1 -> 2"]),
        (
            {},
            {"trial": {"judge": [JUDGES[0], OTHER | {"epochs": 4}]}},
            ["trial.judge.1.epochs: 3 -> 4"],
        ),
        ({}, {"trial": {"judge": JUDGES[0]}}, ["trial.judge.1: 'classifier' -> nothing"]),
        (
            {"trial": {"judge": [OTHER | {"epochs": 1}]}},
            {"trial": {"judge": [OTHER, JUDGES[0], {"kind": "embedder", "path": "e.pt"}]}},
            [
                "trial.judge.1: nothing -> 'classifier'",
                "trial.judge.2: nothing -> 'embedder'",
                "trial.judge.epochs: 1 -> 3",
            ],
        ),
        (
            {"objectives": {"fid": "maximize"}},
            {},
            ["objectives.fid: 'maximize' -> nothing", "objectives.test_accuracy: nothing -> 'maximize'"],
        ),
    ],
)
def test_what_changed_is_named_as_a_study_file_has_it(before, after, said):
    assert changes(definition(**before), definition(**after)) == said


def test_what_an_older_version_did_not_store_is_no_change_at_its_default():
    older = definition()
    del older["trial"]["target"]["frozen_batchnorm"]
    assert changes(older, definition()) == changes(definition(), older) == []
    other = definition(trial={"target": TRIAL["target"] | {"frozen_batchnorm": "train"}})
    assert changes(older, other) == ["trial.target.frozen_batchnorm: 'eval' -> 'train'"]


def test_a_path_that_means_the_same_is_no_change():
    before, after = (definition(trial={"seed": seed}) for seed in (1, 2))
    assert changes(before, after, same={"seed"}) == []


def test_a_trial_that_cannot_be_read_any_more_is_compared_as_it_is_stored():
    older = definition()
    older["trial"]["gone"] = 1
    assert changes(older, definition()) == ["trial.gone: 1 -> nothing"]
