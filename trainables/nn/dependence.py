"""Dependence of two variables, measured on one batch: normalised HSIC and COCO.

Everything is float64: with small features the float32 gradient of HSIC is rounding noise. Kernels (m, m) are
built once per variable and batch, and reused for every pair.
"""

from typing import Literal

import torch
from torch import Tensor

LabelKernel = Literal["linear", "gaussian", "imq"]
CocoNorm = Literal["frobenius", "spectral"]


def gaussian_kernel(x: Tensor, sigma: float) -> Tensor:
    """Return exp(-|a - b|² / (2 sigma² d)) for all pairs of rows of x (m, ...), d numbers each; (m, m).

    The bandwidth is per dimension, as in BiDO's code: the exponent holds the *mean* squared difference.
    """
    flat = x.flatten(1).double()
    flat = flat - flat.mean(0)  # distances stay, the products below lose fewer digits
    products = flat @ flat.T
    norms = products.diagonal()
    squared = (norms[:, None] + norms[None, :] - 2 * products).clamp_min(0)
    return torch.exp(-squared / (2 * sigma**2 * flat.shape[1]))


def label_kernel(labels: Tensor, classes: int, kind: LabelKernel, sigma: float) -> Tensor:
    """Return the kernel (m, m) of the one-hot rows of labels (m,) with values in 0 .. classes-1."""
    same = (labels[:, None] == labels[None, :]).double()
    if kind == "linear":
        return same
    squared = 2 * (1 - same)
    if kind == "gaussian":
        return torch.exp(-squared / (2 * sigma**2 * classes))
    return (1 + squared).rsqrt()  # inverse multiquadric


def centred(kernel: Tensor) -> Tensor:
    """Return H K H with H = I - 11ᵀ/m."""
    return kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()


def regularised(kernel: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Return R = K̃ (K̃ + epsilon m I)⁻¹, K̃ = H K H: symmetric, eigenvalues in [0, 1).

    BiDO's code centres on the right only; the trace of a product of two such R is the same.
    """
    m = len(kernel)
    identity = torch.eye(m, dtype=kernel.dtype, device=kernel.device)
    # inv_ex does not wait for the device, and turns what is not finite into a loss that is not finite.
    inverse: Tensor = torch.linalg.inv_ex(centred(kernel) + epsilon * m * identity).inverse
    return identity - epsilon * m * inverse


def hsic(a: Tensor, b: Tensor) -> Tensor:
    """Return the normalised HSIC tr(R_a R_b) of two `regularised` kernels; 0 (independent) to m - 1.

    Fukumizu et al., NeurIPS 2007 (kernel CCA form); used by BiDO, Peng et al., KDD 2022.
    """
    return (a * b).sum()


def coco(a: Tensor, b: Tensor, norm: CocoNorm = "frobenius") -> Tensor:
    """Return COCO, sqrt(|K̃_a K̃_b|) / m, of two `centred` kernels; 0 (independent) up.

    Gretton et al., AISTATS 2005, takes the spectral norm; BiDO's code the Frobenius norm. Where the product
    is exactly 0 (one label in the whole batch) the gradient is 0, where the root's would be infinite.
    """
    product = a @ b
    size: Tensor = torch.linalg.matrix_norm(product, ord="fro" if norm == "frobenius" else 2)
    return size.clamp_min(torch.finfo(size.dtype).tiny).sqrt() / len(a)
