"""The loop of trainings: what it reports and refuses, and that a killed training goes on to the same bits."""

import dataclasses
import itertools

import pytest
import torch
from small_priors import SMALL, public, victim

from trainables.defenses.mid import MID
from trainables.errors import TrialError
from trainables.oracle import LabelOracle, Oracle, ScoreOracle
from trainables.priors.base import state
from trainables.priors.training_loop import Checkpoint, Order, Questions, train_loop
from trainables.runtime.run import Run
from trainables.storage.resume import Resume
from trainables.training.batches import endless, shuffled


def losses(values):
    return ({"critic_loss": torch.tensor(value)} for value in values)


def test_the_last_step_is_reported_among_the_units_of_the_whole():
    reports = []
    run = Run(report=lambda *a, **m: reports.append((*a, m)))
    train_loop(losses([3.0, 2.0, 1.0]), 3, run=run, units=5)
    assert reports[-1] == ("prior", 3, 5, {"critic_loss": 1.0})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_fails_the_trial(value):
    with pytest.raises(TrialError, match="losses are not finite at step 2 of 2"):
        train_loop(losses([1.0, value]), 2, run=Run())


def test_a_loss_that_is_not_finite_is_not_saved(tmp_path):
    run = Run(resume=Resume(tmp_path, every=0.0))
    with pytest.raises(TrialError, match="at step 2 of 3"):
        train_loop(losses([1.0, float("nan"), 1.0]), 3, run=run, checkpoint=Checkpoint(run))
    assert Checkpoint(run).done == 1


def test_an_order_is_that_of_the_batches_it_stands_for():
    def stream():
        return torch.Generator().manual_seed(3)

    again, order = stream(), Order(7, 3, stream())
    for _ in range(3):
        assert all(torch.equal(batch, next(order)) for batch in shuffled(7, 3, again))
    assert torch.equal(next(Order(2, 5, stream())), next(shuffled(2, 5, stream())))
    for size in (3, 5, 20):  # more than a pass too
        pairs = zip(endless(7, size, stream()), Order(7, size, stream(), goes_on=True), strict=False)
        assert all(torch.equal(*pair) for pair in itertools.islice(pairs, 9))


@pytest.mark.parametrize("goes_on", [False, True])
def test_an_order_goes_on_in_the_midst_of_a_pass(goes_on, tmp_path):
    order = Order(7, 3, torch.Generator().manual_seed(3), goes_on=goes_on)
    next(order)
    torch.save(order.state_dict(), tmp_path / "order.pt")
    whole = [next(order) for _ in range(5)]
    other = Order(7, 3, torch.Generator().manual_seed(4), goes_on=goes_on)
    other.load_state_dict(torch.load(tmp_path / "order.pt", weights_only=True))
    assert all(torch.equal(batch, next(other)) for batch in whole)


def test_a_part_is_brought_back_when_it_is_held(tmp_path):
    run = Run(resume=Resume(tmp_path))
    number, generator = torch.tensor(2.5), torch.Generator().manual_seed(1)
    checkpoint = Checkpoint(run, number=number)
    assert checkpoint.done == 0
    checkpoint.hold(generator=generator)
    torch.manual_seed(8)
    checkpoint.save(4)
    drawn = torch.rand(2, generator=generator), torch.rand(2)
    number.zero_()
    generator.manual_seed(2)
    assert Checkpoint(run, "other", number=number).done == 0 and number == 0
    again = Checkpoint(run, number=number)
    assert again.done == 4 and number == 2.5
    again.hold(generator=generator)
    assert torch.equal(torch.rand(2, generator=generator), drawn[0])
    assert torch.equal(torch.rand(2), drawn[1])  # torch's own stream needs no mention


def stochastic():
    """A target whose head draws noise for each image."""
    torch.manual_seed(1)
    return MID(beta=0.1).prepare(victim()).eval()


def test_questions_count_from_where_they_were():
    images, oracle = torch.rand(3, 3, 32, 32), LabelOracle(stochastic(), "cpu")
    oracle(images)
    questions = Questions(oracle)
    oracle(images)
    saved = questions.state_dict()
    following = oracle(images)
    assert saved["asked"] == 3 and questions.asked == 6
    other = LabelOracle(stochastic(), "cpu")
    again = Questions(other)
    again.load_state_dict(saved)
    assert again.asked == other.queries == 3 and torch.equal(other(images), following)


