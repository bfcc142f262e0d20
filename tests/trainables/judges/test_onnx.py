"""Embedders in ONNX files: tiny ones that a test writes, and two trained ones where the face pack is."""

import sys
from pathlib import Path

import pytest
import torch
from face_pack import FACES, as_images, real_faces
from onnx_files import write_embedder
from torch.nn import functional

from trainables.config import load_trial
from trainables.datasets.split import Split
from trainables.errors import ConfigError
from trainables.judges.base import outputs
from trainables.judges.onnx import ONNXJudge
from trainables.judges.verification import measured, references, scores
from trainables.runtime.denormals import denormals_are_zero
from trainables.runtime.run import Run

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def square(path: Path, **more) -> str:
    return write_embedder(path, ["N", 3, 4, 4], **more)


def noise(count: int, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def seen(judge: ONNXJudge, images: torch.Tensor) -> torch.Tensor:
    """Return what the embedder of `write_embedder` was shown, up to its length."""
    return judge.embedder(judge.weights(), "cpu")(images)


def test_a_judge_leaves_the_numbers_of_others_alone(tmp_path):
    """onnxruntime's option that takes denormal numbers for zero sets it for the whole thread."""
    assert not denormals_are_zero()
    seen(ONNXJudge(path=square(tmp_path / "a.onnx")), noise(2) / 255)
    assert not denormals_are_zero()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("channels", ["rgb", "bgr", "grey"])
def test_the_embedder_sees_scaled_pixels_in_its_own_order(channels, last, tmp_path):
    depth = 1 if channels == "grey" else 3
    shape = ["N", 6, 5, depth] if last else ["N", depth, 6, 5]
    mean, std = (100.0, 50.0) if channels == "grey" else ((10.0, 20.0, 30.0), (1.0, 2.0, 4.0))
    judge = ONNXJudge(path=write_embedder(tmp_path / "e.onnx", shape), mean=mean, std=std, channels=channels)
    images = noise(4).float() / 255
    small = functional.interpolate(images, size=(6, 5), mode="bilinear", antialias=True) * 255
    if channels == "bgr":
        small = small[:, [2, 1, 0]]
    if channels == "grey":
        small = 0.299 * small[:, :1] + 0.587 * small[:, 1:2] + 0.114 * small[:, 2:]
    centre, spread = (torch.tensor(value).view(1, -1, 1, 1) for value in (mean, std))
    expected = (small - centre) / spread
    expected = expected.permute(0, 2, 3, 1) if last else expected
    torch.testing.assert_close(
        seen(judge, images), functional.normalize(expected.flatten(1)), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("batch", [1, 3, "N"])
def test_a_file_that_takes_so_many_images_a_call_says_the_same_of_each(batch, tmp_path):
    judge = ONNXJudge(path=write_embedder(tmp_path / "e.onnx", [batch, 3, 4, 4]))
    images = noise(7).float() / 255
    together = seen(judge, images)
    assert together.shape == (7, 48)
    for number in range(7):
        torch.testing.assert_close(seen(judge, images[number : number + 1])[0], together[number])


def test_an_open_size_is_taken_from_the_knob(tmp_path):
    path = write_embedder(tmp_path / "e.onnx", ["N", 3, "H", "W"])
    assert seen(ONNXJudge(path=path, input_size=(4, 2)), noise(1).float()).shape == (1, 24)
    assert seen(ONNXJudge(path=path, input_size=3), noise(1).float()).shape == (1, 27)
    with pytest.raises(ConfigError, match="leaves the height open"):
        ONNXJudge(path=path).check(32)


def test_the_nearest_mean_decides_and_a_stored_judge_needs_its_file_no_more(tmp_path):
    path = tmp_path / "e.onnx"
    judge = ONNXJudge(path=write_embedder(path, [1, 3, 8, 8]))
    pixels = noise(2).repeat_interleave(3, 0)
    pixels = (pixels.int() + torch.randint(0, 9, pixels.shape)).clamp(max=255).to(torch.uint8)
    images = as_images(pixels, [0, 0, 0, 1, 1, 1])
    data = Split(train=images, validation=images, test=images)
    saved = judge.fit(data, run=Run(seed=0))
    torch.save(saved, tmp_path / "judge.pt")
    path.unlink()
    model = judge.restore(torch.load(tmp_path / "judge.pt", weights_only=True), data, "cpu")
    shown = outputs(model.logits, images.pixels, "cpu")
    people = references(saved["train_features"], images.labels, 2)
    torch.testing.assert_close(shown.double(), scores(saved["train_features"], people), atol=1e-5, rtol=1e-5)
    assert model.test_accuracy == 1.0


def truncated(path: Path) -> str:
    content = Path(square(path)).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return str(path)


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return str(path)


def text(path: Path) -> str:
    path.write_text("not a network")
    return str(path)


def double(path: Path) -> str:
    return square(path, kind=onnx.TensorProto.DOUBLE)


@pytest.mark.parametrize(
    ("make", "knobs", "parts"),
    [
        (str, {}, ("no such file", "(judge.path)")),
        (empty, {}, ("expects an ONNX file that holds its weights", "(judge.path)")),
        (text, {}, ("expects an ONNX file that holds its weights",)),
        (truncated, {}, ("expects an ONNX file that holds its weights",)),
        (double, {}, ("expects one float input", "tensor(double)")),
        (lambda path: write_embedder(path, ["N", 3, 4]), {}, ("expects one float input",)),
        (lambda path: square(path, inputs=2), {}, ("expects one float input", "in1")),
        (lambda path: write_embedder(path, ["N", 1, 4, 4]), {}, ("got judge.channels rgb",)),
        (
            square,
            {"channels": "grey"},
            ("got judge.channels grey",),
        ),
        (
            square,
            {"input_size": 5},
            ("images of height 4", "input_size 5"),
        ),
        (lambda path: square(path, output="number"), {}, ("one embedding",)),
        (lambda path: square(path, output="batch of one"), {}, ("one embedding",)),
    ],
)
def test_a_file_that_does_not_fit_is_one_error_before_any_work(make, knobs, parts, tmp_path):
    judge = ONNXJudge(path=make(tmp_path / "e.onnx"), **knobs)
    with pytest.raises(ConfigError) as caught:
        judge.check(32)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    judge = ONNXJudge(path=write_embedder(tmp_path / "e.onnx", ["N", 3, 4, 4]))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'inversion-sweeper\[onnx\]'"):
        judge.check(32)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"std": 0}, "std must be above 0"),
        ({"std": [1, 0, 1]}, "std must be above 0"),
        ({"input_size": 0}, "input_size must be at least 1"),
        ({"mean": [1, 2]}, "mean"),
        ({"mean": True}, "mean must be a number"),
        ({"channels": "hsv"}, "channels"),
        ({"channels": "grey", "mean": [1, 2, 3]}, "mean must be one number"),
    ],
)
def test_knobs_out_of_range_are_named(knobs, message, tmp_path):
    faces = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
    document = {
        "image_size": 32,
        "private": faces,
        "public": {**faces, "population": "public"},
        "pretraining": {"kind": "none"},
        "target": {"architecture": "small_cnn"},
        "defense": {"kind": "none"},
        "prior": {"kind": "gmi"},
        "attack": {"kind": "gmi"},
        "judge": {"kind": "onnx", "path": "e.onnx", **knobs},
    }
    with pytest.raises(ConfigError, match=message) as caught:
        load_trial(document)
    assert "judge" in str(caught.value)
    fine = load_trial({**document, "judge": {"kind": "onnx", "path": "e.onnx", "mean": [1, 2, 3], "std": 2}})
    assert fine.judge.mean == (1, 2, 3)


@pytest.mark.golden_pack
@pytest.mark.skipif(not (FACES / "weights").is_dir(), reason=f"no face pack at {FACES} (SWEEPER_FACES)")
@pytest.mark.parametrize(
    ("file", "knobs"),
    [
        ("face_embedder_fr.onnx", {"channels": "bgr", "mean": 127, "std": 128}),
        ("face_embedder_sface.onnx", {"mean": 0, "std": 1}),
    ],
)
def test_trained_elsewhere_they_tell_real_people_apart(file, knobs):
    """Over 100 people 0.98 by nearest mean and 0.94 accepted at one stranger in a thousand; here 4."""
    judge = ONNXJudge(path=str(FACES / "weights" / file), overlap="not stated", **knobs)
    test, train = real_faces("test", 4), real_faces("train", 4)
    data = Split(train=train, validation=test, test=test)
    saved = judge.fit(data, run=Run(seed=0))
    assert saved["test_accuracy"] > 0.95
    model = judge.restore(saved, data, "cpu")
    people = references(saved["train_features"], train.labels, 4)
    figures = measured(scores(outputs(model.features, test.pixels, "cpu"), people), test.labels)
    assert figures["equal_error_rate"] < 0.05 and figures["true_acceptance"] > 0.8
