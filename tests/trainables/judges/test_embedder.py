"""The embedder's geometry on a stand-in network, its errors, and its accuracy on real faces."""

import os

import pytest
import torch
from face_pack import FACES, as_images, real_faces
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.judges import embedder
from trainables.judges.embedder import EmbedderJudge
from trainables.nn.mobilefacenet import MobileFaceNet
from trainables.runtime.run import Run


class Seen(nn.Module):
    """Stands in for the embedder: keeps what it is shown and embeds a face as its mean colour and 1."""

    shown: list[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.shown = []
        self.register_buffer("one", torch.ones(1))  # a file of weights is never empty

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shown.append(x)
        return torch.cat([x.mean((2, 3)), self.one.expand(len(x), 1)], 1)


@pytest.fixture
def seen(monkeypatch) -> Seen:
    network = Seen()
    monkeypatch.setitem(embedder.EMBEDDERS, "mobilefacenet", lambda: network)
    monkeypatch.setattr(embedder, "inference_copy", lambda network, device: network)
    return network


@pytest.fixture
def judge(seen, tmp_path) -> EmbedderJudge:
    torch.save(seen.state_dict(), tmp_path / "weights.pt")
    return EmbedderJudge(path=str(tmp_path / "weights.pt"))


def colours() -> Split:
    """Two identities, bright and dark, of two training images each."""
    pixels = torch.tensor([200, 180, 20, 40], dtype=torch.uint8).view(4, 1, 1, 1).repeat(1, 3, 64, 64)
    train = as_images(pixels, [0, 0, 1, 1])
    return Split(train=train, validation=train, test=train)


def test_shows_the_network_a_cut_enlarged_face_and_its_mirror_image(seen, judge):
    data = colours()
    saved = judge.fit(data, run=Run(seed=0))
    model = judge.restore(saved, data, "cpu")
    seen.shown.clear()
    ramp = (torch.arange(64) / 63).expand(1, 3, 64, 64)  # brighter to the right
    model.features(ramp)
    face, mirrored = seen.shown
    assert face.shape == (1, 3, 112, 96)
    assert torch.equal(mirrored, face.flip(-1))
    # column c of 112 lies at (c + 0.5) * 64 / 112 - 0.5 of 64; the first shown is column 8
    first = ((8.5 * 64 / 112 - 0.5) / 63 * 255 - 127.5) / 128
    torch.testing.assert_close(face[0, :, 50, 0], torch.full((3,), first), atol=1e-4, rtol=0)


def test_logits_are_cosines_to_class_means(seen, judge):
    data = colours()
    saved = judge.fit(data, run=Run(seed=0))
    model = judge.restore(saved, data, "cpu")

    def embedded(level: int) -> torch.Tensor:
        point = torch.tensor([(level - 127.5) / 128] * 3 + [1.0])
        return point / point.norm()

    bright, dark = embedded(200) + embedded(180), embedded(20) + embedded(40)
    means = torch.stack([bright / bright.norm(), dark / dark.norm()])
    images = torch.full((1, 3, 64, 64), 90 / 255)
    torch.testing.assert_close(model.features(images)[0], embedded(90), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.logits(images)[0], means @ embedded(90), atol=1e-5, rtol=0)
    assert model.test_accuracy == 1.0


def test_a_missing_file():
    with pytest.raises(ConfigError, match=r"no such file \(judge.path\)"):
        EmbedderJudge(path="nowhere.pt").fit(colours(), run=Run(seed=0))


@pytest.mark.parametrize("content", [{"conv1.conv.weight": torch.zeros(1)}, [1, 2], b"not a checkpoint"])
def test_a_file_that_does_not_fit(content, tmp_path):
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ConfigError, match="expects a plain state dict of mobilefacenet"):
        EmbedderJudge(path=str(path)).fit(colours(), run=Run(seed=0))