class Killed(Exception):
    """Stands for a kill."""


class Dying(Resume):
    """Is due at every second step, and dies in the place of one of them."""

    def __init__(self, folder, step):
        super().__init__(folder)
        self.steps, self.last = 0, step

    def due(self):
        self.steps += 1
        if self.steps == self.last:
            raise Killed
        return self.steps % 2 == 0


more = dataclasses.replace
TRAININGS = {  # of more than three steps
    "gmi": SMALL["gmi"],
    "gmi, averaged": more(SMALL["gmi"], averaging=0.5, epochs=3),
    "kedmi": SMALL["kedmi"],
    "kedmi, averaged": more(SMALL["kedmi"], averaging=0.5),
    "kedmi, oracle of a stochastic target": SMALL["kedmi"],
    "plg": more(SMALL["plg"], iterations=4),
    "plg, stochastic target": more(SMALL["plg"], iterations=4),
    "lokt": more(
        SMALL["lokt"], iterations=3, surrogate_epochs=4, epoch_images=8, surrogates=("small_cnn", "small_cnn")
    ),
    "lokt, stochastic target": more(SMALL["lokt"], iterations=4, warmup=0, surrogates=()),
    "stylegan2": SMALL["stylegan2"],
    "stylegan2, random layers": more(SMALL["stylegan2"], noise=True, path_length=2.0, epochs=3),
}


def train(name, resume=None):
    """Return all weights that a training comes to, and how many images its oracle was asked about."""
    prior, target = TRAININGS[name], stochastic() if "stochastic" in name else victim()
    if prior.kind == "lokt":
        target = LabelOracle(target, "cpu")
    elif "oracle" in name:
        target = ScoreOracle(target, "cpu")
    networks = prior.train(
        public(), run=Run(seed=3, resume=resume or Resume()), target=target if prior.needs_target else None
    )
    weights = [value for part in state(networks).values() for value in part.values()]
    return weights, getattr(target, "queries", None)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_killed_training_goes_on_to_the_same_bits(name, tmp_path):
    weights, queries = train(name)
    for step in itertools.count(3, 2):  # one after a step that was saved
        folder = tmp_path / str(step)
        try:
            train(name, Dying(folder, step))
        except Killed:
            torch.manual_seed(step)  # another process begins elsewhere
        else:
            break  # it has fewer steps
        again, asked = train(name, Resume(folder))
        assert all(torch.equal(*pair) for pair in zip(weights, again, strict=True)), step
        assert asked == queries, step
    assert step > 3


@pytest.mark.parametrize("name", ["gmi, averaged", "kedmi", "plg", "lokt", "stylegan2"])
def test_a_training_killed_after_its_end_repeats_no_step(name, tmp_path, monkeypatch):
    weights, queries = train(name, Resume(tmp_path))
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: pytest.fail("a step is repeated"))
    again, asked = train(name, Resume(tmp_path))
    assert all(torch.equal(*pair) for pair in zip(weights, again, strict=True)) and asked == queries


def test_steps_that_were_saved_are_not_repeated(tmp_path, monkeypatch):
    """Of 4 steps, each of two optimizers, the second was the last that was saved: two are left."""
    steps = []
    step = torch.optim.Adam.step

    def counted(self, *arguments, **named):
        steps.append(self)
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    with pytest.raises(Killed):
        train("stylegan2", Dying(tmp_path, 3))
    assert len(steps) == 6
    train("stylegan2", Resume(tmp_path))
    assert len(steps) == 6 + 4


def test_questions_are_not_asked_again_after_a_kill(tmp_path, monkeypatch):
    """Those of KEDMI's public images, and of LOKT's images for its surrogates."""
    for name, step in (("kedmi, oracle of a stochastic target", 3), ("lokt", 5)):
        with pytest.raises(Killed):
            train(name, Dying(tmp_path / name, step))
        asked = []
        answer = Oracle._answer
        monkeypatch.setattr(Oracle, "_answer", lambda *a, f=answer: asked.append(a) or f(*a))  # noqa: B023
        train(name, Resume(tmp_path / name))
        monkeypatch.undo()
        assert asked == [], name
