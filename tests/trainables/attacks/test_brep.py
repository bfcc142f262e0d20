"""BREP-MI against the released code's traces, its step against hand-computed ones, and its budgets."""

from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.brep import BREP, candidates, directions
from trainables.attacks.sharding import merge
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.oracle import LabelOracle, ScoreOracle
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent
from trainables.runtime.run import Run

GOLDEN = Path(__file__).parents[2] / "golden"
RUNS = ["06b_brep_run_a", "06c_brep_run_twosided_a", "06d_brep_run_rejections_a"]


class Sine(nn.Module):
    """The activation of two of the traces."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Recording(nn.Module):
    """The trace's generator, which keeps the latents it was asked for."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.asked: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        self.asked.append(z.clone())
        return torch.sigmoid(z @ self.weight + self.bias).reshape(-1, 3, 8, 8)


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(*weight.shape)
    layer.load_state_dict({"weight": weight.T, "bias": bias})
    return layer


def load(name: str) -> tuple[dict[str, Tensor], LabelOracle, PriorNetworks]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        g = {key: torch.as_tensor(arrays[key]) for key in arrays.files}
    activation = Sine() if name[:3] in ("06c", "06d") else nn.Tanh()
    hidden = nn.Sequential(nn.Flatten(), affine(g["T_W1"], g["T_b1"]), activation)
    target = Classifier({"hidden": hidden}, nn.Identity(), affine(g["T_W2"], g["T_b2"]))
    return g, LabelOracle(target, "cpu"), PriorNetworks(Recording(g["G_A"], g["G_a"]), nn.Identity(), 100)


def test_sphere_follows_the_released_code():
    g, oracle, prior = load("06a_brep_sphere_a")
    moved = float(g["radius"]) * directions(g["raw_normal"])
    torch.testing.assert_close(moved, g["perturbation"], atol=1e-5, rtol=0)
    labels = oracle(prior.generator(g["point"] + moved))
    assert torch.equal(labels, g["labels"])
    assert torch.equal((labels == g["target"]) * 2 - 1, g["indicator_pm1"])


@pytest.mark.parametrize("name", RUNS)
def test_walk_follows_the_released_code(name):
    """Every sphere and every candidate that was asked about is the recorded one, and the end is the same."""
    g, oracle, prior = load(name)
    calls, points = g["draws"].shape[:2]
    attack = BREP(
        points=points,
        radius=float(g["R0"]),
        expansion=float(g["expansion"]),
        clip=float(g["clamp"]),
        repulsion_only=bool(g["repulsion_only"]),
        iterations=int(g["max_iters"]),
        calls=1000 if g["terminated"] else calls,
    )
    identity = g["target"].reshape(1)

    def draw(call, rows):
        assert call < calls, "the walk should have ended"
        return g["draws"][call][None], torch.empty(1, points + 1, 0)

    latents, asked, history = attack.walk(
        oracle,
        prior,
        g["start_point"][None],
        identity,
        torch.tensor([True]),
        draw,
        run=Run(batch_size=100),
    )
    spheres, steps = prior.generator.asked[::2], prior.generator.asked[1::2]
    assert len(spheres) == len(steps) == calls and asked == calls * (points + 1) == oracle.queries
    radius = g["radius_used"].float()
    around = g["point_before"][:, None] + radius[:, None, None] * directions(g["draws"])
    torch.testing.assert_close(torch.stack(spheres), around, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.cat(steps), g["candidate_after_clamp"], atol=1e-4, rtol=1e-4)
    grew = g["indicator_pm1"].sum(1) > 0.75 * points
    judged = g["candidate_after_clamp"][(grew & g["accepted"]).nonzero()[-1]]
    torch.testing.assert_close(latents, judged, atol=1e-4, rtol=1e-4)
    assert history[-1]["grown"] == 1


@pytest.mark.parametrize(("repulsion_only", "pull"), [(True, (0.0, -1 / 3)), (False, (0.0, 0.2))])
def test_candidates_on_hand_computed_directions(repulsion_only, pull):
    toward = directions(torch.tensor([[[3.0, 4.0], [0.0, 2.0], [-6.0, 8.0]]]))
    there, radius, grew = candidates(
        torch.zeros(1, 2),
        torch.tensor([2.0], dtype=torch.float64),
        toward,
        torch.tensor([[True, False, True]]),
        expansion=1.3,
        growth_share=0.75,
        clip=1.5,
        repulsion_only=repulsion_only,
    )
    torch.testing.assert_close(there, torch.tensor([pull]) * 2 / 3)  # the step is a third of the radius
    assert radius.tolist() == [2.0] and grew.tolist() == [False]


@pytest.mark.parametrize(("inside", "grows"), [(28, False), (29, True), (32, True)])
def test_a_sphere_grows_from_29_of_32(inside, grows):
    knobs = {"expansion": 1.3, "growth_share": 0.75, "clip": 100.0, "repulsion_only": False}
    toward, flags = torch.ones(1, 32, 1), torch.arange(32)[None] < inside
    there, radius, grew = candidates(torch.zeros(1, 1), torch.tensor([30.0]), toward, flags, **knobs)
    mean = (2 * inside - 32) / 32
    assert grew.item() == grows and radius.item() == pytest.approx(39.0 if grows else 30.0)
    # the step is bounded by 3; the sum is divided by the radius after the growth
    assert there.item() == pytest.approx(3 * mean / (1.3 if grows else 1.0), rel=1e-5)


