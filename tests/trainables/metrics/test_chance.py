"""A guess, against judges that answer without a look."""

import pytest
import torch
from torch.nn import functional

from trainables.metrics.attack_accuracy import AttackAccuracyTop1
from trainables.metrics.base import Evidence
from trainables.metrics.chance import Chance


def answered(name: int, people: int, attacked: list[int], restarts: int) -> Evidence:
    """Return what a judge of so many people says who names the same one whatever it sees."""
    shape = (restarts, len(attacked))
    return Evidence(
        reconstructions=torch.zeros(*shape, 3, 2, 2, dtype=torch.uint8),
        identities=torch.tensor(attacked),
        logits=functional.one_hot(torch.full(shape, name), people).float(),
        features=torch.zeros(*shape, 6),
        confidences=torch.full((*shape, 9), 1 / 9),
        private_features=torch.zeros(4, 6),
        private_labels=torch.zeros(4, dtype=torch.int64),
    )


@pytest.mark.parametrize(
    ("people", "attacked", "restarts"), [(5, [4, 0, 1], 2), (8, [3], 4), (3, [0, 1, 2, 2], 3)]
)
def test_it_is_the_attack_accuracy_of_naming_anybody_whom_the_judge_knows(people, attacked, restarts):
    judges = [answered(name, people, attacked, restarts) for name in range(people)]
    mean = sum(AttackAccuracyTop1().measure(judge) for judge in judges) / people
    assert [Chance().measure(judge) for judge in judges] == pytest.approx([mean] * people)


def test_it_helps_to_read_other_figures_and_is_no_aim():
    assert Chance.auxiliary and not Chance.objective
