import torch

from trainables.storage.resume import Resume


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
