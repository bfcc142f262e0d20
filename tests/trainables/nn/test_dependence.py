"""HSIC and COCO against anchors, against the authors' double-precision runs, and by their laws."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trainables.nn.dependence import centred, coco, gaussian_kernel, hsic, label_kernel, regularised

GOLDEN = Path(__file__).parents[2] / "golden" / "08a_bido_values_a.npz"

X = torch.tensor([[0.0, 1, 2], [1, 0, 1], [2, 2, 0], [3, 1, 1]], dtype=torch.float64)
Z = torch.tensor([[1.0, 0], [0, 1], [2, 1], [1, 3]], dtype=torch.float64)
Y = torch.tensor([0, 0, 1, 1])


def nhsic(a: Tensor, b: Tensor) -> Tensor:
    return hsic(regularised(a), regularised(b))


def cocos(a: Tensor, b: Tensor, norm: str = "frobenius") -> Tensor:
    return coco(centred(a), centred(b), norm)


@pytest.mark.parametrize(
    ("sigma", "zx", "zy_linear", "zy_gaussian", "zz", "coco_zx", "coco_zy", "spectral", "plain"),
    [
        (
            5,
            2.95427926643,
            0.998208552896,
            0.997221290323,
            2.92161598808,
            0.0196938309625,
            0.0924854679176,
            0.0195459157446,
            0.000755499115641,
        ),
        (
            1,
            2.99948885672,
            0.999921540912,
            0.999890715016,
            2.99948686147,
            0.235331439503,
            0.314427193419,
            0.227149518216,
            0.134357941211,
        ),
    ],
)
def test_anchors(sigma, zx, zy_linear, zy_gaussian, zz, coco_zx, coco_zy, spectral, plain):
    kx, kz = gaussian_kernel(X, sigma), gaussian_kernel(Z, sigma)
    linear, gaussian = (label_kernel(Y, 2, kind, sigma) for kind in ("linear", "gaussian"))
    measured = {
        zx: nhsic(kz, kx),
        zy_linear: nhsic(kz, linear),
        zy_gaussian: nhsic(kz, gaussian),
        zz: nhsic(kz, kz),
        coco_zx: cocos(kz, kx),
        coco_zy: cocos(kz, linear),
        spectral: cocos(kz, kx, "spectral"),
        plain: (centred(kz) @ centred(kx)).trace() / 9,
    }
    for expected, value in measured.items():
        assert value.item() == pytest.approx(expected, rel=1e-9)


def test_kernel_entries():
    kernel = gaussian_kernel(Z, 5)
    assert kernel[0].tolist() == pytest.approx([1, 0.980198673307, 0.980198673307, 0.913931185271], rel=1e-11)
    assert kernel.dtype == torch.float64


def test_gradient_anchor():
    z = Z.clone().requires_grad_()
    kz = gaussian_kernel(z, 5)
    term = 0.05 * nhsic(kz, gaussian_kernel(X, 5)) - 0.5 * nhsic(kz, label_kernel(Y, 2, "linear", 5))
    term.backward()
    # Two inverses of condition 1e5 and two terms that nearly cancel leave seven digits.
    assert z.grad[0].tolist() == pytest.approx([0.00215752702270, -0.00126129536872], rel=2e-6)
    assert z.grad.norm().item() == pytest.approx(0.00382400932116, rel=2e-6)


def recorded() -> list[str]:
    with np.load(GOLDEN) as arrays:
        return sorted(name[:-5] for name in arrays.files if name.endswith("_xz64") and "grad" not in name)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", recorded())
def test_authors_values(case, golden):
    measure, features, labels, kind, sigma = re.fullmatch(
        r"(hsic|coco)_(d\d+)_(.+)_(linear|gaussian|IMQ)_s(\d+)", case
    ).groups()
    sigma = float(sigma)
    value = nhsic if measure == "hsic" else cocos
    y = torch.from_numpy(golden[f"y_{labels}"])
    others = {
        "xz": gaussian_kernel(torch.from_numpy(golden["X"]), sigma),
        "yz": label_kernel(y, int(golden["K"]), kind.lower(), sigma),
    }
    for pair, other in others.items():
        z = torch.from_numpy(golden[f"Z_{features}"]).double().requires_grad_()
        result = value(gaussian_kernel(z, sigma), other)
        result.backward()
        expected = golden[f"{case}_{pair}64"]
        # With one label in the batch COCO is 0 there and here, up to the rounding of a fourth root.
        slack = 1e-6 if np.abs(expected) > 1e-6 else 1e-4
        assert result.item() == pytest.approx(expected.item(), abs=slack)
        gradient = golden[f"{case}_grad_{pair}64"]
        assert torch.isfinite(z.grad).all()
        if np.isfinite(gradient).all():
            assert np.allclose(z.grad.numpy(), gradient, rtol=0, atol=1e-6 * max(1, np.abs(gradient).max()))


def test_order_of_samples_does_not_matter():
    order = torch.tensor([2, 0, 3, 1])
    kx, kz = gaussian_kernel(X, 5), gaussian_kernel(Z, 5)
    moved = gaussian_kernel(X[order], 5), gaussian_kernel(Z[order], 5)
    assert nhsic(*moved).item() == pytest.approx(nhsic(kx, kz).item(), rel=1e-9)
    assert cocos(*moved).item() == pytest.approx(cocos(kx, kz).item(), rel=1e-9)


def test_bounds_follow_batch_and_labels():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(32, 400, generator=g)
    labels = torch.arange(8).repeat_interleave(4)
    kz = gaussian_kernel(z, 1)
    assert nhsic(kz, gaussian_kernel(torch.randn(32, 300, generator=g), 1)) <= 31
    assert nhsic(kz, label_kernel(labels, 8, "linear", 5)) < 8 - 1 + 1e-9


@pytest.mark.parametrize("norm", ["frobenius", "spectral"])
def test_one_label_gives_zero_and_a_finite_gradient(norm):
    z = Z.clone().requires_grad_()
    same = centred(torch.zeros(4, 4, dtype=torch.float64))
    value = coco(centred(gaussian_kernel(z, 5)), same, norm)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(z.grad).all()


def test_what_is_not_finite_stays_so_without_an_error():
    z = Z.clone()
    z[0, 0] = torch.nan
    assert not torch.isfinite(nhsic(gaussian_kernel(z, 5), gaussian_kernel(X, 5)))
