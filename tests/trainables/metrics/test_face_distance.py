import pytest
import torch

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
