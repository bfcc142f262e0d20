"""SMILE: what the optimizer is told, how much is asked, and the extra that it needs."""

import importlib.util

import pytest
import torch
import toy_networks as toys

from trainables.attacks import smile
from trainables.attacks.optim.style_pool import style_bounds
from trainables.attacks.smile import SMILE
from trainables.errors import ConfigError
from trainables.oracle import observe
from trainables.runtime.run import Run

KNOBS = {"pool": 20, "surrogate": "small_cnn", "experts": 2, "epochs": 1, "batch_size": 8, "iterations": 3}


class Noting:
    """An optimizer that asks far outside, then inside, and notes what it is told."""

    def __init__(self, start: torch.Tensor) -> None:
        self.start, self.told = start, []

    def ask(self):
        class Candidate:
            value = self.start.double().numpy() + (100.0 if not self.told else 0.0)

        return Candidate()

    def tell(self, candidate, loss: float) -> None:
        self.told.append((torch.from_numpy(candidate.value.copy()), loss))


def test_the_optimizer_is_told_of_what_was_asked_about(monkeypatch):
    made = []
    monkeypatch.setattr(smile, "new_optimizer", lambda start, *_: made.append(Noting(start)) or made[-1])
    prior = toys.prior("stylegan2")
    oracle = observe(toys.target(prior), "scores", "cpu")
    attack = SMILE(budget=2, **KNOBS)
    result = attack.invert(oracle, prior, torch.tensor([3, 0]), run=Run(seed=1))
    assert oracle.queries == result.queries == 20 + 2 * 2
    pool = prior.generator.style(torch.randn(20, toys.LATENT, generator=Run(seed=1).stream("smile", "pool")))
    low, high = style_bounds(pool, attack.spread)
    for place, (label, optimizer) in enumerate(zip((3, 0), made, strict=True)):
        asked = torch.stack([value for value, _ in optimizer.told]).float()
        torch.testing.assert_close(asked[0], high)  # cut to the bounds, from far above them
        assert (asked <= high + 1e-6).all() and (asked >= low - 1e-6).all()
        with torch.no_grad():
            sure = oracle(attack.images(prior.generator, asked))[:, label].log()
        losses = torch.tensor([loss for _, loss in optimizer.told])
        torch.testing.assert_close(losses, -sure, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(result.latents[0, place], asked[sure.argmax()])


def test_without_nevergrad_the_extra_is_named_before_any_work(monkeypatch):
    plain = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "nevergrad" else plain(name, *rest)
    )
    with pytest.raises(ConfigError, match=r"pip install 'inversion-sweeper\[nevergrad\]'"):
        SMILE().check_prior(toys.prior("stylegan2"))


def test_knobs_out_of_range():
    for knobs in ({"experts": 0}, {"batch_size": 1}, {"budget": 0}, {"learning_rate": 0.0}):
        with pytest.raises(ValueError, match=next(iter(knobs))):
            SMILE(**knobs)
    with pytest.raises(ValueError, match="surrogate must be one of"):
        SMILE(surrogate="small_cn")
