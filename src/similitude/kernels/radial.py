"""Gaussians divided by their own length: integrals over the radius, and the duals under the Gaussians that they tilt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.kernels.duals.rectified import Rectified

STEP = 0.25
"""Step of the trapezoidal rule in t, where s = c exp(t - exp(-t)); integrands are analytic for |Im t| < pi / 2 or so, so
that it is off by exp(-2 pi (pi / 2) / STEP) = 1e-17."""

NOTHING = 40.0
"""Logarithm of what an integrand has fallen by when the rule ends."""


@dataclass(frozen=True)
class Tilted:
    """A Gaussian times exp(-s |x|^2), and expectations of functions phi of degree 1 under it.

    Attributes:
        C11: Covariance of the first batch, shape (..., n, n).
        C22: Covariance of the second batch, shape (..., m, m); the first once more where there is one.
        C12: Covariance between them, shape (..., n, m).
        R: E phi_a phi_b, shape (..., n, m).
        D: E phi'_a phi'_b.
        F: E phi''_a phi_b, with the delta function of a kink.
        F2: E phi_a phi''_b.
    """

    C11: Tensor
    C22: Tensor
    C12: Tensor
    R: Tensor
    D: Tensor
    F: Tensor
    F2: Tensor


def radii(
    eigenvalues: Tensor, *, floor: float, power: float = 0.0, determinant: bool = True, shrinking: bool
) -> list[tuple[float, float]]:
    """Return s and weights such that sums of weight f(s) are int_0^inf s^power exp(-floor s) det(I + 2sS)^(-1/2) f(s) ds.

    Args:
        eigenvalues: Of S.
        floor: What exp(-floor s) is due to: n eps.
        power: Of s.
        determinant: Whether weights have the determinant's factor; else it is the caller's, and tells only where to end.
        shrinking: Whether f falls like 1 / s, as what is quadratic in x does; else it stays as large as it is.
    """
    trace = float(eigenvalues.sum()) + floor
    top = float(eigenvalues.max())
    rows: list[tuple[float, float, float]] = []
    largest = -math.inf
    step = 0
    while True:
        t = -4.0 + STEP * step
        log_s = t - math.exp(-t) - math.log(trace)
        s = math.exp(log_s)
        fall = -0.5 * float(torch.log1p(2 * s * eigenvalues).sum()) - floor * s
        jacobian = log_s + math.log(STEP * (1 + math.exp(-t))) + power * log_s
        size = jacobian + fall - (math.log1p(2 * s * top) if shrinking else 0.0)
        largest = max(largest, size)
        rows.append((s, jacobian + (fall if determinant else -floor * s), size))
        if t > 0 and size < largest - NOTHING:
            break
        step += 1
    return [(s, math.exp(log_weight)) for s, log_weight, size in rows if size > largest - NOTHING]


def tilted_single(phi: Rectified, C: Tensor) -> Tilted:
    """Return expectations under a Gaussian of covariance C over one batch."""
    return _expect(phi, C, C, C)


def tilted_pair(phi: Rectified, S: Tensor, n: int, s: float, t: Tensor) -> tuple[Tilted, Tensor]:
    """Return expectations under N(0, S) times exp(-s |x|^2 - t |x'|^2), and the integrals of that, for many t.

    Args:
        phi: Of degree 1.
        S: Covariance of both batches, shape (n + m, n + m).
        n: Samples of the first.
        s: Tilt of the first.
        t: Tilts of the second, shape (tilts,); all that is returned has this axis in front.
    """
    d = (2 * t).sqrt()[:, None].repeat(1, len(S))
    d[:, :n] = math.sqrt(2 * s)
    scaled = d[..., None] * S
    inner = scaled * d[:, None]
    inner.diagonal(dim1=-2, dim2=-1).add_(1)
    root = torch.linalg.cholesky(inner)
    rest = torch.linalg.solve_triangular(root, scaled, upper=False)
    C = S - rest.mT @ rest
    determinant = torch.exp(-root.diagonal(dim1=-2, dim2=-1).log().sum(-1))
    return _expect(phi, C[:, :n, :n], C[:, n:, n:], C[:, :n, n:]), determinant


def _expect(phi: Rectified, C11: Tensor, C22: Tensor, C12: Tensor) -> Tilted:
    q1 = C11.diagonal(dim1=-2, dim2=-1).clamp_min(0)[..., :, None]
    q2 = C22.diagonal(dim1=-2, dim2=-1).clamp_min(0)[..., None, :]
    R, D = phi.both(C12, q1, q2)
    # phi has degree 1 in x_a: 2 q_a dR/dq_a + k dR/dk = R, with 2 dR/dq_a = E phi''_a phi_b and dR/dk = D.
    rest = R - C12 * D
    return Tilted(C11, C22, C12, R, D, rest / q1.clamp_min(1e-300), rest / q2.clamp_min(1e-300))
