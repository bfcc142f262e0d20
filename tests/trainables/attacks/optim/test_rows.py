"""Rows of a search: whose stream is whose, chunks in whole groups, progress, history."""

from itertools import pairwise

import pytest
import torch

from trainables.attacks.optim.rows import Meter, Rows, by_sample, search_rows
from trainables.runtime.run import Run

IDENTITIES = torch.tensor([7, 3, 5])


def test_rows_are_restarts_of_identities():
    rows = Rows("kind", IDENTITIES, 2, Run(seed=1))
    assert rows.own(0, len(rows)).tolist() == [7, 3, 5, 7, 3, 5]
    numbers = torch.arange(6)
    assert rows.by_restart(numbers).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert rows.select(numbers, torch.tensor([[1, 0, 1]])).tolist() == [[3, 1, 5]]


def test_a_row_draws_from_a_stream_of_its_own_restart_and_identity():
    run = Run(seed=1)
    rows = Rows("kind", IDENTITIES, 2, run)
    starts, noise = rows.starts(1, 5, 4), next(rows.noise("head", 1, 5, 4))
    for row, (restart, identity) in enumerate([(0, 3), (0, 5), (1, 7), (1, 3)]):
        expected = torch.randn(4, generator=run.stream("kind", "start", restart, identity))
        assert torch.equal(starts[row], expected)
        block = torch.randn(16, 4, generator=run.stream("kind", "head", restart, identity))
        assert torch.equal(noise[row], block[0])


@pytest.mark.parametrize(("group", "at_once"), [(1, 3), (2, 5), (3, 1), (4, 100)])
def test_chunks_are_whole_groups_and_make_one_result(group, at_once):
    chunks, reports = [], []

    def search(first, stop, journal):
        chunks.append((first, stop, journal.name))
        own = torch.arange(first, stop, dtype=torch.float32)
        journal.progress(2, own.mean().item(), 0.0)
        return own, torch.stack((own.sum() * torch.ones(2), torch.zeros(2)), dim=1)

    (values,), history = search_rows(
        search,
        7,
        at_once,
        2,
        run=Run(report=lambda *a, **m: reports.append((*a, m))),
        group=group,
        name="some",
    )
    assert values.tolist() == list(range(7))
    assert [point["identity_loss"] for point in history] == pytest.approx([3.0, 3.0])
    assert [first for first, _, _ in chunks] + [7] == [0] + [stop for _, stop, _ in chunks]
    for first, stop, name in chunks:
        assert first % group == 0 and stop - first <= max(group, at_once)
        assert name == f"some-{first // group}-{-(-stop // group)}"
    assert reports[-1][:3] == ("attack", 14, 14) and set(reports[-1][3]) == {"identity_loss", "prior_loss"}
    assert all(earlier[1] < later[1] for earlier, later in pairwise(reports))  # nothing is told twice


def test_a_meter_counts_the_work_of_several_parts():
    reports = []
    meter = Meter(lambda *a, **m: reports.append((*a, m)), 10)
    meter.add(4)
    meter.at(3, loss=0.5)
    meter.add(6)
    assert [report[:3] for report in reports] == [("attack", 4, 10), ("attack", 7, 10), ("attack", 10, 10)]
    assert reports[1][3] == {"loss": 0.5}


def test_samples_come_first():
    latents, images = torch.rand(3, 2, 4), torch.zeros(3, 2, 3, 1, 1, dtype=torch.uint8)
    images[:, 1] = 9
    result = by_sample(latents, images, [])
    assert torch.equal(result.latents[1, 2], latents[2, 1])
    assert result.images.shape == (2, 3, 3, 1, 1) and result.images[1].min() == 9
