"""MobileFaceNet as a target computes the embedder's embedding, and takes its published file."""

import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from trainables.architectures.mobilefacenet import build
from trainables.errors import ConfigError
from trainables.nn.mobilefacenet import MobileFaceNet
from trainables.pretraining.checkpoint import FromCheckpoint

PACK = Path(os.environ.get("SWEEPER_FACES", Path(__file__).parents[4] / "shared" / "data"))
PUBLISHED = PACK / "weights" / "mobilefacenet_casia_state_dict.pt"


def embedder(seed: int = 0) -> MobileFaceNet:
    torch.manual_seed(seed)
    network = MobileFaceNet()
    with torch.no_grad():
        network(torch.rand(4, 3, 112, 96) * 2 - 1)  # statistics that are not those of a new batch norm
    return network.eval()


@pytest.mark.parametrize("size", [64, 112])
def test_features_are_the_embedders(size, tmp_path):
    theirs = embedder()
    torch.save(theirs.state_dict(), tmp_path / "file.pt")
    ours = build(5, size)
    ours.stages.load_state_dict(FromCheckpoint(path=str(tmp_path / "file.pt")).read("mobilefacenet", size))
    images = torch.rand(2, 3, size, size)
    ours.eval().mean.fill_(0.5)
    ours.std.fill_(0.5)
    with torch.no_grad():
        faces = functional.interpolate(images, size=(112, 112), mode="bilinear")[..., 8:104]
        torch.testing.assert_close(ours.features(images), theirs(faces * 2 - 1), atol=1e-4, rtol=1e-4)


def test_stages_go_from_the_first_convolution_to_the_embedding():
    stages = list(build(5, 64).stages)
    blocks = [f"blocks_{number}" for number in range(15)]
    assert stages == ["conv1", "dw_conv1", *blocks, "conv2", "linear7", "linear1"]


def test_a_file_of_another_network_is_named(tmp_path):
    state = embedder().state_dict()
    del state["blocks.3.conv.0.weight"]
    torch.save(state, tmp_path / "file.pt")
    with pytest.raises(ConfigError, match=r"missing: blocks\.3\.conv\.0\.weight"):
        FromCheckpoint(path=str(tmp_path / "file.pt")).read("mobilefacenet", 64)


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"no {PUBLISHED}")
def test_the_published_file_fits():
    read = FromCheckpoint(path=str(PUBLISHED)).read("mobilefacenet", 64)
    build(5, 64).stages.load_state_dict(read)
