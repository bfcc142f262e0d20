import dataclasses
import weakref

import pytest
import torch
import torchvision

from trainables.metrics.base import Evidence, Skipped
from trainables.metrics.lpips import LPIPS, TOGETHER

WIDTHS = (64, 128, 256, 512, 512)


def evidence():
    noise = torch.Generator().manual_seed(0)
    return Evidence(
        reconstructions=torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8, generator=noise),
        identities=torch.tensor([1, 0]),
        logits=torch.zeros(2, 2, 2),
        features=torch.zeros(2, 2, 1),
        confidences=torch.zeros(2, 2, 2),
        private_features=torch.zeros(4, 1),
        private_labels=torch.tensor([0, 1, 1, 0]),
        private_images=torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=noise),
    )


def files(folder):
    """Write random weights as they are published, and return their paths and the network."""
    torch.manual_seed(0)
    network = torchvision.models.vgg16(weights=None)
    torch.save(network.state_dict(), folder / "vgg16.pth")
    lins = {f"lin{n}.model.1.weight": torch.rand(1, width, 1, 1) for n, width in enumerate(WIDTHS)}
    torch.save(lins, folder / "vgg.pth")
    return str(folder / "vgg.pth"), str(folder / "vgg16.pth"), network, list(lins.values())


def by_hand(network, lins, first, second):
    def look(image):
        x = (2 * image.float() / 255 - 1)[None]
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)) / torch.tensor(
            [0.458, 0.448, 0.450]
        ).view(1, 3, 1, 1)
        outputs = []
        for block in (range(4), range(4, 9), range(9, 16), range(16, 23), range(23, 30)):
            for layer in block:
                x = network.features[layer](x)
            outputs.append(x.clone() / x.norm(dim=1, keepdim=True))
        return outputs

    with torch.no_grad():
        return sum(
            ((a - b) ** 2 * w).sum(1).mean().item()
            for a, b, w in zip(look(first), look(second), lins, strict=True)
        )


def test_the_least_distance_to_a_private_image_of_the_identity(tmp_path):
    path, backbone, network, lins = files(tmp_path)
    seen = evidence()
    private = {0: (0, 3), 1: (1, 2)}
    expected = [
        min(
            by_hand(network, lins, seen.reconstructions[r, p], seen.private_images[i]) for i in private[label]
        )
        for p, label in enumerate((1, 0))
        for r in (0, 1)
    ]
    figure = LPIPS(path=path, backbone=backbone).measure(seen)
    assert figure == pytest.approx(sum(expected) / 4, rel=1e-4)


class Watched(torch.nn.Module):
    """A network whose features are the pixels; `most` images had features at once."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = [], 0

    def forward(self, images):
        features = images.clone()
        self.alive = [ref for ref in self.alive if ref() is not None] + [weakref.ref(features)]
        self.most = max(self.most, sum(len(ref()) for ref in self.alive))
        return [features]

    def distances(self, one, others):
        return (one[0] - others[0]).square().mean((1, 2, 3))


def test_features_of_few_images_are_held_at_once(monkeypatch):
    """An image of 224 pixels has 24.5 MB of them; the figure is that of all at once."""
    noise, count, restarts = torch.Generator().manual_seed(1), 5 * TOGETHER + 3, 2 * TOGETHER + 1
    seen = dataclasses.replace(
        evidence(),
        reconstructions=torch.randint(0, 256, (restarts, 2, 3, 4, 4), dtype=torch.uint8, generator=noise),
        private_images=torch.randint(0, 256, (2 * count, 3, 4, 4), dtype=torch.uint8, generator=noise),
        private_labels=torch.arange(2).repeat(count),
    )
    network = Watched()
    monkeypatch.setattr(LPIPS, "_network", lambda self: network)
    figure = LPIPS().measure(seen)
    own = [seen.private_images[seen.private_labels == label].float() / 255 for label in (1, 0)]
    images = seen.reconstructions.float() / 255
    least = [
        network.distances([images[r, place]], [own[place]]).min().item()
        for place in range(2)
        for r in range(restarts)
    ]
    assert figure == sum(least) / len(least)
    assert network.most <= 2 * TOGETHER


def test_without_fitting_weights_there_is_a_reason_and_no_figure(tmp_path):
    path, backbone, _, _ = files(tmp_path)
    with pytest.raises(Skipped, match=r"got none at '' \(path\); give"):
        LPIPS(backbone=backbone).measure(evidence())
    with pytest.raises(Skipped, match=r"got none at 'nowhere' \(backbone\)"):
        LPIPS(path=path, backbone="nowhere").measure(evidence())
    with pytest.raises(Skipped, match="lpips expects VGG16 and the weights of its channels"):
        LPIPS(path=backbone, backbone=backbone).measure(evidence())
    with pytest.raises(Skipped, match="lpips expects VGG16"):
        LPIPS(path=path, backbone=path).measure(evidence())
