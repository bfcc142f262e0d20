"""Fisher information by layer: the toy case by hand, and networks one sample at a time."""

import pytest
import torch
from torch import nn

from trainables.analyses.base import Subject
from trainables.analyses.layers import LOSSES, Layers, excesses, layers_of, suggest
from trainables.architectures.base import Classifier
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.datasets.split import split as split_of
from trainables.datasets.synthetic_faces import SyntheticFaces
from trainables.defenses import DEFENSES
from trainables.judges.base import JudgeModel
from trainables.training.classifier import build_classifier

WEIGHT, BIAS = [[0.1, -0.2, 0.3], [0.0, 0.4, -0.1]], [0.0, 0.1]
SAMPLES, LABELS = [[1, 2, 3], [0, 1, -1]], [1, 0]
CENTRED = [-3, -1, 2]  # its feature is (0.5, -0.5)
JUDGE = JudgeModel(logits=lambda images: images, features=lambda images: images, test_accuracy=1.0)


class Signed(nn.Module):
    """Pixels as whole numbers from -128."""

    def forward(self, images):
        return (images * 255).round().flatten(1) - 128


def toy(linear_as: str) -> Classifier:
    linear = nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(WEIGHT))
        linear.bias.copy_(torch.tensor(BIAS))
    if linear_as == "head":
        return Classifier({"pixels": Signed()}, neck=nn.Flatten(), head=linear).eval()
    return Classifier({"pixels": Signed()}, neck=linear, head=nn.Identity()).eval()


def pictures(rows: list[list[int]], labels: list[int]) -> Images:
    pixels = (torch.tensor(rows) + 128).to(torch.uint8).reshape(-1, 3, 1, 1)
    files = tuple(map(str, range(len(rows))))
    return Images(pixels=pixels, labels=torch.tensor(labels), names=("a", "b"), files=files)


def toy_subject(target: Classifier, train: Images) -> Subject:
    shown = pictures(SAMPLES, LABELS)
    return Subject(
        target=target,
        judge=JUDGE,
        private=Split(train=train, validation=shown, test=shown),
        reconstructions=shown.pixels.unsqueeze(0),
        identities=shown.labels,
    )


def test_the_toy_case_of_classification_by_hand():
    figures = Layers().measure(toy_subject(toy("head"), pictures(SAMPLES, LABELS)))
    truth = 0.0
    for x, y in zip(SAMPLES, LABELS, strict=True):
        logits = torch.tensor(WEIGHT).double() @ torch.tensor(x).double() + torch.tensor(BIAS).double()
        error = logits.softmax(0) - torch.eye(2).double()[y]
        truth += error.square().sum().item() * (sum(v * v for v in x) + 1) / 8 / 2
    assert truth == pytest.approx(0.679833834768)  # and not 0.3399, that of the batch's gradient
    assert figures["layer"] == ["head"] and figures["parameters"] == [8]
    assert figures["classification"] == [pytest.approx(truth, rel=1e-5)]
    assert figures["classification_share"] == [pytest.approx(1)]
    assert figures["inversion_l2"] == figures["inversion_l2_share"] == [0.0]  # by construction
    assert (figures["validation_images"], figures["reconstructions"], figures["iteration"]) == (2, 2, "last")


def test_the_toy_case_of_inversion_by_hand():
    weight, bias = torch.tensor(WEIGHT, dtype=torch.float64), torch.tensor(BIAS, dtype=torch.float64)
    centroid = weight @ torch.tensor(CENTRED).double() + bias
    assert centroid.tolist() == pytest.approx([0.5, -0.5])
    figures = Layers().measure(toy_subject(toy("neck"), pictures([CENTRED, CENTRED], LABELS)))
    truth = dict.fromkeys(("inversion_l2", "inversion_squared_l2", "inversion_l1"), 0.0)
    for sample in SAMPLES:
        residual = weight @ torch.tensor(sample).double() + bias - centroid
        inputs = (sum(value * value for value in sample) + 1) / 8 / 2
        truth["inversion_l2"] += inputs  # whatever the residual: its direction has length 1
        truth["inversion_squared_l2"] += 4 * residual.square().sum().item() * inputs
        truth["inversion_l1"] += 2 * inputs
    assert list(truth.values()) == pytest.approx([1.125, 6.2325, 2.25])
    for loss, value in truth.items():
        assert figures[loss] == [pytest.approx(value, rel=1e-5)], loss


