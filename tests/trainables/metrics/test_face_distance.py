import pytest
import torch
from onnx_files import write_embedder

from trainables.judges.embedder import EmbedderJudge
from trainables.metrics.base import Evidence, Skipped
from trainables.metrics.face_distance import FaceDistance
from trainables.nn.mobilefacenet import MobileFaceNet


def evidence():
    noise = torch.Generator().manual_seed(0)
    private = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=noise)
    made = torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8, generator=noise)
    made[1, 0] = private[3]  # found to the pixel
    return Evidence(
        reconstructions=made,
        identities=torch.tensor([1, 0]),
        logits=torch.zeros(2, 2, 2),
        features=torch.zeros(2, 2, 1),
        confidences=torch.zeros(2, 2, 2),
        private_features=torch.zeros(4, 1),
        private_labels=torch.tensor([0, 1, 0, 1]),
        private_images=private,
    )


def test_squared_distances_between_unit_embeddings(tmp_path):
    torch.manual_seed(0)
    torch.save(MobileFaceNet().state_dict(), tmp_path / "faces.pt")
    judge = EmbedderJudge(path=str(tmp_path / "faces.pt"))
    embed = judge.embedder(judge.weights(), "cpu")
    seen = evidence()
    with torch.no_grad():
        private = embed(seen.private_images.float() / 255).double()
        nearest = []
        for r in (0, 1):
            for p, label in enumerate((1, 0)):
                own = embed(seen.reconstructions[r, p][None].float() / 255).double()
                assert own.norm().item() == pytest.approx(1, abs=1e-6)
                nearest.append(min((own - private[i]).square().sum().item() for i in (label, label + 2)))
    assert nearest[2] == pytest.approx(0, abs=1e-9) and max(nearest) > 1e-6
    assert FaceDistance(path=judge.path).measure(seen) == pytest.approx(sum(nearest) / 4, rel=1e-3)


def test_without_weights_there_is_a_reason_and_no_figure():
    with pytest.raises(Skipped, match=r"nowhere\.onnx"):
        FaceDistance(path="nowhere.onnx").measure(evidence())
    with pytest.raises(Skipped, match=r"face_distance: .*no such file"):
        FaceDistance(path="nowhere").measure(evidence())


def test_an_onnx_file_sees_pixels_as_the_knobs_say(tmp_path):
    pytest.importorskip("onnxruntime")
    path = write_embedder(tmp_path / "pixels.onnx", ("n", 3, 32, 32))  # embeds an image as its pixels
    seen = evidence()

    def expected(mean, std, order):
        def embed(images):
            pixels = (images.double()[:, order] - mean) / std
            return torch.nn.functional.normalize(pixels.flatten(1))

        private = embed(seen.private_images)
        made = embed(seen.reconstructions.flatten(0, 1))
        own = [[1, 3], [0, 2], [1, 3], [0, 2]]
        nearest = [
            (image - private[rows]).square().sum(1).min() for image, rows in zip(made, own, strict=True)
        ]
        return sum(nearest).item() / 4

    figures = [
        (FaceDistance(path=path), expected(127.5, 127.5, [0, 1, 2])),
        (FaceDistance(path=path, mean=50.0, std=(9.0, 99.0, 9.0), channels="bgr"), None),
        (FaceDistance(path=path, mean=50.0, std=30.0), expected(50.0, 30.0, [0, 1, 2])),
    ]
    measured = [metric.measure(seen) for metric, _ in figures]
    assert measured[0] == pytest.approx(figures[0][1], rel=1e-4)
    assert measured[2] == pytest.approx(figures[2][1], rel=1e-4)
    assert len(set(measured)) == 3
