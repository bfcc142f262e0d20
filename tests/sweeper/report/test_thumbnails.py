import base64
import io

import pytest
import torch
from PIL import Image

from sweeper.report.thumbnails import IDENTITIES, LARGEST, RESTARTS, png, sheet


def decoded(uri):
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    return torch.tensor(list(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 3).permute(2, 0, 1)


@pytest.fixture
def artifacts(tmp_path):
    draw = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (3, 8, 3, 32, 32), generator=draw, dtype=torch.uint8)
    examples = torch.randint(0, 256, (20, 3, 32, 32), generator=draw, dtype=torch.uint8)
    identities = torch.tensor([17, 3, 5, 8, 11, 2, 0, 9])
    for name in ("attack", "judge"):
        (tmp_path / name).mkdir()
    torch.save(
        {"images": made, "identities": identities, "latents": torch.zeros(3, 8, 4)},
        tmp_path / "attack" / "reconstructions.pt",
    )
    torch.save({"images": examples}, tmp_path / "judge" / "examples.pt")
    return {"attack": str(tmp_path / "attack"), "judge": str(tmp_path / "judge")}, made, examples, identities


def test_each_reconstruction_stands_below_its_own_identity(artifacts):
    folders, made, examples, identities = artifacts
    shown = sheet(folders)
    assert shown.identities == identities[:IDENTITIES].tolist()
    assert len(shown.restarts) == RESTARTS
    for place, identity in enumerate(shown.identities):
        assert torch.equal(decoded(shown.private[place]), examples[identity])
        for restart in range(RESTARTS):
            assert torch.equal(decoded(shown.restarts[restart][place]), made[restart, place])


def test_private_examples_can_be_left_out(artifacts):
    shown = sheet(artifacts[0], private=False)
    assert shown.private == [] and shown.restarts == sheet(artifacts[0]).restarts


def test_no_files_no_pictures(artifacts, tmp_path):
    folders = artifacts[0]
    assert sheet({}) is None
    assert sheet({"attack": folders["attack"]}) is None
    assert sheet({**folders, "judge": str(tmp_path / "gone")}) is None


@pytest.mark.parametrize("file", ["attack/reconstructions.pt", "judge/examples.pt"])
def test_a_damaged_file_costs_the_pictures_of_its_trial_alone(artifacts, tmp_path, file):
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    assert sheet(artifacts[0]) is None


def test_large_pictures_are_made_smaller():
    assert decoded(png(torch.zeros(3, 400, 400, dtype=torch.uint8))).shape == (3, LARGEST, LARGEST)
