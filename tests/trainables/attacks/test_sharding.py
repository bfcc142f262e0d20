import pytest
import torch
from contexts import with_run
from torch import nn

from trainables.architectures.base import Classifier
from trainables.attacks.base import Reconstructions
from trainables.attacks.gmi import GMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.sharding import Part, cut, kept, merge, noting, overall_progress
from trainables.priors.kedmi import KEDMIPrior
from trainables.runtime.progress import silent


def ends(parts):
    return [(part.first, part.stop) for part in parts]


@pytest.mark.parametrize(
    ("count", "shards", "group_size", "expected"),
    [
        (7, 1, 1, [(0, 7)]),
        (7, 3, 1, [(0, 2), (2, 4), (4, 7)]),
        (2, 5, 1, [(0, 1), (1, 2)]),
        (300, 2, 60, [(0, 120), (120, 300)]),
        (130, 3, 60, [(0, 60), (60, 120), (120, 130)]),
        (130, 9, 60, [(0, 60), (60, 120), (120, 130)]),
        (40, 4, 60, [(0, 40)]),
    ],
)
def test_parts_follow_each_other_and_groups_stay_whole(tmp_path, count, shards, group_size, expected):
    parts = cut(count, shards, group_size, tmp_path)
    assert ends(parts) == expected
    assert len({part.folder for part in parts}) == len(parts)
    assert {part.folder.parent for part in parts} == {tmp_path}


def result(first, stop, history, **more):
    rows = torch.arange(float(first), stop)
    return Reconstructions(
        latents=rows.repeat(2, 1)[..., None],
        images=rows.to(torch.uint8).repeat(2, 1)[..., None, None, None].expand(2, -1, 3, 1, 1),
        history=history,
        **more,
    )


def test_results_are_put_together_along_the_identities():
    one = result(0, 1, [{"iteration": 0.0, "identity_loss": 4.0}, {"iteration": 5.0, "identity_loss": 2.0}])
    two = result(1, 4, [{"iteration": 0.0, "identity_loss": 8.0}, {"iteration": 5.0, "identity_loss": 6.0}])
    whole = merge([one, two])
    assert whole.latents.tolist() == [[[0.0], [1.0], [2.0], [3.0]]] * 2
    assert whole.images.shape == (2, 4, 3, 1, 1) and whole.images[0, :, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert whole.history == [
        {"iteration": 0.0, "identity_loss": (4 + 3 * 8) / 4},
        {"iteration": 5.0, "identity_loss": (2 + 3 * 6) / 4},
    ]
    assert whole.queries is None
    assert merge([one]) is one


def test_a_part_that_ended_early_stays_where_it_ended():
    short = result(0, 1, [{"iteration": 0.0, "radius": 1.0}, {"iteration": 1.0, "radius": 3.0}])
    long = result(1, 2, [{"iteration": float(i), "radius": float(i)} for i in (0, 2, 4)])
    assert merge([short, long]).history == [
        {"iteration": 0.0, "radius": 0.5},
        {"iteration": 2.0, "radius": 2.5},
        {"iteration": 4.0, "radius": 3.5},
    ]


def test_queries_that_serve_all_identities_count_once():
    history = [{"iteration": 0.0}]
    parts = [
        result(0, 1, history, queries=100 + 7, shared_queries=100),
        result(1, 3, history, queries=300 + 11, shared_queries=300),
    ]
    whole = merge(parts)
    assert (whole.queries, whole.shared_queries) == (300 + 7 + 11, 300)


def test_a_finished_part_is_read_and_not_worked_out_again(tmp_path):
    part = Part(2, 4, tmp_path / "2-4")
    calls = []

    def work(part, device, report):
        calls.append((part.first, part.stop, device))
        return result(part.first, part.stop, [{"iteration": 0.0, "x": 1.5}], queries=3)

    first = kept(work, part, "cpu", noting(part))
    again = kept(work, part, "cpu", noting(part))
    assert calls == [(2, 4, "cpu")]
    next(part.folder.glob("*.pt")).write_bytes(b"damaged")
    for one in (again, kept(work, part, "cpu", noting(part))):
        assert torch.equal(one.latents, first.latents) and torch.equal(one.images, first.images)
        assert (one.history, one.queries, one.shared_queries) == (first.history, 3, 0)
    assert calls == [(2, 4, "cpu")] * 2


def test_where_all_parts_stand_is_added_up_from_what_each_noted(tmp_path):
    parts = cut(6, 3, 1, tmp_path)
    assert overall_progress(parts) == (0, 1)
    noting(parts[0])("attack", 10, 40, identity_loss=1.0)
    assert overall_progress(parts) == (10, 120)  # the other two are taken to be as long
    noting(parts[2])("attack", 5, 50)
    noting(parts[2])("attack", 50, 50)
    assert overall_progress(parts) == (60, 135)


@pytest.mark.parametrize("text", ["", "[5", "null", "[5]", '["a", 2]'])
def test_a_damaged_note_is_none(tmp_path, text):
    parts = cut(2, 2, 1, tmp_path)
    for part in parts:
        noting(part)("attack", 1, 10)
    (parts[0].folder / "progress.json").write_text(text)
    assert overall_progress(parts) == (1, 20)


def test_an_identity_is_attacked_within_its_group_in_whatever_part(tmp_path):
    torch.manual_seed(0)
    stage = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU())
    target = Classifier({"conv": stage}, nn.Flatten(), nn.Linear(4 * 64, 6)).eval()
    prior = KEDMIPrior(width=2, latent_size=6).build(32, 6)
    prior.generator.eval()
    prior.discriminator.eval()
    attack = KEDMI(iterations=3, restarts=1, group=2)
    assert (attack.group_size, GMI().group_size) == (2, 1)

    def latents(first, stop):
        chosen = torch.tensor([5, 0, 3, 1, 2])[first:stop]
        options = {"seed": 0, "device": "cpu", "report": silent}
        return attack.invert(target, prior, chosen, **with_run(options)).latents

    whole = latents(0, 5)
    parts = cut(5, 3, attack.group_size, tmp_path)
    assert ends(parts) == [(0, 2), (2, 4), (4, 5)]
    together = torch.cat([latents(part.first, part.stop) for part in parts], dim=1)
    torch.testing.assert_close(together, whole, atol=1e-5, rtol=1e-5)
    torn = torch.cat([latents(0, 3), latents(3, 5)], dim=1)  # the second group in two parts
    moved = (torn - whole).abs().amax((0, 2))
    assert (moved[[0, 1]] < 1e-5).all() and (moved[[2, 3, 4]] > 1e-5).all()
