from sweeper.search.analysis_notes import WRITTEN, AnalysisNote, digest, keep, kept, kept_rows
from sweeper.search.optuna_study import OptunaStudy
from sweeper.search.reading import stored_notes


def test_each_trial_has_its_own_note_and_the_last_one_counts(home, cheap):
    study = cheap()
    OptunaStudy(study, home.storage, home.root)
    before = stored_notes(home.storage, study.name)
    rows = [{"attack": "gmi", "figure": 0.5}, {"attack": "map", "figure": 0.25}]
    keep(home.storage, study.name, "layers", 10, AnalysisNote("a", rows[:1]))
    keep(home.storage, study.name, "layers", 2, AnalysisNote("b", rows))
    keep(home.storage, study.name, "cost", 2, AnalysisNote("c", [{"attack": "", "ratio": 2.0}]))
    notes = stored_notes(home.storage, study.name)
    assert digest(notes) != digest(before)
    assert kept(notes) == {
        "cost": {2: AnalysisNote("c", [{"attack": "", "ratio": 2.0}])},
        "layers": {2: AnalysisNote("b", rows), 10: AnalysisNote("a", rows[:1])},
    }
    assert kept_rows(notes, [2, 7]) == {
        "cost": [{"trial": 2, "attack": "", "ratio": 2.0}],
        "layers": [{"trial": 2, **row} for row in rows],
    }
    assert kept_rows(notes, [10]) == {"layers": [{"trial": 10, **rows[0]}]}

    keep(home.storage, study.name, "layers", 2, AnalysisNote("d", []))
    later = stored_notes(home.storage, study.name)
    assert kept(later)["layers"][2] == AnalysisNote("d", []) and digest(later) != digest(notes)
    assert digest({**later, WRITTEN: "a digest", "controls": {}}) == digest(later)
    assert kept_rows(later, [2]) == {"cost": [{"trial": 2, "attack": "", "ratio": 2.0}]}
