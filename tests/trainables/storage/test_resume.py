import os
from pathlib import Path

import pytest
import torch

from trainables.storage.resume import Resume, Within


def test_a_state_comes_back_as_it_was(tmp_path):
    resume = Resume(tmp_path / "new")
    assert resume.read("rows") is None
    resume.write("rows", {"iteration": 3, "latents": torch.arange(4.0)})
    resume.write("rows", {"iteration": 5, "latents": torch.ones(4)})
    found = Resume(tmp_path / "new").read("rows")
    assert found["iteration"] == 5 and torch.equal(found["latents"], torch.ones(4))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["rows.pt"]


def test_without_a_folder_nothing_is_kept():
    resume = Resume(every=0.0)
    resume.write("rows", {})
    assert not resume.due() and resume.read("rows") is None


def test_it_is_due_after_its_seconds(tmp_path):
    resume = Resume(tmp_path, every=1000.0)
    assert not resume.due()
    assert Resume(tmp_path, every=0.0).due()


def test_parts_of_work_keep_their_states_apart(tmp_path):
    whole = Resume(tmp_path, every=0.0)
    one, other = Within(whole, "one"), Within(Within(whole, "other"), "round")
    for part, value in ((whole, 0), (one, 1), (other, 2)):
        part.write("state", {"value": value})
    assert [part.read("state") for part in (whole, one, other)] == [{"value": n} for n in range(3)]
    assert Resume(tmp_path).read("other-round-state") == {"value": 2}
    assert one.due() and not Within(Resume(tmp_path, every=1e6), "one").due()


def test_a_state_that_is_forgotten_is_gone_and_the_others_stay(tmp_path):
    whole = Resume(tmp_path)
    one = Within(whole, "one")
    whole.write("state", {"value": 0})
    one.write("state", {"value": 1})
    one.forget("state")
    one.forget("never written")
    assert one.read("state") is None and whole.read("state") == {"value": 0}
    Resume().forget("state")  # no folder, nothing to do


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("size", [1, 300_000])
def test_a_state_that_does_not_fit_is_an_error_of_the_disk_and_leaves_the_one_before(tmp_path, size):
    resume = Resume(tmp_path)
    resume.write("rows", {"iteration": 3})
    (tmp_path / f".rows.pt.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        resume.write("rows", {"iteration": 5, "latents": torch.zeros(size)})
    assert resume.read("rows") == {"iteration": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["rows.pt"]


@pytest.mark.parametrize("keep", [0, 1, 400, -1])  # bytes
def test_a_damaged_state_is_none_and_makes_room_for_the_next(tmp_path, keep):
    resume = Resume(tmp_path)
    resume.write("rows", {"iteration": 3, "latents": torch.ones(4)})
    file = tmp_path / "rows.pt"
    file.write_bytes(file.read_bytes()[:keep])
    assert resume.read("rows") is None and not file.exists()
    resume.write("rows", {"iteration": 5})
    assert resume.read("rows") == {"iteration": 5}
