"""What every judge must keep, whatever it is. A new one needs an entry in `small`."""

from pathlib import Path

import pytest
import torch
from onnx_files import write_embedder

from trainables.datasets.base import Images
from trainables.datasets.split import Split, split
from trainables.judges import JUDGES
from trainables.judges.base import Judge
from trainables.judges.classifier import ClassifierJudge
from trainables.judges.embedder import EmbedderJudge
from trainables.judges.onnx import ONNXJudge
from trainables.nn.mobilefacenet import MobileFaceNet
from trainables.runtime.run import Run

CLASSES, EACH, SIZE = 3, 8, 32

pytestmark = pytest.mark.parametrize("name", JUDGES)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> dict[str, Judge]:
    torch.manual_seed(0)
    weights = tmp_path_factory.mktemp("weights") / "embedder.pt"
    torch.save(MobileFaceNet().state_dict(), weights)
    return {
        "classifier": ClassifierJudge(architecture="small_cnn", epochs=2, batch_size=8),
        "embedder": EmbedderJudge(path=str(weights)),
        "onnx": ONNXJudge(path=write_embedder(weights.with_name("e.onnx"), ["N", 3, 8, 8])),
    }


@pytest.fixture(scope="module")
def data() -> Split:
    """Identities are colours: red, green and blue under noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat_interleave(EACH)
    pixels = torch.randint(0, 128, (len(labels), 3, SIZE, SIZE), generator=generator)
    pixels[torch.arange(len(labels)), labels] += 127
    images = Images(
        pixels=pixels.to(torch.uint8),
        labels=labels,
        names=("red", "green", "blue"),
        files=tuple(f"{number}.png" for number in range(len(labels))),
    )
    return split(images, seed=0)


@pytest.fixture(scope="module")
def fitted(small, data) -> dict[str, dict]:
    return {name: judge.fit(data, run=Run(seed=0)) for name, judge in small.items()}


def test_says_what_it_is(name, small):
    assert JUDGES[name].kind == name and JUDGES[name].summary and JUDGES[name].source
    assert isinstance(small[name], JUDGES[name])


def test_survives_the_disk(name, small, data, fitted, tmp_path: Path):
    torch.save(fitted[name], tmp_path / "judge.pt")
    saved = torch.load(tmp_path / "judge.pt", weights_only=True)
    images = torch.rand(4, 3, SIZE, SIZE)
    models = [small[name].restore(state, data, "cpu") for state in (fitted[name], saved)]
    assert torch.equal(models[0].logits(images), models[1].logits(images))


def test_shapes(name, small, data, fitted):
    model = small[name].restore(fitted[name], data, "cpu")
    images = torch.rand(5, 3, SIZE, SIZE)
    logits, features = model.logits(images), model.features(images)
    assert logits.shape == (5, CLASSES) and features.ndim == 2 and len(features) == 5
    assert not logits.requires_grad and not features.requires_grad


def test_an_image_is_judged_the_same_in_any_company(name, small, data, fitted):
    model = small[name].restore(fitted[name], data, "cpu")
    images = torch.rand(5, 3, SIZE, SIZE)
    torch.testing.assert_close(model.logits(images)[2:3], model.logits(images[2:3]), atol=1e-4, rtol=1e-4)


def test_reports_its_own_accuracy_on_the_test_images(name, small, data, fitted):
    model = small[name].restore(fitted[name], data, "cpu")
    chosen = model.logits(data.test.pixels.float() / 255).argmax(1)
    assert model.test_accuracy == pytest.approx((chosen == data.test.labels).float().mean().item())


def test_same_seed_same_judge(name, small, data, fitted):
    torch.manual_seed(7)
    again = small[name].fit(data, run=Run(seed=0))
    images = torch.rand(4, 3, SIZE, SIZE)
    first, second = (small[name].restore(state, data, "cpu") for state in (fitted[name], again))
    assert torch.equal(first.logits(images), second.logits(images))
    assert first.test_accuracy == second.test_accuracy


def test_test_images_do_not_shape_it(name, small, data, fitted):
    """Fitting beside other test images, here those of one identity, gives the same model."""
    fewer = data.test.select(data.test.labels == 0)
    other = Split(train=data.train, validation=data.validation, test=fewer)
    again = small[name].fit(other, run=Run(seed=0))
    images = torch.rand(4, 3, SIZE, SIZE)
    first, second = (small[name].restore(state, data, "cpu") for state in (fitted[name], again))
    assert torch.equal(first.logits(images), second.logits(images))


def test_progress_ends_at_its_total(name, small, data):
    reports = []
    small[name].fit(data, run=Run(seed=0, report=lambda *done, **_: reports.append(done)))
    assert reports and all(stage == "judge" for stage, _, _ in reports)
    assert reports[-1][1] == reports[-1][2] > 0
