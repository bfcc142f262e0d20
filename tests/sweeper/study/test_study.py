import itertools

import pytest
from small_trial import TRIAL

from sweeper.engine.machines.calibration import variants
from sweeper.study.checks import check_study, control_options, known_warnings
from sweeper.study.loading import load_study, parse_study
from trainables.errors import ConfigError


def test_studies_that_do_not_exist_name_the_nearest(write, tmp_path, monkeypatch):
    write()
    with pytest.raises(ConfigError, match=r"did you mean 'mine.yaml'\?"):
        load_study(str(tmp_path / "mime.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"expected a study file, got the folder .*folder\.yaml$"):
        load_study(str(tmp_path / "folder.yaml"))
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "quickstart.yaml").write_text("{}")
    monkeypatch.setattr("sweeper.study.presets.PRESETS", presets)
    with pytest.raises(
        ConfigError, match=r"presets quickstart; got 'quickstat'; did you mean 'quickstart'\?"
    ):
        load_study("quickstat")


def test_a_finite_space_bounds_the_budget(cheap):
    space = [{"a": {"choice": [1, 2, 3]}}]
    assert cheap(space=space, search={"trials": 50}).budget == 3
    assert cheap(space=space, search={"trials": 2}).budget == 2
    assert cheap(space=space, search={"sampler": "grid"}).budget == 3
    assert cheap(search={}).budget == 16


def test_every_branch_of_a_space_is_checked():
    space = [{"defense.kind": {"choice": ["none", "nothing"]}}]
    study = parse_study({"name": "s", "trial": TRIAL, "space": space}, "s")
    with pytest.raises(ConfigError, match=r"kind must be one of .*'nothing'.*defense.kind=nothing"):
        check_study(study)


def test_a_defense_of_the_space_that_the_target_does_not_take_is_left_out_while_others_are_left():
    """small_cnn has no skip connections to take away; small_resnet has."""

    def study(architecture, *space):
        target = {**TRIAL["target"], "architecture": architecture}
        return parse_study({"name": "s", "trial": {**TRIAL, "target": target}, "space": list(space)}, "s")

    every = study("small_cnn", "freeze_depth", "all_defenses")
    check_study(every)
    known_warnings(every)
    kinds = {document["defense"]["kind"] for document in variants(every)}
    assert not kinds & {"rolss", "ssf", "tts"} and {"none", "midre", "loft"} <= kinds
    everywhere = {d["defense"]["kind"] for d in variants(study("small_resnet", "all_defenses"))}
    assert kinds | {"rolss", "ssf", "tts"} == everywhere
    with pytest.raises(ConfigError, match=r"skip connections.*defense.kind=rolss"):
        check_study(study("small_cnn", {"defense.kind": {"choice": ["rolss"]}}))
    check_study(study("small_resnet", {"defense.kind": {"choice": ["rolss"]}}))


def test_a_set_of_trained_stages_without_effect_on_a_defense_is_not_offered():
    space = [{"target.trained": {"choice": [None, ["conv1"], []]}}, {"defense.kind": {"choice": ["bido"]}}]
    study = parse_study({"name": "s", "trial": TRIAL, "space": space}, "s")
    check_study(study)
    tried = {"defense.kind": "bido"}
    for trained in (None, ["conv1"], []):
        assert study.offers({**tried, "target.trained": trained}) == (trained != [])


def test_every_attack_that_a_space_may_choose_meets_every_prior(monkeypatch):
    """Found by looking at all pairs, not by the luck of some draws."""
    monkeypatch.setattr("sweeper.study.checks._CHECKED_DRAWS", 0)
    trial = {**TRIAL, "prior": {"kind": "gmi", "width": 2}, "attack": {"kind": "gmi"}}
    space = [
        {"attack.kind": {"choice": ["gmi", "brep"]}},
        {"prior.kind": {"choice": ["gmi", "eigenfaces", "kedmi"]}},
    ]
    study = parse_study({"name": "s", "trial": trial, "space": space}, "s")
    with pytest.raises(
        ConfigError, match=r"attack 'brep' .* got 'kedmi'.*attack.kind=brep, prior.kind=kedmi"
    ):
        check_study(study)
    check_study(parse_study({"name": "s", "trial": trial, "space": space[1:]}, "s"))


def test_a_path_of_a_template_or_of_a_choice_may_begin_with_the_home(tmp_path, monkeypatch):
    """A worker has a directory, and perhaps a home, of its own: it is given the whole path."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = {"kind": "image_folder", "root": "~/people"}
    space = [{"public.root": {"choice": ["~/near", "far"]}}]
    trial = {**TRIAL, "private": folder, "public": {**folder, "root": "~/others"}}
    study = parse_study({"name": "s", "trial": trial, "space": space}, "s")
    for given, path in (("~/near", "home/near"), ("far", "far")):
        document = study.document({"public.root": given})
        assert document["private"]["root"] == str(tmp_path / "home" / "people")
        assert document["public"]["root"] == str(tmp_path / path)
    assert study.document({})["public"]["root"] == str(tmp_path / "home" / "others")


def test_screening_is_on_or_off_as_yaml_says_it(write, tmp_path):
    path = write()
    for word, on in (("on", True), ("off", False)):
        assert load_study(path, overrides=[f"search.screening={word}"]).search.screening is on


def test_constraints_and_objectives_belong_to_the_identity(write):
    plain = load_study(write()).definition()
    assert "constraints" not in plain  # studies from before there were any stay what they were
    assert "replicates" not in plain
    assert load_study(write(search={"replicates": 2})).definition() == plain | {"replicates": 2}
    limited = load_study(write(constraints=["attack_accuracy<=.50", "test_accuracy >= 0.8"])).definition()
    assert limited == plain | {"constraints": ["attack_accuracy <= 0.5", "test_accuracy >= 0.8"]}


def test_what_the_configuration_shows_is_known_at_the_start(write):
    (text,) = known_warnings(load_study(write()))
    assert "frozen without pre-training" in text
    pretrained = TRIAL | {
        "pretraining": {"kind": "dataset", "data": TRIAL["private"] | {"population": "far"}}
    }
    assert known_warnings(load_study(write(trial=pretrained))) == []


def test_objectives_turned_round_are_warned_of(write):
    turned = {"test_accuracy": "minimize", "attack_accuracy": "minimize"}
    texts = [text for text in known_warnings(load_study(write(objectives=turned))) if "worst" in text]
    assert len(texts) == 1 and "for a target to release: {test_accuracy: maximize}" in texts[0]


def test_numbers_of_controls_are_read_as_those_of_trials(write):
    study = load_study(write(controls={"null_pictures": 1e3, "smoothing": "0.2", "stopped": "2"}))
    assert control_options(study) == {"null_pictures": 1000, "smoothing": 0.2, "stopped": 2}


@pytest.mark.parametrize(
    "knob", [{"replicate": {"choice": [0, 1]}}, {"seed": {"cases": {"a": {"replicate": 0}, "b": {}}}}]
)
def test_seeds_that_are_averaged_and_varied_too_are_warned_of(write, knob):
    def warned(**changes):
        return "share seeds" in " ".join(known_warnings(load_study(write(**changes))))

    assert warned(space=[knob], search={"replicates": 2})
    assert not warned(space=[knob])
    assert not warned(search={"replicates": 2})


def test_one_accuracy_is_searched_for(cheap):
    both = {"test_accuracy": "maximize", "validation_accuracy": "maximize"}
    with pytest.raises(ConfigError, match="objectives must name one accuracy"):
        cheap(objectives=both)
    assert cheap(objectives=both, search={"accuracy": "test"}).searched == both
    study = cheap(constraints=["test_accuracy >= 0.8"])
    assert study.searched == {"validation_accuracy": "maximize", "attack_accuracy": "minimize"}
    assert [str(limit) for limit in study.searched_limits] == ["validation_accuracy >= 0.8"]
    with pytest.raises(ConfigError, match=r"search.accuracy must be .*'validation'.*got 'train'"):
        cheap(search={"accuracy": "train"})


def test_a_begun_study_keeps_the_order_of_its_objectives(cheap):
    """Stored values, and directions, go by place."""
    three = {"test_accuracy": "maximize", "attack_accuracy": "minimize", "train_seconds": "minimize"}
    definition = cheap(objectives=three).definition()
    for order in itertools.permutations(three):
        again = cheap(objectives={name: three[name] for name in order}).as_begun(definition)
        assert list(again.objectives) == list(three)
        assert list(again.searched) == ["validation_accuracy", "attack_accuracy", "train_seconds"]
    other = {"attack_accuracy": "maximize", "test_accuracy": "maximize"}
    turned = cheap(objectives=other).as_begun(cheap().definition())
    assert list(turned.objectives.items()) == [("test_accuracy", "maximize"), ("attack_accuracy", "maximize")]
    fewer = {"attack_accuracy": "minimize"}
    assert cheap(objectives=fewer).as_begun(definition).objectives == fewer
