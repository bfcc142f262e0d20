"""The floor against counts by hand, and which prior draws it."""

from dataclasses import replace

import pytest
import torch
from planted import LEAK, PEOPLE, Album, TargetAlbum, planted_trial

from trainables.attacks.base import Attack
from trainables.attacks.gmi import GMI
from trainables.attacks.plan import AttackPlan
from trainables.attacks.vmi import VMI
from trainables.controls.null import make_null, null_source
from trainables.datasets.base import as_float
from trainables.runtime.run import Run
from trainables.runtime.seeds import derive
from trainables.stages.data import load_data
from trainables.stages.target import make_target
from trainables.storage.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


def undefended(trial, store):
    return make_target(replace(trial, target=replace(trial.target, epochs=1)), store=store)


def test_the_floor_is_the_share_of_pictures_that_are_named_as_each_person(store):
    trial = planted_trial(identities=PEOPLE - 3)
    control = make_null(trial, trial.attack[0], undefended(trial, store), 57, store=store)
    pictures = torch.load(f"{control.path}/pictures.pt", weights_only=True)
    assert pictures.shape == (57, 3, 32, 32)
    train = load_data(trial).split.train
    pixels = as_float(train.pixels)
    means = torch.stack([pixels[train.labels == label].mean(0) for label in range(PEOPLE)])
    counts = [0] * PEOPLE
    for picture in as_float(pictures):
        counts[int((means - picture).square().sum((1, 2, 3)).argmin())] += 1
    assert control.per_identity == tuple(count / 57 for count in counts[: PEOPLE - 3])
    assert control.named == sum(count > 0 for count in counts)
    assert control.rates.mean == pytest.approx(sum(counts[: PEOPLE - 3]) / 57 / (PEOPLE - 3))
    assert control.pictures == 57 == control.rates.tries and control.rates.independent
    assert (control.prior, control.attack, control.saw_target) == ("album", "gmi", False)


def test_pictures_keep_within_the_bounds_of_the_attack(store):
    """Latents that are clipped to almost nothing give one picture: the mean over all people."""
    trial = planted_trial(replace(LEAK, clip=1e-6))
    control = make_null(trial, trial.attack[0], undefended(trial, store), 20, store=store)
    assert sorted(control.per_identity) == [0.0] * (PEOPLE - 1) + [1.0] and control.named == 1


def test_the_floor_is_made_once_for_all_targets_and_anew_for_other_pictures(store):
    trial = planted_trial()
    first = make_null(trial, trial.attack[0], undefended(trial, store), 30, store=store)
    again = make_null(trial, trial.attack[0], make_target(trial, store=store), 30, store=store)
    assert again == first  # seconds too: it was found
    more = make_null(trial, trial.attack[0], undefended(trial, store), 31, store=store)
    assert more.path != first.path
    other = planted_trial(replace(LEAK, clip=0.5))
    assert make_null(other, other.attack[0], undefended(other, store), 30, store=store).path != first.path


def test_a_prior_that_saw_the_target_draws_only_where_there_is_no_other(store):
    taught, free = TargetAlbum(), Album(people=replace(Album().people, seed=1))
    plan = AttackPlan(attack=LEAK, prior=taught)
    alone = replace(planted_trial(), prior=taught, attack=(plan,))
    assert null_source(alone, plan) == (taught, LEAK)
    assert null_source(replace(alone, prior=free), plan) == (free, None)
    other = AttackPlan(attack=VMI(steps=2), prior=free)
    assert null_source(replace(alone, attack=(plan, other)), plan) == (free, other.attack)
    own = AttackPlan(attack=GMI(), prior=Album())
    assert null_source(replace(alone, attack=(other, own)), own) == (Album(), own.attack)
    target = undefended(alone, store)
    control = make_null(alone, plan, target, 20, store=store)
    assert control.saw_target and control.prior == "target_album"
    control = make_null(replace(alone, prior=free), plan, target, 20, store=store)
    assert not control.saw_target and control.attack is None
    networks = free.train(load_data(alone).public, run=Run())
    plain = Attack().unguided(networks, 20, run=Run(seed=derive(0, "null")))
    assert torch.equal(torch.load(f"{control.path}/pictures.pt", weights_only=True), plain)