def test_the_toy_case_of_lpips_by_hand():
    target = toy("neck")
    figures = Layers().measure(toy_subject(target, pictures([*SAMPLES, CENTRED], [1, 0, 1])))

    def unit(sample):
        feature = target.neck(torch.tensor([sample], dtype=torch.float32))[0]
        return feature / (feature.square().sum() + 1e-10).sqrt()

    seen = {0: [[0, 1, -1]], 1: [[1, 2, 3], CENTRED]}  # of each label
    truth = 0.0
    for sample, label in zip(SAMPLES, LABELS, strict=True):
        distances = [(unit(sample) - unit(other).detach()).square().sum() for other in seen[label]]
        own = torch.autograd.grad(torch.stack(distances).mean(), list(target.neck.parameters()))
        truth += sum(gradient.square().sum().item() for gradient in own) / 8 / 2
    assert truth > 0.01
    assert figures["inversion_lpips"] == [pytest.approx(truth, rel=1e-4)]


@pytest.mark.parametrize("defense", [None, "mid"])
def test_layers_are_means_over_samples_and_parameters(defense):
    target = build_classifier("small_cnn", 4, 32, "none", 0)
    if defense:
        target = DEFENSES[defense]().prepare(target)
    target.eval()
    faces = SyntheticFaces(population="private", identities=4, images_per_identity=8)
    private = split_of(faces.load(32))
    noise = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (2, 3, 3, 32, 32), generator=noise, dtype=torch.uint8)
    subject = Subject(
        target=target, judge=JUDGE, private=private, reconstructions=made, identities=torch.arange(3)
    )
    figures = Layers().measure(subject)
    layers = layers_of(target)
    assert figures["layer"] == list(layers) == [*(f"conv{n}" for n in range(1, 7)), "head"]
    train = target.features(private.train.pixels.float() / 255).detach()
    centroids = torch.stack([train[private.train.labels == label].mean(0) for label in range(4)])
    totals = dict.fromkeys(layers, 0.0)
    for image, label in zip(made.flatten(0, 1), [0, 1, 2] * 2, strict=True):
        distance = (target.features(image.unsqueeze(0) / 255) - centroids[label]).norm()
        target.zero_grad()
        distance.backward()
        for name, layer in layers.items():
            gradients = [p.grad for p in layer if p.grad is not None]
            totals[name] += sum(g.double().square().sum().item() for g in gradients)
    counts = [sum(p.numel() for p in layer) for layer in layers.values()]
    truth = [total / 6 / count for total, count in zip(totals.values(), counts, strict=True)]
    assert figures["parameters"] == counts and truth[-1] == 0
    assert figures["inversion_l2"] == pytest.approx(truth, rel=1e-3)  # float32, samples near kinks
    for loss in LOSSES:
        assert sum(figures[f"{loss}_share"]) == pytest.approx(1)
        assert figures[f"{loss}_share"] == pytest.approx([v / sum(figures[loss]) for v in figures[loss]])
    assert Layers().measure(subject) == figures  # noise of a head too


@pytest.mark.parametrize(
    ("classification", "inversion", "point"),
    [
        ([0.1, 0.2, 0.7], [0.6, 0.4, 0.0], "b"),  # gains .5, then .2 more
        ([0.1, 0.4, 0.5], [0.6, 0.1, 0.3], "a"),  # gains .5, then loses .3
        ([0.5, 0.2, 0.3], [0.3, 0.1, 0.6], "none"),
        ([0.3, 0.3, 0.4], [0.3, 0.3, 0.4], "none"),
        ([0.2, 0.3, 0.5], [0.5, 0.3, 0.2], "a"),  # the first of equals
    ],
)
def test_a_freeze_point_is_proposed_where_the_shares_part_most(classification, inversion, point):
    assert suggest(["a", "b"], classification, inversion) == point
    sums = [sum(inversion[: n + 1]) - sum(classification[: n + 1]) for n in range(3)]
    assert excesses(classification, inversion) == pytest.approx(sums)