def halves(noisy: bool = False) -> tuple[LabelOracle, PriorNetworks]:
    """Label 1 where the first latent is positive, else 0; label 2 never."""
    generator = nn.Sequential(nn.Linear(2, 12), nn.Unflatten(1, (3, 2, 2)))
    head = nn.Linear(12, 3)
    with torch.no_grad():
        for weight in (*generator.parameters(), *head.parameters()):
            weight.zero_()
        generator[0].weight[0, 0] = generator[0].weight[1, 1] = 1
        head.weight[1, 0], head.weight[0, 0] = 1, -1
        head.bias[2] = -1000
    target = Classifier({"flat": nn.Flatten()}, nn.Identity(), head)
    if noisy:
        torch.manual_seed(0)
        target = MID(bottleneck=3).prepare(target)
    return LabelOracle(target, "cpu"), PriorNetworks(generator, nn.Identity(), 2)


def invert(attack: BREP, oracle, prior, identities, **options):
    arguments = {"seed": 0, "device": "cpu", "report": silent} | options
    return attack.invert(oracle, prior, torch.tensor(identities), **with_run(arguments))


def test_the_walk_leads_away_from_the_boundary():
    found = invert(BREP(iterations=20, calls=200), *halves(), [0, 1])
    assert found.latents[0, 0, 0] < -1 and found.latents[0, 1, 0] > 1
    assert found.history[-1]["grown"] == 1 and found.history[-1]["radius"] > 2


def test_a_label_that_never_shows_up_keeps_its_guess_and_costs_no_walk():
    oracle, prior = halves()
    attack = BREP(iterations=3, calls=5, start_batch=10, start_queries=45)
    found = invert(attack, oracle, prior, [2])
    assert found.queries == 45 == oracle.queries
    assert torch.isfinite(found.latents).all()
    (point,) = found.history
    assert point == {"iteration": 0.0, "radius": attack.radius, "walking": 0.0, "started": 0.0, "grown": 0.0}
    both = invert(attack, *halves(), [1, 2])
    assert torch.equal(both.latents[:, 1], found.latents[:, 0])
    assert {point["started"] for point in both.history} == {0.5}


def test_parts_in_which_nobody_started_count_in_the_course_of_all():
    attack = BREP(iterations=3, calls=5, start_batch=10, start_queries=45)
    whole = invert(attack, *halves(), [2, 1, 0])
    merged = merge([invert(attack, *halves(), [identity]) for identity in (2, 1, 0)])
    assert torch.equal(merged.latents, whole.latents) and merged.queries == whole.queries
    for point, other in zip(merged.history, whole.history, strict=True):
        assert point == pytest.approx(other)


def test_a_walk_that_would_never_end_stops_at_its_budget():
    """A target that says the same of everything lets the sphere grow for ever."""
    for calls, expected in ((7, 7), (1000, 51)):  # 2 * 1.3 ** 51 is the first radius above a million
        generator = nn.Sequential(nn.Linear(2, 12), nn.Sigmoid(), nn.Unflatten(1, (3, 2, 2)))
        head = nn.Linear(12, 2)
        nn.init.zeros_(head.weight)
        with torch.no_grad():
            head.bias.copy_(torch.tensor([1.0, 0.0]))
        oracle = LabelOracle(Classifier({"flat": nn.Flatten()}, nn.Identity(), head), "cpu")
        prior = PriorNetworks(generator, nn.Identity(), 2)
        found = invert(BREP(points=4, calls=calls, start_batch=8), oracle, prior, [0])
        assert found.queries == oracle.queries == 8 + expected * 5
        assert torch.isfinite(found.latents).all()


def test_progress_counts_the_queries_of_the_search_and_of_the_walks(monkeypatch):
    seconds = count(0, 2)
    monkeypatch.setattr("trainables.runtime.resumable_loop.time.monotonic", lambda: float(next(seconds)))
    told = []
    attack = BREP(points=4, iterations=1000, calls=10, start_batch=10, start_queries=40)
    invert(attack, *halves(), [0, 1, 2], report=lambda _, done, total, **__: told.append((done, total)))
    most = 40 + 3 * 10 * 5
    assert {total for _, total in told} == {most}
    done = [reached for reached, _ in told]
    assert done == sorted(done) and done[-1] == most
    assert done[:4] == [10, 20, 30, 40]  # nobody starts as label 2, and its walk counts as done
    assert done[4:-1] == [40 + max(50, 15 * call) for call in range(1, 11)]  # 10 calls of 3 x 5 queries


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_walks_the_same_in_any_company(noisy):
    attack = BREP(points=6, iterations=4, calls=9, start_queries=512)
    together = invert(attack, *halves(noisy), [0, 1, 2], batch_size=5)
    alone = invert(attack, *halves(noisy), [1])
    torch.testing.assert_close(together.latents[:, 1], alone.latents[:, 0], atol=1e-5, rtol=1e-5)


def test_history_stays_short():
    found = invert(BREP(points=2, iterations=1000, calls=230, expansion=1.0001), *halves(), [0, 1])
    iterations = [point["iteration"] for point in found.history]
    assert iterations[0] == 0 and 50 <= len(iterations) <= 101
    assert len({b - a for a, b in pairwise(iterations)}) == 1


def test_only_labels_are_asked_for():
    oracle, prior = halves()
    with pytest.raises(ConfigError, match="a labels attack expects a LabelOracle; got a ScoreOracle"):
        invert(BREP(), ScoreOracle(oracle._target, "cpu"), prior, [0])


@pytest.mark.parametrize("knob", ["points", "iterations", "calls", "start_queries", "radius", "expansion"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        BREP(**{knob: 0})
