"""The stage of what an attack learns first, with a recipe that notes what it is given."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from pretend_card import DEVICE, pretend_card
from small_trial import TRIAL

from trainables.attacks.base import Attack, Auxiliary
from trainables.attacks.gmi import GMI, PPDGGMI
from trainables.attacks.plan import AttackPlan
from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.datasets.image_folder import ImageFolder
from trainables.defenses.base import Defense
from trainables.defenses.midre import MIDRE
from trainables.priors.gmi import GMIPrior
from trainables.stages.auxiliary import make_auxiliary
from trainables.stages.data import load_data
from trainables.stages.target import make_target, new_target
from trainables.storage.documents import merge
from trainables.storage.store import Stage, Store, content_key


@dataclass(frozen=True, kw_only=True)
class Questions(Auxiliary):
    """Notes the target's answers to the first public images."""

    kind: ClassVar[str] = "questions"

    images: int

    def make(self, target, public, *, run):
        run.report("auxiliary", 1, 1)
        shown = as_float(public.pixels[: self.images]).to(run.device)
        answers = target(shown)
        assert answers.device.type == torch.device(run.device).type
        return {"answers": answers.detach().cpu(), "seed": run.seed}


@dataclass(frozen=True, kw_only=True)
class Gradients(Attack):
    kind: ClassVar[str] = "asking"
    threat_model: ClassVar[str] = "white-box"

    images: int = 3
    iterations: int = 10

    @property
    def auxiliary(self) -> Questions:
        return Questions(images=self.images)


class Scores(Gradients):
    threat_model: ClassVar[str] = "scores"


class Labels(Gradients):
    threat_model: ClassVar[str] = "labels"


@dataclass(frozen=True, kw_only=True)
class SameAnswer(Defense):
    """Answers everything with the probabilities that it stored."""

    kind: ClassVar[str] = "same_answer"

    def shield(self, stored: Mapping[str, torch.Tensor]):
        return lambda probabilities, images: stored["answer"].expand_as(probabilities)


def plan(attack: Attack, **asking) -> AttackPlan:
    return AttackPlan(attack=attack, prior=GMIPrior(), **asking)


@pytest.fixture
def config():
    return load_trial(merge(TRIAL, {"seed": 5}))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store", None)


@pytest.fixture
def untrained(config, tmp_path):
    """Return a function that stores a target with the random weights of a replicate, under this name.

    The weights are large enough that pictures are told apart.
    """

    def stored(name: str = "target", replicate: int = 0) -> Stage:
        classifier = new_target(dataclasses.replace(config, replicate=replicate), 4)
        with torch.no_grad():
            for weight in classifier.parameters():
                weight.mul_(3 if weight.ndim > 1 else 1)
        (tmp_path / name).mkdir()
        torch.save(classifier.state_dict(), tmp_path / name / "target.pt")
        return Stage(tmp_path / name, {}, 0.0, made_now=False)

    return stored


def learnt(stage):
    return torch.load(stage.path / "auxiliary.pt", weights_only=True)


def test_an_attack_that_learns_nothing_first_has_none(config, store, tmp_path):
    nothing = Stage(tmp_path / "nowhere", {}, 0.0, made_now=False)
    no_data = dataclasses.replace(config, private=ImageFolder(root=str(tmp_path / "nowhere")))
    assert make_auxiliary(no_data, plan(GMI()), nothing, store=store) is None
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("attack", "told", "queries"),
    [
        (Gradients(), lambda logits: logits, None),
        (Scores(), lambda logits: logits.softmax(1), 3),
        (Labels(), lambda logits: logits.argmax(1), 3),
    ],
    ids=["gradients", "scores", "labels"],
)
def test_it_holds_what_the_recipe_makes_of_what_the_attack_sees(
    attack, told, queries, config, store, untrained
):
    trained, reports = untrained(), []
    made = make_auxiliary(
        config, plan(attack), trained, store=store, report=lambda *done: reports.append(done)
    )
    target = new_target(config, 4)
    target.load_state_dict(torch.load(trained.path / "target.pt", weights_only=True))
    images = load_data(config).public.pixels[:3].float() / 255
    answers = told(target.eval()(images)).detach()
    torch.testing.assert_close(learnt(made)["answers"], answers, atol=1e-5, rtol=1e-4)
    assert learnt(made)["seed"] == 5 and reports == [("auxiliary", 1, 1)]
    assert made.result == {"queries": queries} and made.machine["device"] == "cpu"


def test_a_defense_that_changes_answers_changes_what_is_learnt_of_them(config, store, untrained):
    trained = untrained()
    answer = torch.tensor([0.1, 0.2, 0.3, 0.4])
    torch.save({"answer": answer}, trained.path / "defense.pt")
    defended = dataclasses.replace(config, defense=SameAnswer())
    made = make_auxiliary(defended, plan(Scores()), trained, store=store)
    torch.testing.assert_close(learnt(made)["answers"], answer.expand(3, 4))


