"""Long studies get Optuna's own proposals, for less work."""

import optuna
import pytest
from optuna.samplers import TPESampler

import sweeper.search.tpe
from sweeper.search.tpe import LongTPE

STARTUP = 5


def define(trial):
    """Suggest what a conditional space holds: numbers on log scale, steps, choices, a nested branch."""
    x = trial.suggest_float("x", 1e-4, 1.0, log=True)
    n = trial.suggest_int("n", 1, 9)
    kind = trial.suggest_categorical("kind", ["none", "bido", "mid"])
    if kind == "bido":
        y = trial.suggest_float("lambda_x", 0.0, 1.0)
        return x + trial.suggest_float("lambda_y", 0.0, 1.0), n * y
    if kind == "mid":
        return x * trial.suggest_float("beta", 1e-3, 1.0, log=True), float(n)
    return x, n * x


def run(sampler, count, parallel=1, limit=False, objectives=2, restart=None):
    """Return the parameters of `count` trials, asked for `parallel` at a time and told in mixed order."""
    source = optuna.create_study(
        directions=["maximize", "minimize", "minimize"][:objectives], sampler=sampler(0)
    )
    open_ones, found = [], []
    for i in range(count):
        if i == restart:
            source.sampler = sampler(i)
        trial = source.ask()
        values = (*define(trial), trial.params["x"])[:objectives]
        found.append(dict(trial.params))
        open_ones.append((trial, values))
        if len(open_ones) >= parallel:
            trial, values = open_ones.pop(i % len(open_ones))
            if limit:
                trial.set_constraint("x", 0.3 - trial.params["x"])
            if i % 11 == 7:
                source.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                source.tell(trial, values)
    return found


def stock(seed):
    return TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP)


def ours(seed):
    return LongTPE(seed=seed, startup=STARTUP)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "case",
    [{}, {"parallel": 4}, {"limit": True}, {"objectives": 3, "parallel": 2}, {"parallel": 3, "restart": 40}],
    ids=str,
)
def test_its_proposals_are_those_of_optuna(case):
    expected, found = run(stock, 90, **case), run(ours, 90, **case)
    assert found == expected
    assert found != run(lambda seed: ours(seed + 1), 90, **case)
    random = optuna.samplers.RandomSampler
    assert found[-30:] != run(lambda seed: random(seed=seed), 90, **case)[-30:]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_finished_trial_is_read_once(monkeypatch):
    splits, notes, original = [], [], sweeper.search.tpe._split_trials
    monkeypatch.setattr(
        sweeper.search.tpe, "_split_trials", lambda *a: splits.append(len(a[1])) or original(*a)
    )
    note = LongTPE._note
    monkeypatch.setattr(LongTPE, "_note", lambda self, t, p: notes.append(t.number) or note(self, t, p))
    run(ours, 60)
    assert splits == sorted(set(splits)), "the trials are split at most once a proposal"
    assert sorted(notes) == sorted(set(notes)), "no trial is read twice"
    assert len(notes) > 50
