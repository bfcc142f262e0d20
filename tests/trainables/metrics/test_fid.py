import dataclasses
import importlib
import sys
import types
from pathlib import Path

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


def test_one_private_image_has_no_covariance(monkeypatch):
    monkeypatch.setattr(FID, "_features", lambda self, device: lambda pixels: pixels.flatten(1).float())
    seen, one = evidence(), torch.tensor([2])
    for count, said in ((1, "1 private image of those attacked"), (0, "0 private images of those attacked")):
        alone = dataclasses.replace(
            seen, private_images=seen.private_images[:count], private_labels=one[:count]
        )
        with pytest.raises(Skipped, match=rf"fid from {said} is not given: .* at least 2; attack more"):
            FID(least=2).measure(alone)
    two = dataclasses.replace(seen, private_images=seen.private_images[:2], private_labels=one.repeat(2))
    assert FID(least=2).measure(two) > 0


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
    torch.save({"weight": torch.zeros(1)}, weights)

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


class Ours(torch.nn.Module):
    """Five features of an image, by weights from a file."""

    def __init__(self, path):
        super().__init__()
        self.linear = torch.nn.Linear(3, 5)
        self.load_state_dict(torch.load(path, weights_only=True))

    def forward(self, pixels):
        return self.linear(pixels.float().std((2, 3)) + pixels.float().mean((2, 3)))


@pytest.fixture
def library():
    """Return the module of torch-fidelity that has the Inception."""
    pytest.importorskip("torch_fidelity", reason="the extra fid is not installed")
    return importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")


def test_the_distance_is_the_librarys(library, tmp_path, monkeypatch):
    from torch_fidelity import calculate_metrics, register_feature_extractor
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    class Five(FeatureExtractorBase):
        """Takes the place of the Inception, on both sides."""

        def __init__(self, name, features_list, feature_extractor_weights_path=None, **more):
            super().__init__(name, features_list)
            self.network = Ours(feature_extractor_weights_path)

        def forward(self, pixels):
            return (self.network(pixels),)

        @staticmethod
        def get_provided_features_list():
            return ("2048",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "2048"

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, pixels):
            self.pixels = pixels

        def __len__(self):
            return len(self.pixels)

        def __getitem__(self, row):
            return self.pixels[row]

    weights = tmp_path / "five.pth"
    torch.manual_seed(0)
    torch.save({"linear.weight": torch.randn(5, 3), "linear.bias": torch.randn(5)}, weights)
    register_feature_extractor("five", Five)
    monkeypatch.setattr(library, "FeatureExtractorInceptionV3", Five)
    seen = evidence()
    theirs = calculate_metrics(
        input1=Pictures(seen.reconstructions.flatten(0, 1)),
        input2=Pictures(seen.private_images[seen.private_labels > 0]),
        fid=True,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,  # no processes of its own
        feature_extractor="five",
        feature_extractor_weights_path=str(weights),
    )["frechet_inception_distance"]
    assert theirs > 1
    assert FID(path=str(weights), least=2).measure(seen) == pytest.approx(theirs, rel=1e-3)


def test_the_features_are_those_of_the_librarys_inception(library, tmp_path, monkeypatch):
    class Drawn(library.FeatureExtractorInceptionV3):
        """The same network with weights that are drawn here."""

        def load_state_dict(self, *_):
            for module in self.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    weights = tmp_path / "inception.pth"
    torch.save({}, weights)
    torch.manual_seed(0)
    network = Drawn("drawn", ["2048"], feature_extractor_weights_path=str(weights))
    torch.save(network.state_dict(), weights)
    seen, compared = evidence(), []
    few = dataclasses.replace(
        seen,
        reconstructions=seen.reconstructions[:1],
        logits=seen.logits[:1],
        private_images=seen.private_images[2:6],
        private_labels=torch.tensor([0, 1, 2, 0]),
    )
    # the distance, with its eigenvalues of 2048 by 2048 numbers, is the test's above
    monkeypatch.setattr("trainables.metrics.fid.fid", lambda *features: compared.extend(features) or 3.5)
    assert FID(path=str(weights), least=2).measure(few) == 3.5
    for features, pixels in zip(compared, (few.reconstructions[0], few.private_images[1:3]), strict=True):
        expected = network(pixels)[0]
        assert expected.shape == (2, 2048) and expected.std() > 0.01
        torch.testing.assert_close(features, expected)


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_file_of_other_content_is_named(library, content, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(content)
    with pytest.raises(Skipped, match=r"fid expects the weights of torch-fidelity's Inception \(path\): "):
        FID(path=str(weights), least=2).measure(evidence())


class Runs:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (Path.touch, (self.place,))


def test_a_program_in_the_file_is_not_run(library, tmp_path):
    weights = tmp_path / "weights.pth"
    torch.save({"weight": Runs(tmp_path / "ran")}, weights)
    with pytest.raises(Skipped, match="could run code"):
        FID(path=str(weights), least=2).measure(evidence())
    assert not (tmp_path / "ran").exists()
    torch.save({"weight": torch.zeros(2)}, weights)
    with pytest.raises(Skipped, match=r"\(path\): .*Missing key"):
        FID(path=str(weights), least=2).measure(evidence())
