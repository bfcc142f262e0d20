"""MIRROR's genetic attack: its operators by hand, its queries counted, its streams its own."""

import math

import pytest
import torch
from contexts import with_run
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.mirror_blackbox import MirrorBlackbox, mutated, share
from trainables.defenses.mid import MID
from trainables.oracle import ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.progress import silent


def test_released_genes_come_from_the_worse_parent():
    good, bad = torch.tensor([0.8]).log(), torch.tensor([0.2]).log()
    wanted = math.log(0.8) / (math.log(0.8) + math.log(0.2))
    assert share(good, bad, "released").item() == pytest.approx(wanted) and wanted < 0.13
    assert share(good, bad, "corrected").item() == pytest.approx(0.8)
    assert share(torch.zeros(1), torch.zeros(1), "released").item() == 0.5  # both certain: no 0 / 0


def test_mutation_adds_noise_before_the_leaky_relu():
    styles, noise = torch.tensor([[-0.4, 1.5, -0.1]]), torch.tensor([0.5, -2.0, 3.0])
    moved = mutated(styles, torch.tensor([[True, True, False]]), noise)
    torch.testing.assert_close(moved, torch.tensor([[-0.3, -0.1, -0.1]]))  # -2 + .5 = -1.5; 1.5 - 2 = -.5


def tiny() -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    prior = StyleGAN2Prior(width=2, widest=4, latent_size=6).build(32)
    for network in (prior.generator, prior.discriminator):
        network.eval().requires_grad_(False)
    target = Classifier({"shrink": nn.AvgPool2d(4)}, nn.Flatten(), nn.Linear(192, 5)).eval()
    with torch.no_grad():
        target.head.weight.mul_(5)
    return target, prior


class Counting(ScoreOracle):
    """Notes how many images it was asked about at once, and whether they were in [0, 1]."""

    def __call__(self, images, noise=None):
        assert images.min() >= 0 and images.max() <= 1
        self.asked = [*getattr(self, "asked", []), len(images)]
        return super().__call__(images, noise)


def invert(attack: MirrorBlackbox, target: Classifier, prior: PriorNetworks, identities, **options):
    oracle = Counting(target, "cpu")
    arguments = {"seed": 3, "device": "cpu", "report": silent} | options
    return attack.invert(oracle, prior, torch.tensor(identities), **with_run(arguments)), oracle


SMALL = MirrorBlackbox(pool=40, population=10, generations=6)


def test_queries_are_counted():
    found, oracle = invert(SMALL, *tiny(), [0, 3], batch_size=7)
    assert found.queries == oracle.queries == 40 + 2 * 6 * 9  # the pool once, the children of each generation
    assert max(oracle.asked) <= 7


def test_the_best_survives_and_gets_better():
    found, _ = invert(MirrorBlackbox(pool=40, population=20, generations=15), *tiny(), [0, 1, 2])
    losses = [point["identity_loss"] for point in found.history]
    assert len(losses) == 16 and losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    target, _ = tiny()
    with torch.no_grad():
        scores = target(found.images[0].float() / 255).softmax(1)[torch.arange(3), torch.arange(3)]
    assert -scores.log().mean().item() == pytest.approx(losses[-1], abs=0.05)  # 8 bits make a difference


def test_stops_asking_when_the_score_is_enough():
    found, oracle = invert(
        MirrorBlackbox(pool=40, population=10, generations=6, enough=1e-6), *tiny(), [0, 3]
    )
    assert found.queries == oracle.queries == 40
    assert len(found.history) == 7


def test_children_are_mixed_moved_and_cut_to_the_bounds():
    population = torch.tensor([[1.0, 1, 1, 1], [2.0, 2, 2, 2], [9.0, 9, 9, 9]])
    fitness = torch.tensor([0.5, 0.5, 1e-30]).log()  # the third is never a parent
    low, high, deviation = torch.full((4,), -3.0), torch.full((4,), 3.0), torch.ones(4)
    still, wild = MirrorBlackbox(mutation_size=0.0), MirrorBlackbox(mutation_size=50.0, mutation_chance=0.5)
    children = {}
    for name, attack in (("still", still), ("wild", wild)):
        drawn = [
            attack._children(
                population, fitness, low, high, deviation, torch.Generator().manual_seed(seed), 5
            )
            for seed in range(20)
        ]
        assert all(styles.shape == (2, 4) and noise.shape == (2, 5) for styles, noise in drawn)
        children[name] = torch.cat([styles for styles, _ in drawn])
    assert children["still"].unique().tolist() == [1.0, 2.0]
    assert any(len(row.unique()) == 2 for row in children["still"])  # genes of both parents in one child
    assert children["wild"].min() == -3 and children["wild"].max() == 3


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    target, prior = tiny()
    if noisy:
        target = MID(bottleneck=8).prepare(target).eval()
    together, _ = invert(SMALL, target, prior, [0, 1, 2, 4], batch_size=25)
    alone, _ = invert(SMALL, target, prior, [2], batch_size=4)
    torch.testing.assert_close(together.latents[:, 2], alone.latents[:, 0])


def test_progress_ends_at_its_total():
    reports = []
    invert(SMALL, *tiny(), [0, 3], report=lambda *a, **m: reports.append(a))
    assert reports[-1] == ("attack", 52, 52)


def test_impossible_knobs():
    with pytest.raises(ValueError, match="population must be at most pool"):
        MirrorBlackbox(pool=10, population=20)
    with pytest.raises(ValueError, match="enough"):
        MirrorBlackbox(enough=1.0)