def test_pictures_over_which_answers_are_averaged_are_counted_and_learnt_anew(config, store, untrained):
    trained = untrained()
    once, thrice = (
        make_auxiliary(config, plan(Scores(), answers_averaged=count), trained, store=store)
        for count in (1, 3)
    )
    assert (once.result["queries"], thrice.result["queries"]) == (3, 9)
    assert once.key != thrice.key and not torch.equal(learnt(once)["answers"], learnt(thrice)["answers"])


@pytest.mark.parametrize(
    ("changes", "attack", "anew"),
    [
        ({"seed": 6}, Scores(), True),
        ({"public.identities": 5}, Scores(), True),
        ({}, Scores(images=2), True),
        ({}, Labels(), True),
        ({}, Scores(iterations=99), False),
        ({"test": 0.3, "prior.epochs": 9, "judge.epochs": 9, "attack.iterations": 9}, Scores(), False),
    ],
    ids=str,
)
def test_it_is_learnt_anew_for_what_it_depends_on_alone(changes, attack, anew, config, store, untrained):
    trained = untrained()
    first = make_auxiliary(config, plan(Scores()), trained, store=store)
    second = make_auxiliary(
        load_trial(merge(TRIAL, {"seed": 5, **changes})), plan(attack), trained, store=store
    )
    assert first.made_now and second.made_now == anew == (first.key != second.key)


def test_of_another_target_or_by_a_newer_recipe_it_is_learnt_anew(config, store, untrained, monkeypatch):
    one, other = untrained("one"), untrained("other", replicate=1)
    first, second = (make_auxiliary(config, plan(Scores()), trained, store=store) for trained in (one, other))
    assert not torch.equal(learnt(first)["answers"], learnt(second)["answers"])
    monkeypatch.setattr(Questions, "version", 2)
    assert make_auxiliary(config, plan(Scores()), one, store=store).made_now


def test_what_needs_no_target_is_made_once_for_all_of_them(config, store, tmp_path):
    """Public images for a tuning: whoever is attacked, however, they are the same; no target is loaded."""
    tuning = PPDGGMI(public_images=3)
    targets = [Stage(tmp_path / name, {}, 0.0, made_now=False) for name in ("one", "other")]
    plans = [plan(tuning), plan(dataclasses.replace(tuning, iterations=7)), plan(tuning, adaptive=True)]
    adapting = dataclasses.replace(config, defense=MIDRE())
    made = [
        make_auxiliary(trial, one, trained, store=store)
        for trained in targets
        for one in plans
        for trial in (config, adapting)
    ]
    assert len({stage.key for stage in made}) == 1 and [stage.made_now for stage in made].count(True) == 1
    assert learnt(made[0])["public"].shape == (3, 3, 32, 32) and made[0].result == {"queries": None}
    more = make_auxiliary(config, plan(dataclasses.replace(tuning, public_images=4)), targets[0], store=store)
    assert more.made_now and len(learnt(more)["public"]) == 4


def test_what_needs_one_lies_where_it_lay(config, store, untrained):
    trained, attack = untrained(), Scores()
    made = make_auxiliary(config, plan(attack, answers_averaged=3), trained, store=store)
    assert made.key == content_key(
        version=1,
        auxiliary={"kind": "questions", "images": 3},
        threat_model="scores",
        target="target",
        public=load_data(config).public_key,
        seed=5,
        answers_averaged=3,
    )


@pytest.mark.parametrize("attack", [Gradients(), Scores()], ids=["gradients", "scores"])
def test_on_a_card_the_target_is_asked_there(attack, config, store, untrained):
    with pretend_card():
        trained = untrained()
        made = make_auxiliary(config, plan(attack), trained, store=store, device=DEVICE)
    assert made.machine["device"] == DEVICE
    elsewhere = dataclasses.replace(store, root=store.root / "other")
    here = make_auxiliary(config, plan(attack), trained, store=elsewhere)
    torch.testing.assert_close(learnt(made)["answers"], learnt(here)["answers"], atol=1e-5, rtol=1e-4)


def test_students_learn_from_what_the_attack_sees(tmp_path):
    lomma = {"kind": "lomma_gmi", "students": [], "iterations": 2}
    usual_and_knowing = {"attack": [lomma, {**lomma, "adaptive": True}]}
    midre = {"defense": {"kind": "midre", "area": 0.6, "smallest": 0.2}}
    small = {"target": {**TRIAL["target"], "architecture": "small_resnet", "learning_rate": 0.02}}
    store, config = Store(tmp_path), load_trial({**TRIAL, **small, **midre, **usual_and_knowing})
    trained = make_target(config, store=store)
    made = [make_auxiliary(config, one, trained, store=store) for one in config.attack]
    means = [learnt(stage)["feature_mean"] for stage in made]
    assert made[0].key != made[1].key and not torch.allclose(*means, atol=1e-3)
    config = load_trial({**TRIAL, **small, **usual_and_knowing})
    trained = make_target(config, store=store)
    made = [make_auxiliary(config, one, trained, store=store) for one in config.attack]
    assert made[0].key == made[1].key