def test_weights_may_be_safetensors(judge, tmp_path, monkeypatch):
    monkeypatch.undo()
    network = MobileFaceNet()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    first, second = (
        EmbedderJudge(path=str(tmp_path / name)).weights() for name in ("weights.pt", "weights.safetensors")
    )
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    (tmp_path / "broken.safetensors").write_bytes(b"no header")
    with pytest.raises(ConfigError, match="expects a plain state dict of mobilefacenet"):
        EmbedderJudge(path=str(tmp_path / "broken.safetensors")).check(32)


def saved(tmp_path, content) -> EmbedderJudge:
    torch.save(content, tmp_path / "w.pt")
    return EmbedderJudge(path=str(tmp_path / "w.pt"))


@pytest.mark.parametrize(
    "wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_what_training_programs_wrap_is_opened(tmp_path, wrap):
    state = MobileFaceNet().state_dict()
    found = saved(tmp_path, wrap(state)).weights()
    assert found.keys() == state.keys() and all(torch.equal(found[k], v) for k, v in state.items())


def test_counters_may_be_missing_as_in_old_files(tmp_path):
    state = MobileFaceNet().state_dict()
    judge = saved(tmp_path, {k: v for k, v in state.items() if not k.endswith("tracked")})
    faces = torch.rand(2, 3, 32, 32)
    expected = judge.embedder(state, "cpu")(faces)
    torch.testing.assert_close(judge.embedder(judge.weights(), "cpu")(faces), expected)


def test_what_is_wrong_with_a_file_is_said_by_name(tmp_path):
    state = MobileFaceNet().state_dict()
    first = next(iter(state))
    nan = {**state, first: state[first] * float("nan")}
    with pytest.raises(ConfigError, match=rf"finite weights in .*w.pt \(judge.path\).*{first}"):
        saved(tmp_path, nan).check(32)
    odd = {**state, first: torch.ones(2), "fc.weight": torch.ones(1)}
    with pytest.raises(ConfigError, match=rf"surplus: fc.weight; other shape: {first} \(2,\) instead of"):
        saved(tmp_path, odd).check(32)


def test_nobody_is_told_to_load_a_file_in_an_unsafe_way(tmp_path):
    with pytest.raises(ConfigError) as caught:
        saved(tmp_path, Harmful()).check(32)
    assert "weights_only" not in str(caught.value) and "could run code" in str(caught.value)


class Harmful:
    def __reduce__(self):
        return (os.getcwd, ())


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save(Harmful(), tmp_path / "weights.pt")
    judge = EmbedderJudge(path=str(tmp_path / "weights.pt"))
    with pytest.raises(ConfigError, match="plain state dict"):
        judge.fit(colours(), run=Run(seed=0))


@pytest.mark.golden_pack
@pytest.mark.skipif(not (FACES / "weights").is_dir(), reason=f"no face pack at {FACES} (SWEEPER_FACES)")
def test_tells_real_people_apart():
    """0.987 over all 214 people; the first 8 take seconds."""
    path = FACES / "weights" / "mobilefacenet_casia_state_dict.pt"
    test = real_faces("test", 8)
    data = Split(train=real_faces("train", 8), validation=test, test=test)
    saved = EmbedderJudge(path=str(path)).fit(data, run=Run(seed=0))
    assert saved["test_accuracy"] > 0.98
    assert sum(weight.numel() for weight in MobileFaceNet().parameters()) == pytest.approx(1e6, rel=0.05)


def test_a_face_that_shrinks_is_smoothed(seen, judge):
    """As a file in the ONNX format sees it."""
    model = judge.restore(judge.fit(colours(), run=Run(seed=0)), colours(), "cpu")
    seen.shown.clear()
    noise = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    model.features(noise)
    wide = functional.interpolate(noise, (112, 112), mode="bilinear", antialias=True)
    expected = (wide[..., 8:-8] * 255 - 127.5) / 128
    torch.testing.assert_close(seen.shown[0], expected)
