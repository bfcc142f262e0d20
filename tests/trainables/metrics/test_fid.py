import sys
import types

import pytest
import torch

from trainables.metrics.base import Evidence, Skipped
from trainables.metrics.fid import FID, FIDImages, fid, frechet_distance


def test_value_worked_out_elsewhere():
    figure = frechet_distance(
        torch.tensor([0.0, 0.0]),
        torch.tensor([[1.0, 0.5], [0.5, 2.0]]),
        torch.tensor([1.0, -1.0]),
        torch.diag(torch.tensor([2.0, 1.0])),
    )
    assert figure == pytest.approx(2.43523319922, abs=1e-10)


def test_of_features_with_sample_covariances():
    noise = torch.Generator().manual_seed(0)
    fake, real = torch.randn(30, 1, generator=noise), 2 * torch.randn(50, 1, generator=noise) + 1
    (a, b), (m, n) = ((x.double().mean().item(), x.double().std().item()) for x in (fake, real))
    assert fid(fake, real) == pytest.approx((a - m) ** 2 + (b - n) ** 2)
    assert fid(real, real) == pytest.approx(0, abs=1e-9)
    few = torch.randn(3, 40, generator=noise)  # covariances of rank 2
    assert fid(few, few) == pytest.approx(0, abs=1e-4) and fid(few, few + 1) == pytest.approx(40, abs=1e-4)


def evidence():
    noise = torch.Generator().manual_seed(0)
    logits = torch.zeros(5, 2, 3)
    logits[:3, 0, 2] = logits[0, 1, 1] = 1  # rightly 3 times, and once
    logits[3:, 0, 0] = logits[1:, 1, 0] = 1
    return Evidence(
        reconstructions=torch.randint(0, 256, (5, 2, 3, 8, 8), dtype=torch.uint8, generator=noise),
        identities=torch.tensor([2, 1]),
        logits=logits,
        features=torch.zeros(5, 2, 1),
        confidences=torch.zeros(5, 2, 3),
        private_features=torch.zeros(12, 1),
        private_labels=torch.arange(3).repeat(4),
        private_images=torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8, generator=noise),
    )


def test_n_is_always_said_and_below_it_there_is_no_figure(tmp_path):
    assert FIDImages().measure(evidence()) == 10
    assert FIDImages(images="successful").measure(evidence()) == 4
    with pytest.raises(Skipped, match=r"fid of 10 reconstructions \(all\) is not given: below 2048"):
        FID(path=str(tmp_path)).measure(evidence())
    with pytest.raises(Skipped, match=r"fid of 4 reconstructions \(successful\) is not given: below 5"):
        FID(images="successful", least=5).measure(evidence())


def test_without_weights_or_library_it_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(Skipped, match=r"got no file at '' \(path\); save weights-inception"):
        FID(least=2).measure(evidence())
    weights = tmp_path / "weights.pth"
    weights.touch()
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(Skipped, match=r"needs torch-fidelity .*pip install"):
        FID(least=2, path=str(weights)).measure(evidence())


@pytest.mark.parametrize("images", ["all", "successful"])
def test_features_are_those_of_the_library(tmp_path, monkeypatch, images):
    weights = tmp_path / "weights.pth"
    weights.touch()

    class Extractor(torch.nn.Module):
        def __init__(self, name, features_list, feature_extractor_weights_path):
            super().__init__()
            assert features_list == ["2048"] and feature_extractor_weights_path == str(weights)

        def forward(self, pixels):
            assert pixels.dtype == torch.uint8
            return (pixels.float().mean((2, 3)),)

    name = "torch_fidelity.feature_extractor_inceptionv3"
    module = types.ModuleType(name)
    module.FeatureExtractorInceptionV3 = Extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, name, module)
    seen = evidence()
    fakes = seen.reconstructions.flatten(0, 1)
    if images == "successful":
        fakes = torch.stack([seen.reconstructions[r, p] for r, p in [(0, 0), (0, 1), (1, 0), (2, 0)]])
    real = seen.private_images[seen.private_labels > 0]  # of those attacked alone
    expected = fid(fakes.float().mean((2, 3)), real.float().mean((2, 3)))
    figure = FID(path=str(weights), images=images, least=2).measure(seen)
    assert figure == pytest.approx(expected)
